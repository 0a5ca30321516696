"""Shows in the status bar what the keys do now: in a review, or while clicking.

It replaces napari's line about the modes of a layer, since digits choose a class here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer
from superqt import QElidingLabel

from napari_disca.gui.panels.parts.fitted_area import FittedArea
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.key_filter import main_window

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.viewer.keys.verb import Verb
    from napari_disca.gui.window.layout import Panels


#: Verbs whose keys are shown while no place is outlined, with a short name for each.
_USUAL = {"class": "class", "next_tool": "draw", "hide": "hide the map", "keys": "all keys"}


class ReviewGuide(QObject):
    """Shows how to judge the outlined place in the status bar, and scrolls to *Review*.

    While no place is outlined, napari's line of help shows the keys that are used most.

    Parameters
    ----------
    area : FittedArea
        The panel, docked in the viewer's window.
    panels : Panels
    control : Control
    viewer : napari.Viewer
    """

    def __init__(self, area: FittedArea, panels: Panels, control: Control, viewer: Viewer) -> None:
        super().__init__(area)
        self._area, self._panels, self._viewer = area, panels, viewer
        self._control, self._usual = control, ""
        self._label: QElidingLabel | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._show_section)
        viewer.events.help.connect(self._on_help)
        control.changed.connect(self._on_changed)

    def end(self) -> None:
        """Disconnect from the viewer, and remove the line from its window."""
        self._soon.stop()
        self._viewer.events.help.disconnect(self._on_help)
        if self._label is not None:
            self._label.deleteLater()
            self._label = None

    @property
    def line(self) -> str:
        """The line that is shown; empty if none is."""
        return self._label.text() if self._label is not None else ""

    def tell(self, line: str) -> None:
        """Show how to judge the outlined place; an empty line hides it."""
        if self._label is None and line:
            window = main_window(self._area)
            if window is None:
                return
            self._label = QElidingLabel()
            self._label.setAccessibleName("How to judge the place")
            # napari's part of the bar takes the remaining width.
            not_none(window.statusBar()).addPermanentWidget(self._label, 3)
        if self._label is None:
            return
        self._label.setText(line)
        self._label.setVisible(bool(line))
        self._tell_help()
        if line:
            self._panels.sections["Review"].fold(False)
            self._soon.start(0)  # after it is laid out

    def _tell_help(self) -> None:
        """Set napari's line of help."""
        active = self._viewer.layers.selection.active
        of_layer = "" if active is None else active.help
        self._viewer.help = "" if self.line else self._usual or of_layer

    def _on_help(self, event: Event) -> None:
        """Replace napari's own help on a layer, which names keys that do something else here."""
        if event.value and (self.line or self._usual) and event.value != self._usual:
            self._tell_help()

    def _on_changed(self) -> None:
        """Show the usual keys while there is a session, and napari's own help after it."""
        session = self._control.session
        usual = (
            ""
            if session is None
            else usual_keys(self._panels.refine.verbs, len(session.document.classes))
        )
        if usual != self._usual:
            self._usual = usual
            self._tell_help()

    def _show_section(self) -> None:
        self._area.ensureWidgetVisible(self._panels.queue)
        self._area.ensureWidgetVisible(self._panels.review)


def usual_keys(verbs: Mapping[str, Verb], classes: int) -> str:
    """Return the keys that are used most while clicking, in one line."""
    keys = {name: verbs[name].key for name in _USUAL}
    numbers = verbs["class"].keys[: max(1, classes)]
    keys["class"] = numbers[0] + (f"…{numbers[-1]}" if len(numbers) > 1 else "")
    return " · ".join(f"{keys[name]} {what}" for name, what in _USUAL.items() if keys[name])
