"""Locks and unlocks areas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_warning

from napari_disca.annotations.areas import Area
from napari_disca.gui.tasks.error_messages import guarded
from napari_disca.gui.viewer.locked import AREAS

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.history import Lock


class Locking:
    """Locks and unlocks areas of the session of a control.

    Parameters
    ----------
    control : Control
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def lock(self, *areas: Area) -> None:
        """Lock areas as the map shows them now."""
        session = self._control.session
        if session is None:
            return
        if any(session.stale(session.corrected, area.window) for area in areas):
            show_warning("The map is still being drawn there; lock the area when it is done")
            return
        if guarded(lambda: session.lock(*areas)):
            self._control.say(
                "Locked; it stays as it is, and the next Adapt learns from it", of_step=True
            )

    def lock_view(self) -> None:
        """Lock the part of the image in view."""
        layers = self._control.layers
        view = layers.view() if layers is not None else None
        if view is not None:
            self.lock(Area.rectangle(view))

    def unlock(self, *locks: Lock) -> None:
        """Unlock areas."""
        session = self._control.session
        if session is not None and locks:
            guarded(lambda: session.unlock(*locks))

    def unlock_selected(self) -> None:
        """Unlock the areas that are selected in the layer."""
        layers = self._control.layers
        if layers is None or layers.locked is None:
            return
        if locks := layers.locked.selected():
            self.unlock(*locks)
        else:
            show_warning(f"Select areas in the layer '{AREAS}' first (its tool with the arrow)")
