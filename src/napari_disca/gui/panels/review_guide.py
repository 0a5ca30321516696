"""What the keys do now, told in the status bar: of a review, or of clicking.

napari tells which digits change the mode of its layer; here digits choose a class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from superqt import QElidingLabel

from napari_disca.gui.panels.fitted_area import FittedArea
from napari_disca.gui.viewer.key_filter import main_window
from napari_disca.gui.viewer.present import present

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.panels.layout import Panels
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.viewer.verb import Verb


#: Verbs whose keys are told while no place is outlined, and what they are for.
_USUAL = {"class": "class", "next_tool": "draw", "hide": "hide the map", "keys": "all keys"}


class ReviewGuide(QObject):
    """A line in the status bar while a place is outlined; the section *Review* comes into view.

    Where none is, napari's own line of help tells the keys that are used most.

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
        """Let go of viewer and window."""
        self._soon.stop()
        self._viewer.events.help.disconnect(self._on_help)
        if self._label is not None:
            self._label.deleteLater()
            self._label = None

    @property
    def line(self) -> str:
        """What is told."""
        return self._label.text() if self._label is not None else ""

    def tell(self, line: str) -> None:
        """Tell how to judge; the empty line: no place is outlined any more."""
        if self._label is None and line:
            window = main_window(self._area)
            if window is None:
                return
            self._label = QElidingLabel()
            self._label.setAccessibleName("How to judge the place")
            # napari's part of the bar takes all that is left.
            present(window.statusBar()).addPermanentWidget(self._label, 3)
        if self._label is None:
            return
        self._label.setText(line)
        self._label.setVisible(bool(line))
        self._tell_help()
        if line:
            self._panels.sections["Review"].fold(False)
            self._soon.start(0)  # once it is laid out

    def _tell_help(self) -> None:
        """Show what napari's line of help is to tell now."""
        active = self._viewer.layers.selection.active
        of_layer = "" if active is None else active.help
        self._viewer.help = "" if self.line else self._usual or of_layer

    def _on_help(self, event: Any) -> None:
        """Leave out what napari tells: how to click is not what the keys do now."""
        if event.value and (self.line or self._usual) and event.value != self._usual:
            self._tell_help()

    def _on_changed(self) -> None:
        """Tell the keys while there is a session; after it napari tells its own again."""
        session = self._control.session
        usual = (
            "" if session is None else usual_keys(self._panels.refine.verbs, len(session.classes))
        )
        if usual != self._usual:
            self._usual = usual
            self._tell_help()

    def _show_section(self) -> None:
        self._area.ensureWidgetVisible(self._panels.queue)
        self._area.ensureWidgetVisible(self._panels.review)


def usual_keys(verbs: Mapping[str, Verb], classes: int) -> str:
    """The keys that are used most while clicking, in one line."""
    keys = {name: verbs[name].key for name in _USUAL}
    numbers = verbs["class"].keys[: max(1, classes)]
    keys["class"] = numbers[0] + (f"…{numbers[-1]}" if len(numbers) > 1 else "")
    return " · ".join(f"{keys[name]} {what}" for name, what in _USUAL.items() if keys[name])
