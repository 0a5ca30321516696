"""The legend on the canvas of a window, and what lies below it."""

from __future__ import annotations

import pytest
from napari.components import ViewerModel

from napari_disca.gui.toolkit.windows import canvas_widget
from napari_disca.gui.viewer.canvas.canvas_legend import CanvasLegend
from napari_disca.networks import LandClass

CLASSES = (LandClass("roof", "#d95f02"), LandClass("<b>a & b</b>", "#ffffff"))


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


def test_the_legend_stays_in_the_lower_left_corner(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    canvas = canvas_widget(viewer)
    legend = CanvasLegend(viewer)
    legend.show(CLASSES)
    box = legend.lines[0].parentWidget()
    for height in (800, 600):
        viewer.window.resize(1000, height)
        qtbot.waitUntil(lambda height=height: height - 300 < canvas.height() < height)
        assert canvas.height() - box.geometry().bottom() == 9
        assert box.x() == 8
    first, second = (line.mapTo(canvas, line.rect().center()) for line in legend.lines)
    assert first.y() < second.y()
    legend.clear()


def test_names_are_shown_as_they_are(viewer, qtbot):
    legend = CanvasLegend(viewer)
    legend.show(CLASSES)
    assert [line.text() for line in legend.lines] == ["1  roof", "2  <b>a & b</b>"]
    wide = legend.lines[1].fontMetrics().horizontalAdvance("2  <b>a & b</b>")
    assert legend.lines[1].sizeHint().width() >= wide, "not as bold letters"
    legend.show(CLASSES, order=(1, 0))
    assert [line.text() for line in legend.lines] == ["1  <b>a & b</b>", "2  roof"]
    legend.clear()


def test_the_mouse_reaches_the_canvas_through_it(viewer, qtbot):
    canvas = canvas_widget(viewer)
    legend = CanvasLegend(viewer)
    legend.show(CLASSES)
    box = legend.lines[0].parentWidget()
    assert canvas.childAt(box.geometry().center()) is None
    legend.clear()


def test_it_is_hidden_and_shown_also_for_later_classes(viewer):
    legend = CanvasLegend(viewer)
    legend.toggle()
    legend.show(CLASSES)
    assert not legend.visible
    assert legend.lines[0].parentWidget().isHidden()
    legend.toggle()
    assert not legend.lines[0].parentWidget().isHidden()
    legend.clear()
    assert not legend.lines


def test_a_viewer_without_a_window_has_none():
    legend = CanvasLegend(ViewerModel())
    legend.show(CLASSES)
    assert not legend.lines
    legend.toggle()
    legend.clear()
