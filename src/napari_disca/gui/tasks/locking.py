"""Locks and unlocks areas."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import show_warning

from napari_disca.annotations.areas import Area
from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.gui.viewer.layers.locked_areas import AREAS
from napari_disca.gui.viewer.layers.session_layers import SessionLayers
from napari_disca.session.steps.step_values import Lock


class Locking:
    """Locks and unlocks areas of the session that a window shows.

    Parameters
    ----------
    say : callable
        Shows a message about the step that locks.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._layers: SessionLayers | None = None

    def begin(self, layers: SessionLayers | None) -> None:
        """Lock areas of the session of these layers from now on; with None, of no session."""
        self._layers = layers

    def lock(self, *areas: Area) -> None:
        """Lock areas as the map shows them now."""
        if self._layers is None:
            return
        session = self._layers.session
        if any(session.map_state.stale(session.document.corrected, area.window) for area in areas):
            show_warning("The map is still being computed there; lock the area when it is done")
            return
        if guarded(lambda: session.document.lock(*areas)):
            self._say("Locked; it stays as it is, and the next Adapt learns from it")

    def lock_view(self) -> None:
        """Lock the part of the image in view."""
        view = self._layers.view() if self._layers is not None else None
        if view is not None:
            self.lock(Area.rectangle(view))

    def unlock(self, *locks: Lock) -> None:
        """Unlock areas."""
        if self._layers is not None and locks:
            session = self._layers.session
            guarded(lambda: session.document.unlock(*locks))

    def unlock_selected(self) -> None:
        """Unlock the areas that are selected in the layer."""
        if self._layers is None or self._layers.locked is None:
            return
        if locks := self._layers.locked.selected():
            self.unlock(*locks)
        else:
            show_warning(f"Select areas in the layer '{AREAS}' first (its tool with the arrow)")
