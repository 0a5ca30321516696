"""The one place that asks napari for something it keeps to itself."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Vectors
from napari.utils._proxies import PublicOnlyProxy

from napari_disca.gui.toolkit.windows import (
    draw_one_in_thumbnail,
    is_open,
    leave_out_empty_text,
    open_layers,
    redraw_labels,
    unwrapped,
    without_rebuilding_overlays,
)


def test_layers_of_all_windows_are_found(make_napari_viewer):
    first, second = make_napari_viewer(), make_napari_viewer()
    layers = [
        viewer.add_image(np.zeros((4, 4)), name=name)
        for viewer, name in ((first, "one"), (second, "two"))
    ]
    assert {id(layer) for layer in layers} <= {id(layer) for layer in open_layers()}


def test_an_open_window_is_known_through_the_proxy_that_panels_get(make_napari_viewer):
    viewer = make_napari_viewer()
    proxy = PublicOnlyProxy(viewer)
    assert unwrapped(proxy) is viewer
    assert unwrapped(viewer) is viewer
    assert is_open(proxy)
    assert not is_open(ViewerModel())


def test_hiding_a_layer_leaves_the_scene_as_it_is(make_napari_viewer, monkeypatch):
    viewer = make_napari_viewer()
    layer = viewer.add_labels(np.ones((4, 4), dtype=np.uint8))
    canvas = viewer.window._qt_viewer.canvas
    made = []
    monkeypatch.setattr(canvas, "_reorder_layers", lambda: made.append(1))
    with without_rebuilding_overlays(PublicOnlyProxy(viewer)):
        layer.visible = False
    assert not made
    assert not canvas.layer_to_visual[layer].node.visible
    layer.visible = True
    assert made, "without it, napari makes the scene anew: otherwise this test says nothing"
    with pytest.raises(ZeroDivisionError), without_rebuilding_overlays(viewer):
        raise ZeroDivisionError
    assert not canvas._pause_scene_graph
    viewer.canvas.grid.enabled = True
    made.clear()
    with without_rebuilding_overlays(viewer):
        layer.visible = False
    assert made, "in a grid, a hidden layer gives its place away"


@pytest.mark.parametrize("contour", [0, 1])
@pytest.mark.parametrize("multiscale", [False, True])
def test_labels_changed_in_place_are_drawn_as_napari_draws_them(
    make_napari_viewer, multiscale, contour
):
    viewer = make_napari_viewer(show=True)
    labels = np.ones((64, 64), dtype=np.uint8)
    data = [labels, labels[::2, ::2].copy()] if multiscale else labels
    layer = viewer.add_labels(data, multiscale=multiscale)
    layer.contour = contour
    before = viewer.screenshot(flash=False)
    told = []
    viewer.layers.events.connect(lambda event: told.append(event.type))
    for level in data if multiscale else [data]:
        level[: len(level) // 2, : len(level) // 4] = 2
    redraw_labels(layer)
    told_by_us = list(told)
    ours = viewer.screenshot(flash=False)
    layer.refresh()
    np.testing.assert_array_equal(ours, viewer.screenshot(flash=False))
    assert (ours != before).any()
    assert "set_data" in told, "without it, napari tells the list: else this test says nothing"
    if not contour:
        assert not {"set_data", "labels_update"} & set(told_by_us), "it paints all its rows again"


def test_hidden_labels_are_drawn_when_they_are_shown(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    labels = np.ones((64, 64), dtype=np.uint8)
    layer = viewer.add_labels(labels, visible=False)
    labels[:32] = 2
    redraw_labels(layer)
    layer.visible = True
    ours = viewer.screenshot(flash=False)
    layer.refresh()
    np.testing.assert_array_equal(ours, viewer.screenshot(flash=False))


def test_labels_are_drawn_in_three_dimensions(make_napari_viewer):
    viewer = make_napari_viewer()
    labels = np.ones((64, 64), dtype=np.uint8)
    layer = viewer.add_labels(labels)
    viewer.dims.ndisplay = 3
    labels[:32] = 2
    redraw_labels(layer)
    viewer.dims.ndisplay = 2
    redraw_labels(layer)


def test_text_beside_points_is_drawn_while_there_is_some(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((64, 64)))
    layer = viewer.add_points([[10, 10], [40, 40]], size=3, features={"name": ["roof", "street"]})
    drawn = viewer.window._qt_viewer.canvas.layer_to_visual[layer].node.text
    before = viewer.screenshot(flash=False)
    assert drawn.visible, "napari draws nothing: this test says nothing"
    leave_out_empty_text(PublicOnlyProxy(viewer), layer)
    assert not drawn.visible
    np.testing.assert_array_equal(viewer.screenshot(flash=False), before)
    layer.text = {"string": "{name}", "color": "white"}
    assert drawn.visible
    assert (viewer.screenshot(flash=False) != before).any()
    layer.text = None
    assert not drawn.visible
    np.testing.assert_array_equal(viewer.screenshot(flash=False), before)


def test_napari_limits_the_lines_of_a_thumbnail_by_this_name():
    layer = Vectors(np.zeros((1, 2, 2)))
    assert layer._max_vectors_thumbnail > 1
    draw_one_in_thumbnail(layer)
    assert layer._max_vectors_thumbnail == 1
