"""What is drawn by hand: over everything that a network says, one step each, kept and taught."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builders import make_network
from napari_disca.annotations.areas import Area
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.errors import AreaError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.networks import Network
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session.regions.patch import patch_at
from napari_disca.session.session import MAPS, Session
from napari_disca.storage.label_pyramid import LabelPyramid
from sessions import assert_equal_to_from_scratch, refined

WHOLE = Window(0, 0, 144, 160)
BOLD = Disca(passes=4, rate=3e-2, crop_size=64)
BRUSH = BrushPath(((20.5, 20.5), (120.5, 130.5)), 9)


pytestmark = pytest.mark.usefixtures("small_tiles")


@pytest.fixture
def session(picture, compute):
    made = Session(open_raster(picture), make_network(), compute=compute)
    refined(made)
    return made


def check(session):
    """All labels, once they are up to date and have been compared with a run from scratch."""
    maps = refined(session)
    assert_equal_to_from_scratch(session)
    return maps


def test_what_is_drawn_lies_over_later_clicks_and_adaptations(session):
    before = refined(session)
    session.drawing.draw(BRUSH, 2)
    mask = BRUSH.pixels(WHOLE.shape).mask(WHOLE)
    maps = check(session)
    for name in ("disir", "disca"):
        np.testing.assert_array_equal(maps[name], np.where(mask, 2, before[name]))
    np.testing.assert_array_equal(maps["initial"], before["initial"])
    session.document.click(70, 75, 0)
    session.document.click(10, 150, 1)
    finish(session.adapt(BOLD), session.handle)
    maps = check(session)
    assert (maps["disca"][mask] == 2).all()
    assert (maps["disca"] != maps["disir"])[~mask].any()
    assert session.document.drawn_at(70, 75)
    assert not session.document.drawn_at(10, 150)


def test_undo_takes_a_stroke_back_and_redo_brings_it_again(session):
    before = refined(session)
    session.drawing.draw(BRUSH, 1)
    drawn = refined(session)
    assert session.document.undo() == "brush class 1"
    assert not session.document.strokes
    after = refined(session)
    for name in MAPS:
        np.testing.assert_array_equal(after[name], before[name])
    session.document.redo()
    for name, labels in refined(session).items():
        np.testing.assert_array_equal(labels, drawn[name])


def test_of_strokes_that_meet_the_later_one_counts_and_the_rubber_shows_the_network(session):
    before = refined(session)
    session.drawing.draw(BRUSH, 1)
    session.drawing.draw(Area.rectangle(Window(50, 50, 40, 40)), 2, tool="polygon")
    maps = check(session)
    assert (maps["disir"][50:90, 50:90] == 2).all()
    session.drawing.draw(BrushPath(((70.5, 70.5),), 10), None)
    rubbed = BrushPath(((70.5, 70.5),), 10).pixels(WHOLE.shape).mask(WHOLE)
    maps = check(session)
    np.testing.assert_array_equal(maps["disir"][rubbed], before["disir"][rubbed])
    assert not session.document.drawn_at(70, 70)
    session.drawing.draw(BrushPath(((70.5, 70.5),), 3), 0)
    assert check(session)["disca"][70, 70] == 0


def test_what_was_locked_before_is_left_and_what_is_locked_later_keeps_it(session):
    before = refined(session)
    session.document.lock(Area.rectangle(Window(0, 0, 60, 60)))
    session.drawing.draw(Area.rectangle(Window(40, 40, 60, 60)), 1, tool="polygon")
    maps = check(session)
    np.testing.assert_array_equal(maps["disir"][:60, :60], before["disir"][:60, :60])
    assert (maps["disir"][60:100, 60:100] == 1).all()
    session.document.lock(Area.rectangle(Window(80, 80, 40, 40)))
    locked = refined(session)["disir"][80:120, 80:120]
    session.drawing.draw(Area.rectangle(Window(80, 80, 40, 40)), 2, tool="polygon")
    maps = check(session)
    np.testing.assert_array_equal(maps["disca"][80:120, 80:120], locked)


def test_strokes_lie_over_verdicts(session):
    session.document.click(10, 10, 0)
    session.document.click(80, 90, 1)
    finish(session.adapt(BOLD), session.handle)
    session.drawing.draw(BRUSH, 2)
    session.proposals.accept()
    session.drawing.draw(Area.rectangle(Window(0, 100, 50, 50)), 0, tool="lasso")
    maps = check(session)
    assert (maps["disca"][BRUSH.pixels(WHOLE.shape).mask(WHOLE) & (maps["disca"] != 0)] == 2).all()
    session.drawing.draw(BRUSH, None)
    check(session)


def test_only_some_classes_are_drawn_over(session):
    before = refined(session)
    stroke = session.drawing.draw(BRUSH, 2, only=(1,))
    mask = BRUSH.pixels(WHOLE.shape).mask(WHOLE)
    maps = check(session)
    wanted = np.where(mask & (before["disca"] == 1), 2, before["disca"])
    np.testing.assert_array_equal(maps["disca"], wanted)
    assert stroke.only == (1,)
    with pytest.raises(AreaError, match="other classes"):
        session.drawing.draw(BrushPath(((-3, -3), (0.5, 0.5)), 2), 0, only=(2,))


def test_a_patch_is_what_is_connected(session):
    labels = refined(session)["disir"]
    value = labels[30, 40]
    stroke = session.drawing.draw_patch(30, 40, (value + 1) % 3)
    mask = stroke.area.mask(WHOLE)
    assert mask[30, 40]
    assert (labels[mask] == value).all()
    grown = np.zeros_like(mask)
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    assert not (labels[grown & ~mask] == value).any()
    assert (check(session)["disir"][mask] == (value + 1) % 3).all()


def test_a_stroke_needs_no_network_where_the_map_is_drawn(session, monkeypatch):
    def asked(*_arguments, **_keywords):
        raise AssertionError("a network was asked")

    monkeypatch.setattr(Network, "forward", asked)
    monkeypatch.setattr("napari_disca.inference.predict.Predictor.batch", asked)
    session._renderer.recent.forget()
    session.drawing.draw(BRUSH, 2)
    session.drawing.draw(Area.rectangle(Window(5, 5, 100, 30)), 1, tool="polygon")
    assert (refined(session)["disir"][5:105, 5:35] == 1).all()


def test_what_is_in_view_is_painted_at_once(session):
    session.viewport.window = Window(0, 0, 60, 60)
    session.drawing.draw(BRUSH, 2)
    session.paint_cached(60)
    assert session.maps["disir"].read(Window(25, 25, 1, 1))[0, 0] == 2
    assert session.maps["disca"].read(Window(25, 25, 1, 1))[0, 0] == 2
    session.document.undo()
    session.paint_cached(60)
    session.document.redo()
    session.paint_cached(60)
    assert session.maps["disir"].read(Window(25, 25, 1, 1))[0, 0] == 2


def test_the_last_stroke_costs_what_the_first_did(session, monkeypatch):
    session.viewport.window = WHOLE
    for column in range(10, 150, 10):
        session.drawing.draw(BrushPath(((20.5, column + 0.5), (120.5, column + 0.5)), 3), 2)
        session.paint_cached(60)
    asked = []
    mask = PixelSet.mask
    monkeypatch.setattr(PixelSet, "mask", lambda area, at: asked.append(area) or mask(area, at))
    last = session.drawing.draw(BrushPath(((70.5, 10.5), (70.5, 150.5)), 3), 1)
    session.paint_cached(60)
    assert asked
    assert all(area is last.area for area in asked), "earlier strokes are drawn already"


def test_only_tiles_that_are_touched_are_out_of_date(session):
    session.drawing.draw(BrushPath(((10, 10), (10, 30)), 5), 2)
    assert [tile.index for tile in session.map_state.stale("disir")] == [0]


def test_strokes_teach_unless_they_are_told_not_to(session):
    session.document.click(10, 10, 0)
    silent = session.drawing.draw(
        Area.rectangle(Window(100, 100, 40, 40)), 1, tool="lasso", teaches=False
    )
    taught = session.drawing.draw(BRUSH, 2)
    finish(session.adapt(BOLD), session.handle)
    assert session.document.adapted.locks == (taught,)
    sample = finish(session._renderer.sample((silent, taught), 0))
    assert {click.label for click in sample} == {1, 2}
    for click in sample:
        (stroke,) = (one for one in (silent, taught) if one.label == click.label)
        assert stroke.area.mask(Window(click.row, click.col, 1, 1)).all()
    # What was learned from is taken away, and it is learned again without.
    key = session.document.adapted.key
    session.document.unlock(taught)
    assert session.document.step.title == "take away a stroke"
    assert session.document.adapted.key != key


def test_pixels_without_data_are_neither_drawn_nor_learned_from(picture, compute):
    from napari_disca.raster.arrays import ArrayRaster

    valid = np.ones(WHOLE.shape, dtype=bool)
    valid[:, :40] = False

    class Half(ArrayRaster):
        def valid(self, window, bands=None):
            return valid[window.slices]

    session = Session(Half(picture), make_network(), compute=compute)
    refined(session)
    session.drawing.draw(Area.rectangle(WHOLE), 1, tool="polygon")
    maps = refined(session)
    assert (maps["disir"][valid] == 1).all()
    assert (maps["disir"][~valid] == 255).all()
    sample = finish(session._renderer.sample(session.document.strokes, 0))
    assert len(sample)
    assert all(valid[click.pixel] for click in sample)


@pytest.mark.parametrize(
    "stroke",
    [
        lambda s: s.drawing.draw(BRUSH, 7),
        lambda s: s.drawing.draw(BRUSH, -1),
        lambda s: s.drawing.draw(BRUSH, 1, only=(9,)),
        lambda s: s.drawing.draw(BRUSH, 1, tool="hammer"),
        lambda s: s.drawing.draw(BrushPath(((-50, -50),), 3), 1),
        lambda s: s.drawing.draw(PixelSet.from_json([140, 150, 40]), 1),
        lambda s: s.drawing.draw_patch(500, 3, 1),
    ],
)
def test_what_cannot_be_drawn_changes_nothing(session, stroke):
    with pytest.raises(AreaError):
        stroke(session)
    assert session.document.position == 0
    assert session.map_state.up_to_date("disir") == 1.0


def test_a_patch_is_found_across_blocks(monkeypatch):
    monkeypatch.setattr("napari_disca.session.regions.patch._BLOCK", 16)
    rng = np.random.default_rng(1)
    labels = rng.choice(np.array([0, 1], np.uint8), (70, 83), p=(0.62, 0.38))
    canvas = LabelPyramid(labels.shape)
    canvas.paint(Window.whole(labels.shape), labels)
    from scipy import ndimage

    pieces, _ = ndimage.label(labels == 0)
    largest = np.bincount(pieces.ravel())[1:].argmax() + 1
    row, col = np.argwhere(pieces == largest)[0]
    found = finish(patch_at(canvas, int(row), int(col)))
    np.testing.assert_array_equal(found.mask(Window.whole(labels.shape)), pieces == largest)
    with pytest.raises(AreaError, match="outside the image"):
        finish(patch_at(canvas, 70, 3))


def test_a_stroke_is_one_line_of_the_journal(session, tmp_path, compute):
    from napari_disca.session.steps.draw_action import Draw
    from napari_disca.session.steps.steps import Step

    session.drawing.draw(BRUSH, 2, teaches=False)
    session.drawing.draw(Area.rectangle(Window(3, 4, 20, 30)), 1, tool="lasso")
    session.drawing.draw(BRUSH, 0, only=(2,))
    session.drawing.draw(BRUSH, None)
    step = session.document.history[0]
    for before, after in zip(session.document.history, session.document.history[1:], strict=False):
        stroke = after.locks[-1]
        action = Draw(stroke.area, stroke.label, stroke.tool, stroke.teaches, stroke.only)
        fields = json.loads(json.dumps(action.fields(before, after)))
        again = Draw.read(fields, step).applied(step, session.document._facts)
        assert isinstance(again, Step)
        assert again.locks[-1].digest == stroke.digest
        assert len(json.dumps(fields)) < 8000
