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
    open_layers,
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


def test_napari_limits_the_lines_of_a_thumbnail_by_this_name():
    layer = Vectors(np.zeros((1, 2, 2)))
    assert layer._max_vectors_thumbnail > 1
    draw_one_in_thumbnail(layer)
    assert layer._max_vectors_thumbnail == 1
