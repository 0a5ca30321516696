"""A window that the tests of a module share, since to make one takes most of a test's time."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import napari
import napari.settings
import pytest
from napari._app_model import _app
from napari._qt._qapp_model.qactions import init_qactions
from napari._qt.qt_viewer import QtViewer
from napari.plugins import _initialize_plugins
from qtpy.QtWidgets import QApplication, QDialog, QWidget

from napari_disca.gui.viewer.canvas.review_camera import ReviewCamera


@contextmanager
def reused_viewer() -> Iterator[napari.Viewer]:
    """Make a viewer as `make_napari_viewer` does, which closes its own after every test."""
    application = _app.NapariApplication("reused")
    application.injection_store.namespace = _app._napari_names
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_app.NapariApplication, "get_app_model", lambda: application)
        patch.setattr("napari._qt.threads.status_checker.StatusChecker.start", lambda _: None)
        patch.setattr(QtViewer, "_get_console", _no_console)
        napari.settings.get_settings().reset()
        _forget_plugins()
        viewer = napari.Viewer(show=False, show_welcome_screen=False)
        window = weakref.ref(viewer.window._qt_window)
        QtViewer._instances.clear()  # `make_napari_viewer` may make another one beside it
        yield viewer
        patch.setattr(window(), "_save_current_window_settings", lambda: None)
        viewer.close()
        del viewer
        QApplication.processEvents()
        gc.collect()
        patch.undo()
    _app.NapariApplication.destroy("reused")
    _forget_plugins()
    assert window() is None, "something keeps the window alive"
    gc.freeze()


def _no_console(*_: object) -> QWidget:
    widget = QWidget()
    widget._update_theme = lambda: None
    return widget


def _forget_plugins() -> None:
    _initialize_plugins.cache_clear()
    init_qactions.cache_clear()


def begin_anew(window: Any) -> None:
    """Take back what a test has done with the segmented scene: its steps, layers and choices."""
    panel, control, viewer = window.panel, window.control, window.viewer
    for dialog in panel.findChildren(QDialog):
        dialog.close()
    panel.reviewing.leave()
    panel.drawing.tool.choose("click")
    panel.drawing.tool.radius = 0.0
    panel.draw_panel.teaches.setChecked(True)
    for action in panel.draw_panel._menu.actions():
        action.setChecked(True)
    panel.compare_panel.switch.setChecked(False)
    control.go(0)
    control.segment()
    window.idle()
    for name, layer in control.layers.maps.items():
        layer.visible = name == "disir"
    see_through = panel.viewer_controls.see_through
    see_through.follow()
    see_through.attach(None)
    see_through.attach(control.layers)
    see_through.set_defaults("fill", 0.5)
    control.layers.settle()
    for name, values in window.uncertainty.items():
        control.session.uncertainty[name][:] = values
    control.review = ReviewCamera(control.session, control.layers)
    control._view_timer.start()
    panel.review_places._attach(None)
    control.message.begin(control.session)
    panel.viewer_controls.keys_chosen.emit({})
    panel.arm(0)
    clicks = viewer.layers["Clicks"]
    viewer.layers.selection.active = clicks
    clicks.mode = "add"
    viewer.reset_view()
    viewer.status = ""
    control.changed.emit()
    window.said.clear()
