from __future__ import annotations

import json

import numpy as np
import pytest

from builders import make_card, make_tiny_network
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import CardError, ClassTableError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.raster import open_raster
from napari_disca.session import restore
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.restore import DamagedLineError
from napari_disca.session.session import Session
from napari_disca.session.steps.class_table import ClassEntry, ClassTable


@pytest.fixture
def session(compute):
    pixels = np.random.default_rng(3).integers(0, 255, (40, 50, 3)).astype(np.uint8)
    return Session(open_raster(pixels), make_tiny_network(), compute=compute)


@pytest.fixture
def table():
    return ClassTable.of(make_card().classes)


def names(classes):
    return [land.name for land in classes]


def test_a_session_begins_with_what_the_network_says(session):
    assert (
        session.document.classes == session.network.card.classes == session.document.saved_classes
    )
    assert session.document.class_table == ClassTable.of(session.network.card.classes)
    assert np.array_equal(session.document.merged_values, np.arange(256))


def test_every_change_is_one_step_that_is_taken_back(session):
    before = session.document.classes
    signals = []
    session.document.value_changed.connect(signals.append)
    session.document.set_classes(
        session.document.class_table.renamed(1, " forest "), "rename a class"
    )
    assert names(session.document.classes)[1] == "forest"
    session.document.set_classes(session.document.class_table.recoloured({2: "#ABCDEF"}))
    assert session.document.classes[2].color == "#abcdef"
    session.document.set_classes(session.document.class_table.with_hidden(0, True))
    session.document.set_classes(session.document.class_table.moved(2, 0))
    assert session.document.class_table.order == (2, 0, 1)
    assert session.document.class_table.hidden == {0}
    assert len(signals) == 4
    assert [step.title for step in session.document.history[1:]][:2] == [
        "rename a class",
        "change classes",
    ]
    session.document.set_classes(session.document.class_table)
    assert session.document.position == 4, "nothing changes, so there is no step"
    session.document.go(0)
    assert session.document.classes == before
    assert session.document.redo() == "rename a class"
    assert names(session.document.classes)[1] == "forest"
    session.document.set_classes(ClassTable())
    assert session.document.classes == before, "the network's again"


def test_ids_clicks_and_maps_mean_the_same_whatever_classes_are_called(session):
    session.document.click(5, 6, 2)
    finish(session.refine(), session.handle)
    whole = Window.whole(session.raster.shape)
    before = session.maps["disir"].read(whole)
    session.document.set_classes(session.document.class_table.moved(2, 0).renamed(2, "water"))
    assert session.document.clicks.items == (Click(5, 6, 2),)
    assert session.map_state.up_to_date("disir") == 1.0, "nothing is computed again"
    assert np.array_equal(session.maps["disir"].read(whole), before)
    session.document.click(7, 8, 2)
    assert session.document.step.title == "water click"


def test_merged_classes_look_alike_and_are_saved_as_one(table):
    merged = table.merged([2, 1], "ground")
    assert merged.values[:4].tolist() == [0, 1, 1, 3]
    assert merged.values[255] == 255
    assert merged.classes[2].color == merged.classes[1].color == table.classes[1].color
    assert names(merged.classes) == names(table.classes), "clicks still tell them apart"
    assert merged.saved_classes[1] == merged.saved_classes[2]
    assert merged.saved_classes[1].name == "ground"
    pink = merged.recoloured({2: "#ff00ff"})
    assert pink.classes[1].color == pink.classes[2].color == "#ff00ff"
    apart = merged.separated([1])
    assert apart == table, "each has its own colour again"
    assert merged.merged([0, 2], "all").values[:3].tolist() == [0, 0, 0], "what it was merged with"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.renamed(0, t.entry(1).name.upper()), "two classes are called"),
        (lambda t: ClassTable(t.entries[:2]), "are 0 to 2"),
        (lambda t: ClassTable((*t.entries, ClassEntry(3, "more", "#000000"))), "are 0 to 2"),
        (lambda t: t.merged([0, 1], t.entry(2).name), "is a class that is not merged"),
        (lambda t: t.merged([0], "one"), "two or more"),
        (lambda t: t.renamed(7, "x"), "no class 7"),
    ],
)
def test_impossible_tables_are_refused_and_change_nothing(session, change, says):
    with pytest.raises(ClassTableError, match=says):
        session.document.set_classes(change(session.document.class_table))
    assert not session.document.can_undo


@pytest.mark.parametrize(
    ("name", "color"), [(" ", "#000000"), ("a", "red"), ("x" * 201, "#00ff00")]
)
def test_a_class_has_a_name_and_a_colour(name, color):
    with pytest.raises(CardError):
        ClassEntry(0, name, color)


def test_a_group_may_have_the_name_of_one_of_its_classes(table):
    one = table.entry(1).name
    assert table.merged([1, 2], one).checked(3).saved_classes[2].name == one


def test_classes_are_in_the_journal_and_done_again(session, tmp_path, compute):
    raster, network = session.raster, session.network
    restore.begin(session, "")
    path = session.document.journal.path
    session.document.set_classes(session.document.class_table.renamed(1, "forêt").moved(2, 0), "a")
    session.document.set_classes(
        session.document.class_table.merged([0, 1], "land").with_hidden(2, True), "b"
    )
    session.document.set_classes(session.document.class_table.recoloured({2: "#010203"}), "c")
    session.document.undo()
    wanted, titles = session.document.class_table, [step.title for step in session.document.history]
    session.close()
    again = restore.resume(path, raster, network, compute=compute)
    assert again.document.class_table == wanted
    assert [step.title for step in again.document.history] == titles
    assert again.document.redo() == "c"
    assert again.document.classes[2].color == "#010203"
    again.close()
    kinds = [event["do"] for event in read_journal(path).events]
    assert kinds == ["classes", "classes", "classes", "go", "go"]


@pytest.mark.parametrize(
    "classes",
    [
        5,
        [3],
        [{"id": 0, "name": "a", "color": "#000000"}],
        [{"id": 0.5, "name": "a", "color": "#000000"}],
        [{"id": 0, "name": "a", "color": "#000000", "hidden": "no"}],
        [{"id": i, "name": "same", "color": "#000000"} for i in range(3)],
        [{"id": i, "name": 7, "color": "#000000"} for i in range(3)],
    ],
)
def test_a_journal_from_elsewhere_is_checked(session, classes):
    raster, network = session.raster, session.network
    restore.begin(session, "")
    session.document.click(1, 2, 0)
    path = session.document.journal.path
    session.close()
    with path.open("a") as file:
        file.write(json.dumps({"do": "classes", "title": "x", "classes": classes}) + "\n")
    with pytest.raises(DamagedLineError, match="line 3"):
        restore.replay(path, raster, network)
