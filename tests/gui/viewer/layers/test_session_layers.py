"""The layers of a session show its maps, with as little work of napari as possible."""

from __future__ import annotations

import numpy as np

from napari_disca.core.events import Patch


def test_an_adaptation_shows_the_other_map_in_the_same_scene(reused, monkeypatch):
    layers = reused.control.layers
    canvas = reused.viewer.window._qt_viewer.canvas
    scenes = []
    monkeypatch.setattr(canvas, "_reorder_layers", lambda: scenes.append(1))
    layers.show_adapted(True)
    assert (layers.maps["disca"].visible, layers.maps["disir"].visible) == (True, False)
    layers.show_adapted(False)
    assert (layers.maps["disca"].visible, layers.maps["disir"].visible) == (False, True)
    assert not scenes


def test_patches_between_two_frames_are_drawn_once(reused, monkeypatch):
    layers, session = reused.control.layers, reused.control.session
    reused.idle()
    drawn = []
    monkeypatch.setattr("napari_disca.gui.viewer.layers.session_layers.redraw_labels", drawn.append)
    monkeypatch.setattr(layers._timer, "start", lambda: None)
    window = session.network_view.image_window(session.tiling[0].keep)
    labels = np.zeros(window.shape, dtype=np.uint8)
    for label in range(3):
        session.painted.emit(Patch("disir", window, labels + np.uint8(label)))
    assert not drawn
    layers.redraw()
    assert drawn == [layers.maps["disir"]]
    layers.redraw()
    assert len(drawn) == 1, "nothing has changed since"
