"""The one place that asks napari for something it keeps to itself."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy

from napari_disca.gui.viewer.windows import is_open, open_layers, unwrapped


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
