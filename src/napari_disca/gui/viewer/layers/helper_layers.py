"""Hides helper layers from napari's list of layers: the user does not edit them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QListView, QMainWindow, QWidget

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.key_filter import main_window

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Layer

#: What marks a helper in ``layer.metadata["napari_disca"]``: the hatching, second views, the
#: uncertainty.
_MARKS = ("hatch", "copy", "helper")


class HelperLayers(QObject):
    """Hides the rows of helper layers in the layer list; the layers stay in the viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    panel : QWidget
        Docked in the viewer's window.
    """

    def __init__(self, viewer: Viewer, panel: QWidget) -> None:
        super().__init__(panel)
        self._viewer, self._panel = viewer, panel
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        for event in (viewer.layers.events.inserted, viewer.layers.events.moved):
            event.connect(self._later)

    def end(self) -> None:
        """Stop hiding rows."""
        self._timer.stop()
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.moved):
            event.disconnect(self._later)

    def _later(self, _event: object = None) -> None:
        self._timer.start(0)  # later: the list gets the event after this

    def hide(self) -> None:
        """Hide the rows of all helper layers."""
        window = main_window(self._panel)
        view = layer_list(window) if window is not None else None
        if view is None:
            return
        helpers = {layer.name for layer in self._viewer.layers if is_helper(layer)}
        model = not_none(view.model())
        for row in range(model.rowCount()):
            hidden = model.index(row, 0).data() in helpers
            if view.isRowHidden(row) != hidden:
                view.setRowHidden(row, hidden)


def is_helper(layer: Layer) -> bool:
    """Whether a layer is a helper layer of this plugin."""
    about = layer.metadata.get("napari_disca", {})
    return any(about.get(mark) for mark in _MARKS)


def layer_list(window: QMainWindow) -> QListView | None:
    """Return napari's list of layers; None where another napari has another widget."""
    for view in window.findChildren(QListView):
        if type(view).__name__ == "QtLayerList":
            return view
    return None
