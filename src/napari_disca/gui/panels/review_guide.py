"""How the place that is outlined is judged, told in the status bar instead of how to click."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer
from superqt import QElidingLabel

from napari_disca.gui.panels.fitted_area import FittedArea
from napari_disca.gui.viewer.key_filter import main_window
from napari_disca.gui.viewer.present import present

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.panels.layout import Panels


class ReviewGuide(QObject):
    """A line in the status bar while a place is outlined; the section *Review* comes into view.

    Parameters
    ----------
    area : FittedArea
        The panel, docked in the viewer's window.
    panels : Panels
    viewer : napari.Viewer
    """

    def __init__(self, area: FittedArea, panels: Panels, viewer: Viewer) -> None:
        super().__init__(area)
        self._area, self._panels, self._viewer = area, panels, viewer
        self._label: QElidingLabel | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._show_section)
        viewer.events.help.connect(self._on_help)

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
        active = self._viewer.layers.selection.active
        self._viewer.help = "" if line or active is None else active.help
        if line:
            self._panels.sections["Review"].fold(False)
            self._soon.start(0)  # once it is laid out

    def _on_help(self, event: Any) -> None:
        """Leave out what napari tells: how to click is not what the keys do now."""
        if event.value and self.line:
            self._viewer.help = ""

    def _show_section(self) -> None:
        self._area.ensureWidgetVisible(self._panels.queue)
        self._area.ensureWidgetVisible(self._panels.review)
