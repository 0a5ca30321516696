"""Whatever napari lets a user do to points reaches the session, or is put back and told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.utils.colormaps.standardize_color import transform_color

from builders import make_network
from napari_disca.annotations.clicks import Click
from napari_disca.gui.viewer.layers.click_layers import ClickLayers
from napari_disca.raster import open_raster
from napari_disca.session.session import Session


@pytest.fixture
def session(image, compute):
    return Session(open_raster(image), make_network(), compute=compute)


@pytest.fixture
def said():
    return []


@pytest.fixture
def layers(session, said, qtbot):
    made = ClickLayers(session, said.append)
    session.document.clicks_changed.connect(lambda _: made.show())
    yield made
    qtbot.wait(1)


@pytest.fixture
def points(layers):
    layer = layers.make("Clicks", 10.0, {})
    layers.begin(layer)
    return layer


@pytest.fixture
def three(session, points):
    session.document.add(Click(10, 20, 0), Click(30, 40, 1), Click(50, 60, 1))
    return points


def clicks(session):
    return [(c.row, c.col, c.label) for c in session.document.clicks]


def shown(layer, session):
    names = [land.name for land in session.document.classes]
    labels = [names.index(name) for name in layer.features["class"]]
    return [(*map(int, at), label) for at, label in zip(layer.data, labels, strict=True)]


def steps(session):
    return [step.title for step in session.document.history[1:]]


def name(session, label):
    return session.document.classes[label].name


def test_a_point_is_a_click_of_the_armed_class_on_a_whole_pixel(session, layers, points):
    layers.arm(1)
    points.add((10.4, 20.6))
    assert clicks(session) == [(10, 21, 1)]
    assert steps(session) == [f"{name(session, 1)} click"]
    np.testing.assert_array_equal(points.data, [[10, 21]])


def test_pasted_points_are_clicks(session, three):
    three.selected_data = {0, 1}
    three._copy_data()
    session.document.remove(Click(10, 20, 0), Click(30, 40, 1))
    three._paste_data()
    assert sorted(clicks(session)) == [(10, 20, 0), (30, 40, 1), (50, 60, 1)]
    assert steps(session)[-1] == "2 clicks"
    assert shown(three, session) == clicks(session)


def test_points_pasted_onto_themselves_change_nothing(session, three):
    before = session.document.clicks
    three.selected_data = {2}
    three._copy_data()
    three._paste_data()
    assert session.document.clicks == before
    assert shown(three, session) == clicks(session)


def test_a_class_edited_in_the_features_table_is_a_relabelled_click(session, layers, three):
    """As napari's table does it: into the table of the layer, without an event."""
    table = three.features
    table.iloc[1, table.columns.get_loc("class")] = name(session, 0)
    layers.take_over_edits()
    assert clicks(session) == [(10, 20, 0), (30, 40, 0), (50, 60, 1)]
    assert steps(session)[-1] == f"a click to {name(session, 0)}"
    session.document.undo()
    assert shown(three, session) == [(10, 20, 0), (30, 40, 1), (50, 60, 1)]


def test_a_table_of_features_given_as_a_whole(session, three):
    three.features = pd.DataFrame({"class": [name(session, 0)] * 3})
    assert [label for _, _, label in clicks(session)] == [0, 0, 0]
    assert steps(session)[-1] == f"2 clicks to {name(session, 0)}"


def test_current_properties_of_selected_points(session, three):
    three.selected_data = {0, 2}
    three.current_properties = {"class": np.array([name(session, 1)])}
    assert [label for _, _, label in clicks(session)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t.assign(**{"class": ["swamp"] * 3}), "one of the network's classes"),
        (lambda t: t.assign(**{"class": [7.5] * 3}), "one of the network's classes"),
        (lambda t: t.drop(columns="class").assign(note=1), "must stay"),
        (lambda t: t.assign(note=1), "'note' is not kept"),
    ],
)
@pytest.mark.filterwarnings("ignore:property used for face_color dropped")
def test_what_is_no_class_is_put_back_and_told(session, said, three, change, line):
    before = clicks(session)
    three.features = change(three.features.copy())
    assert clicks(session) == before
    assert shown(three, session) == before
    assert list(three.features.columns) == ["class"]
    assert len(said) == 1
    assert line in said[0]


def test_deleting_in_every_way(session, three):
    three.selected_data = {0}
    three.remove_selected()
    assert clicks(session) == [(30, 40, 1), (50, 60, 1)]
    three.pop(0)
    assert clicks(session) == [(50, 60, 1)]
    three.remove([0])
    assert clicks(session) == []
    assert steps(session)[-3:] == ["remove a click"] * 3


