"""The layer that hatches what is out of date; a part of `SessionLayers`."""

from __future__ import annotations

from contextlib import suppress

from napari.layers import Labels, Layer
from qtpy.QtCore import QObject, QTimer

from napari_disca.gui.toolkit.windows import redraw_labels
from napari_disca.gui.viewer.layers.hatch import Hatch
from napari_disca.gui.viewer.layers.layer_host import LayerHost

#: Milliseconds for which a tile is out of date before it is hatched; a click takes less.
_HATCH = 400


class StaleLayer(QObject):
    """Hatches the tiles of the top map that show earlier clicks or weights.

    Parameters
    ----------
    layers : LayerHost
    parent : QObject

    Attributes
    ----------
    layer : Labels or None
        None before it is shown, and after the user has removed it.
    """

    def __init__(self, layers: LayerHost, parent: QObject) -> None:
        super().__init__(parent)
        self._layers = layers
        self.layer: Labels | None = None
        self._hatch: Hatch | None = Hatch(layers.session)
        self._timer = QTimer(self)
        self._timer.setInterval(_HATCH)
        self._timer.timeout.connect(self._on_timer)
        #: Whether the hatching is updated with the next frame of the map.
        self._postponed = False
        layers.session.document.history_changed.connect(self._on_history)

    def show(self) -> None:
        """Add the layer if it is missing and the user has not removed it."""
        hatch = self._hatch
        if self.layer is not None or hatch is None:
            return
        host, layers = self._layers, self._layers.viewer.layers
        active = layers.selection.active
        self.layer = hatch.layer(host.placement())
        host.viewer.add_layer(self.layer)
        host.following.add(self.layer, hatch.placement)
        if host.clicks and host.clicks[0] in layers:
            layers.move(layers.index(self.layer), layers.index(host.clicks[0]))
        layers.selection.active = active  # the next click still goes to its layer

    def hatch_outdated(self) -> None:
        """Hatch at once if a tile in view is out of date, since computing it takes a while."""
        shown, session = self._shown(), self._layers.session
        if shown is not None and session.map_state.stale(shown, session.viewport.window):
            self.redraw()

    def redraw(self) -> None:
        """Update the hatching, and again after a while, until nothing is out of date."""
        self._update(less=False)

    def follow_map(self) -> None:
        """Remove the hatching of tiles that are redrawn now, in the same frame.

        Removed later, it would take a frame of its own, and frames are what the window's thread
        spends most time on.
        """
        if self._timer.isActive() or self._postponed:
            self._update(less=not self._postponed)

    def _on_timer(self) -> None:
        if self._layers.redraws_soon:
            self._postponed = True
        else:
            self.redraw()

    def _update(self, *, less: bool) -> None:
        if not less:
            self._postponed = False
        shown = self._shown()
        if shown is None or self._hatch is None:
            self._timer.stop()
            return
        outdated = self._layers.session.map_state.outdated(shown)
        changed = self._hatch.show(outdated, less=less)
        if not outdated.any():
            self._timer.stop()
        if changed and self.layer is not None:
            redraw_labels(self.layer)

    def forget(self, layer: Layer) -> None:
        """Forget a layer that was removed; this one is then not added again."""
        if layer is self.layer:
            self.layer = self._hatch = None

    def end(self) -> None:
        """Stop updating the hatching."""
        with suppress(RuntimeError):  # Qt has deleted it where the window is closed
            self._timer.stop()
        self._layers.session.document.history_changed.disconnect(self._on_history)

    def _shown(self) -> str | None:
        """Name of the top map; None if all are hidden."""
        maps = self._layers.maps
        return next((name for name in reversed(maps) if maps[name].visible), None)

    def _on_history(self) -> None:
        if not self._timer.isActive():
            self._timer.start()
