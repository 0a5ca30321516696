"""What is out of date is visible as such, for next to no memory."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_network
from napari_disca.core.events import Patch, Progress, finish
from napari_disca.gui.viewer.layers.hatch import TITLE, Hatch
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session.session import Session


@pytest.fixture
def session(compute):
    picture = np.random.default_rng(0).integers(0, 255, (400, 300, 3)).astype(np.uint8)
    session = Session(open_raster(picture), make_network(), compute=compute)
    finish(session.predict(), session.handle)
    return session


def test_hatches_exactly_the_outdated_tiles(session):
    hatch = Hatch(session)
    outdated = np.zeros(session.tiling.grid, dtype=bool)
    outdated[1, 0] = True
    assert hatch.show(outdated)
    assert not hatch.show(outdated), "nothing changed"
    index = int(np.flatnonzero(outdated)[0])
    keep = session.network_view.image_window(session.tiling[index].keep)
    rows, cols = np.nonzero(hatch.cells)
    cell = round(session.raster.shape[0] / hatch.cells.shape[0])
    for edge, low, high in ((rows, keep.top, keep.bottom), (cols, keep.left, keep.right)):
        assert abs(edge.min() * cell - low) <= 2 * cell
        assert abs((edge.max() + 1) * cell - high) <= 2 * cell
    inside = hatch.cells[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    assert 0.4 < inside.mean() < 0.6, "stripes, not a sheet"
    assert hatch.show(np.zeros_like(outdated))
    assert not hatch.cells.any()


def test_costs_as_little_for_a_large_image_as_it_has_tiles(network, compute):
    class Large:
        shape = (20_000, 20_000)

    class Inputs:
        @staticmethod
        def image_window(window):
            return window

    from napari_disca.core.tiling import Tiling

    class Session:
        raster, network_view, tiling = Large(), Inputs(), Tiling((20_000, 20_000), 864, 64)

    assert Hatch(Session()).cells.nbytes < 2e6


def test_lies_on_the_image_wherever_that_is(session):
    hatch = Hatch(session)
    placement = {
        "scale": (0.5, 0.5),
        "translate": (100.0, -20.0),
        "rotate": [[0.0, -1.0], [1.0, 0.0]],
        "shear": [0.0],
        "affine": np.eye(3),
        "units": ("pixel", "pixel"),
    }
    from napari.layers import Image

    image = Image(np.zeros(session.raster.shape), **placement)
    layer = hatch.layer(placement)
    cell = layer.scale[0] / 0.5
    for row, col in ((0, 0), (3, 5)):
        centre = [(row + 0.5) * cell - 0.5, (col + 0.5) * cell - 0.5]
        np.testing.assert_allclose(
            layer.data_to_world((row, col)), image.data_to_world(centre), atol=1e-6
        )


def test_shows_up_while_the_map_is_being_redone_and_goes(reused, qtbot):
    control, session = reused.control, reused.control.session
    session.document.click(40, 50, 1)
    reused.idle()
    patches = []
    finish(session.adapt(Disca(passes=1, crop_size=64)), patches.append)
    adapted = [event for event in patches if not isinstance(event, Patch)]
    for event in adapted:
        session.handle(event)  # learned, but nothing is redone yet
    assert session.map_state.outdated("disca").all()
    qtbot.waitUntil(lambda: control.layers.stale.data.any(), timeout=5000)
    names = [layer.name for layer in reused.viewer.layers]
    assert names.index(TITLES["disca"]) < names.index(TITLE) < names.index("Clicks")
    assert reused.viewer.layers.selection.active is not reused.viewer.layers[TITLE]
    assert "whole image 0 %" in reused.panel.presenter.progress()
    control.segment()
    reused.idle()
    qtbot.waitUntil(lambda: not reused.viewer.layers[TITLE].data.any(), timeout=5000)
    assert reused.panel.presenter.progress() == "Both maps are up to date"


def test_shows_at_once_what_an_undo_cannot_bring_back_at_once(reused, monkeypatch):
    control, session = reused.control, reused.control.session
    session.document.click(40, 50, 1)
    reused.idle()
    monkeypatch.setattr(control._tasks, "submit", lambda task: None)  # nothing is computed again
    control.undo()
    assert not reused.viewer.layers[TITLE].data.any(), "what is still known is shown"
    control.redo()
    session._renderer.recent._tiles.clear()
    control.undo()
    assert reused.viewer.layers[TITLE].data.any()


def test_is_there_from_the_start_so_that_no_click_waits_for_it(reused):
    assert [layer.name for layer in reused.viewer.layers][-2:] == [TITLE, "Clicks"]
    assert not reused.viewer.layers[TITLE].data.any()


def test_whoever_removes_the_hatching_does_not_get_it_again(opened, qtbot):
    control, session = opened.control, opened.control.session
    session.document.click(40, 50, 1)
    opened.idle()
    opened.viewer.layers.remove(TITLE)
    session.document.click(140, 50, 2)
    opened.idle()
    control.segment()
    opened.idle()
    qtbot.wait(600)
    assert TITLE not in opened.viewer.layers


def test_precision_can_be_chosen_and_clicks_come_along(opened):
    panel = opened.panel
    panel.control.session.document.click(40, 50, 1)
    opened.idle()
    panel.refine_panel.precision.setCurrentText("float32")
    assert panel.opening.session() is None, "its map is to be drawn anew"
    panel.segment()
    opened.idle()
    session = panel.control.session
    assert str(session.compute) == "cpu, float32"
    assert len(session.document.clicks) == 1
    panel.refine_panel.recipes.setCurrentText("paper")
    panel.refine_panel.recipes.setCurrentText("default")
    assert panel.refine_panel.precision.currentText() == "float32", "no recipe's business"


def test_percentages_are_rounded_down():
    from napari_disca.gui.window.presenter import percent

    assert [percent(x) for x in (0.0, 0.784, 0.9999, 1.0)] == ["0 %", "78 %", "99 %", "100 %"]


def test_hatches_the_same_in_parts_as_at_once(session):
    rng, parts = np.random.default_rng(0), Hatch(session)
    hatched = np.zeros(session.tiling.grid, dtype=bool)
    for less in (False, True, False, True, True):
        outdated = rng.random(session.tiling.grid) < 0.5
        before, hatched = hatched, outdated & hatched if less else outdated
        assert parts.show(outdated, less=less) == (before != hatched).any()
        at_once = Hatch(session)
        at_once.show(hatched)
        np.testing.assert_array_equal(parts.cells, at_once.cells)


def test_goes_in_the_frame_in_which_its_tile_is_redrawn(reused):
    control, session, stale = (
        reused.control,
        reused.control.session,
        reused.control.layers.stale_layer,
    )
    session.document.click(40, 50, 1)
    reused.idle()
    events = []
    finish(session.adapt(Disca(passes=1, crop_size=64)), events.append)
    session.handle(next(event for event in events if not isinstance(event, Patch | Progress)))
    stale.redraw()
    assert session.map_state.outdated("disca").all()
    stale._timer.stop()
    stale._timer.start()  # its next tick is far away
    drawn = [event for event in events if isinstance(event, Patch) and event.map == "disca"]
    session.handle(drawn[0])
    assert stale.layer.data.any()
    hatched = stale.layer.data.copy()
    control.layers.redraw()
    gone = hatched.astype(bool) & ~stale.layer.data.astype(bool)
    assert gone.any(), "in the same redraw as the map"
    for patch in drawn[1:]:
        session.handle(patch)
    control.layers.redraw()
    assert not stale.layer.data.any()


def test_waits_for_the_frame_of_a_map_that_is_redrawn_soon(reused):
    control, session, stale = (
        reused.control,
        reused.control.session,
        reused.control.layers.stale_layer,
    )
    session.document.click(40, 50, 1)
    reused.idle()
    events = []
    finish(session.adapt(Disca(passes=1, crop_size=64)), events.append)
    session.handle(next(event for event in events if not isinstance(event, Patch | Progress)))
    patch = next(e for e in events if isinstance(e, Patch) and e.map == "disca")
    session.handle(patch)
    control.layers.redraw()
    assert not stale.layer.data.any(), "a moment is left to draw it instead"
    session.handle(patch)
    stale._on_timer()
    assert not stale.layer.data.any()
    control.layers.redraw()
    assert stale.layer.data.any()
