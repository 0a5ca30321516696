"""The window that the command line opens."""

from __future__ import annotations

from qtpy.QtWidgets import QLabel


def test_the_demo_opens_with_a_map_being_drawn(monkeypatch, weights, qtbot):
    import napari

    from napari_disca.gui.plugin.app import open_window
    from napari_disca.gui.window.widget import DiscaWidget

    monkeypatch.setattr("napari_disca.gui.plugin.samples.SIDE", 128)
    viewer = open_window(demo=True, weights=str(weights), block=False)
    try:
        panel = viewer.window._qt_window.findChild(DiscaWidget)
        assert panel.findChild(QLabel)
        qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
        assert panel.control.session.map_state.up_to_date("disir") == 1.0
        qtbot.wait(350)  # the view is set when the window is laid out
    finally:
        viewer.close()
    assert napari.current_viewer() is None