def test_other_data_by_code_are_what_differs(session, three):
    three.data = np.array([[30.0, 40.0], [70.0, 80.0]])
    assert {at[:2] for at in clicks(session)} == {(30, 40), (70, 80)}
    assert shown(three, session) == clicks(session)
    three.data = np.empty((0, 2))
    assert clicks(session) == []


def test_data_changed_in_place_are_seen(session, layers, three):
    three.data[1] = (31, 41)
    layers.take_over_edits()
    assert clicks(session) == [(10, 20, 0), (31, 41, 1), (50, 60, 1)]
    assert steps(session)[-1] == f"move a {name(session, 1)} click"


def test_moving_several_is_one_step_and_replaces_what_lies_there(session, three):
    three.data = three.data + np.array([[20, 20], [0, 0], [5, 5]])
    assert clicks(session) == [(30, 40, 0), (55, 65, 1)]
    assert steps(session)[-1] == "move 2 clicks"


def test_a_drag_is_one_step(session, layers, three):
    three.events.data(value=three.data, action="changing", data_indices=(0,), vertex_indices=((),))
    for way in range(1, 4):
        with three.events.data.blocker():
            three._move({0}, (10 + way, 20 + way))
        layers.take_over_edits()
    assert len(steps(session)) == 1, "nothing was let go of yet"
    three._move({0}, (14, 24))
    three._drag_start = None
    assert len(steps(session)) == 2
    assert clicks(session)[0] != (10, 20, 0)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # napari's own
@pytest.mark.parametrize("where", [(-0.6, 3), (3, 1e5), (np.nan, 3), (150, 3)])
def test_what_is_beside_the_image_is_refused(session, said, three, where):
    before = clicks(session)
    three.add(where)
    assert clicks(session) == before
    assert shown(three, session) == before
    assert said == ["That click lies outside the image and was not added"]
    three.data = np.array([where, *three.data[1:]])
    assert clicks(session) == before
    assert said[1:] == ["A click cannot be moved out of the image"]


def test_some_of_many_beside_the_image(session, said, points):
    points.add([(1, 2), (-5, 2), (3, 4)])
    assert [at[:2] for at in clicks(session)] == [(1, 2), (3, 4)]
    assert len(said) == 1


def test_both_views_show_all(session, layers, three):
    second = layers.make("Clicks (copy)", 10.0, {})
    layers.begin(second)
    second.add((70, 80))
    assert shown(three, session) == shown(second, session) == clicks(session)
    layers.forget(second)
    second.add((1, 1))
    assert len(session.document.clicks) == 4


def test_a_selected_point_is_let_go_of(three, qtbot):
    three.add((70, 80))
    qtbot.waitUntil(lambda: not three.selected_data, timeout=5000)


def test_keys_relabel_what_is_selected(session, layers, three):
    three.mode = "select"
    three.selected_data = {1, 2}
    assert layers.relabel_selected(0) == 2
    assert [label for _, _, label in clicks(session)] == [0, 0, 0]
    assert steps(session)[-1] == f"2 clicks to {name(session, 0)}"
    assert layers.relabel_selected(0) == 0


def test_points_that_are_added_have_the_colours_of_their_classes(session, layers, points):
    for label, row in ((0, 10.3), (1, 20.0), (1, 30.6), (0, 40.2)):
        layers.arm(label)
        points.add((row, 20.6))
    session.document.add(Click(50, 60, 1))
    layers.arm(0)
    expected = transform_color([session.document.classes[label].color for label in (0, 1, 1, 0, 1)])
    np.testing.assert_allclose(points.face_color, expected, atol=1e-6)
    assert shown(points, session) == clicks(session)


def test_a_class_that_is_changed_changes_its_colour(session, layers, three):
    three.features.loc[0, "class"] = name(session, 1)
    layers.take_over_edits()
    np.testing.assert_allclose(three.face_color[0], three.face_color[1])
    session.document.undo()
    assert not np.allclose(three.face_color[0], three.face_color[1])


def test_a_click_sets_the_points_of_a_layer_once(session, layers, three):
    layers.arm(1)
    events = []
    three.events.data.connect(lambda event: events.append(event.action))
    three.events.features.connect(lambda event: events.append("features"))
    three.add((10.4, 30.6))
    assert events == ["adding", "added", "features"], "by napari; putting it on its pixel is none"
    assert clicks(session)[-1] == (10, 31, 1)
    np.testing.assert_array_equal(three.data[-1], [10, 31])
