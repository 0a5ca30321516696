"""Layers with a slider: the frame that is shown is read, and it is said."""

from __future__ import annotations

import numpy as np
import pytest

from napari_disca.core.tiling import Window

SHAPE = (60, 80)
PLANES = np.random.default_rng(0).integers(20, 250, (24, *SHAPE), dtype=np.uint8)
COLOURED = np.moveaxis(PLANES.reshape(8, 3, *SHAPE), 1, -1)


def slide(panel, qtbot, *steps):
    for axis, step in enumerate(steps):
        panel.viewer.dims.set_current_step(axis, step)


def read(panel):
    """Pixels as the network reads them."""
    reading = panel.image_panel.reading()
    view = reading.view(panel.control.chosen, panel.choice.card)
    return np.rint(view.read(Window.whole(SHAPE)) * 255).astype(np.uint8)


def about(panel):
    return panel.image_panel.about.text()


def test_of_seven_planes_the_one_that_is_shown(panel, qtbot):
    panel.viewer.add_image(PLANES[:7], name="stack")
    slide(panel, qtbot, 3)
    qtbot.waitUntil(lambda: about(panel).startswith("bands 4, 4, 4;"))
    assert "of its 7 planes the one that is shown, unless bands are chosen" in about(panel)
    np.testing.assert_array_equal(read(panel), np.stack([PLANES[3]] * 3))
    slide(panel, qtbot, 5)
    qtbot.waitUntil(lambda: about(panel).startswith("bands 6, 6, 6;"))
    assert panel.image_panel.bands.line.text() == "red 6, green 6, blue 6"
    # What is chosen by hand stays, wherever the slider goes.
    box = panel.image_panel.bands.boxes[0]
    box.setCurrentIndex(box.findData(1))
    box.activated.emit(box.currentIndex())
    slide(panel, qtbot, 2)
    panel.image_panel._follow.flush()
    assert about(panel).startswith("bands 1, 6, 6;")
    np.testing.assert_array_equal(read(panel), PLANES[[0, 5, 5]])


@pytest.mark.parametrize(
    ("data", "rgb", "step", "right", "said"),
    [
        (COLOURED, True, (4,), np.moveaxis(COLOURED[4], -1, 0), "frame 5 of 8 is read"),
        (PLANES.reshape(4, 6, *SHAPE), False, (1, 2), np.stack([PLANES[8]] * 3), "2 of 4 and 3 of"),
        (PLANES[:3], False, (1,), PLANES[:3], "its 3 planes are read as bands"),
        (PLANES[:2], False, (1,), np.stack([PLANES[1]] * 3), "of its 2 planes the one"),
        (PLANES[:1], False, (0,), np.stack([PLANES[0]] * 3), "bands 1, 1, 1"),
    ],
)
def test_axes(panel, qtbot, data, rgb, step, right, said):
    panel.viewer.add_image(data, rgb=rgb, name="a")
    slide(panel, qtbot, *step)
    qtbot.waitUntil(lambda: said in about(panel) and np.array_equal(read(panel), right))


def test_bands_that_are_shown_as_columns_are_refused_by_name(panel):
    panel.viewer.add_image(np.moveaxis(PLANES[:4], 0, -1), rgb=False, name="scene")
    assert about(panel).startswith("'scene' has its 4 bands in the last axis")
    assert panel.choice.chosen is None


def test_other_axes_on_the_screen_are_refused_by_name(panel, qtbot):
    panel.viewer.add_image(PLANES[:7], name="stack")
    panel.viewer.dims.order = (1, 0, 2)
    qtbot.waitUntil(lambda: about(panel).startswith("'stack' is shown along other axes"))
    panel.viewer.dims.order = (0, 1, 2)
    qtbot.waitUntil(lambda: about(panel).startswith("bands "))


def test_another_frame_is_another_map(panel, qtbot):
    panel.viewer.add_image(COLOURED[:, :, :], rgb=True, name="a")

    def segment():
        panel.segment()
        qtbot.wait(1)
        qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)

    slide(panel, qtbot, 0)
    qtbot.waitUntil(lambda: "frame 1 of 8 is read" in about(panel))
    segment()
    panel.arm(1)
    panel.viewer.layers["Clicks"].add((20, 30))
    first = panel.control.session
    assert len(first.document.clicks) == 1
    slide(panel, qtbot, 6)
    qtbot.waitUntil(lambda: "frame 7 of 8 is read" in about(panel))
    assert panel.opening.session() is None, "the map that is there is of another frame"
    segment()
    assert panel.control.session is not first
    assert not panel.control.session.document.clicks, (
        "those of the other frame are about other pixels"
    )
    np.testing.assert_array_equal(
        panel.control.session.raster.read(Window.whole(SHAPE)), np.moveaxis(COLOURED[6], -1, 0)
    )
    slide(panel, qtbot, 0)
    qtbot.waitUntil(lambda: "frame 1 of 8 is read" in about(panel))
    segment()
    assert len(panel.control.session.document.clicks) == 1, "the frame comes back with its clicks"
