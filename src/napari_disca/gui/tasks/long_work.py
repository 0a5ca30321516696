"""Notice that long work has ended, for a user who looks at another program."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject
from qtpy.QtWidgets import QApplication, QWidget

from napari_disca.core.events import Progress
from napari_disca.core.pace import duration

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control

#: Seconds of work after which a notice is shown, unless the settings say otherwise.
_LONG = 20.0


class LongWork(QObject):
    """Shows a notice when long work has ended while no window of napari is active.

    Parameters
    ----------
    control : Control
    panel : QWidget
        In the window that asks for attention.

    Attributes
    ----------
    seconds : float
        Work that took less ends without a notice; with 0, all work does.
    """

    def __init__(self, control: Control, panel: QWidget) -> None:
        super().__init__(panel)
        self._control, self._panel = control, panel
        self._since: float | None = None
        self._stage = ""
        self.seconds = _LONG
        control.changed.connect(self._on_changed)
        control.progressed.connect(self._on_progressed)

    def _on_progressed(self, progress: Progress) -> None:
        self._stage = progress.stage or self._stage

    def _on_changed(self) -> None:
        if self._control.busy:
            self._since = time.monotonic() if self._since is None else self._since
            return
        since, self._since = self._since, None
        if since is None or not self.seconds or time.monotonic() - since < self.seconds:
            return
        if self._is_looked_at():
            return
        QApplication.alert(self._panel.window())  # its entry in the task bar
        what = f": {self._stage}" if self._stage else ""
        show_info(f"Finished after {duration(time.monotonic() - since)}{what}")

    def _is_looked_at(self) -> bool:
        return QApplication.activeWindow() is not None
