"""What is being opened in a window: files, the chosen image, its session."""

from __future__ import annotations

from concurrent.futures import Executor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal

from napari_disca.core.events import Job
from napari_disca.gui.tasks.opening.file_opening import opening_files
from napari_disca.gui.tasks.opening.session_opening import Opening, Resumed
from napari_disca.gui.toolkit.file_reading import FileReading
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari import Viewer


class Pending(QObject):
    """Holds what is being opened: files, the examination of the chosen image, a session.

    Signals: ``changed()`` when something begins or ends.

    Parameters
    ----------
    viewer : napari.Viewer
    threads : Executor
        What `job_threads` gives; sessions are made there.
    parent : QObject

    Attributes
    ----------
    opening : Opening or None
        A session that is being made.
    examination : FileReading or None
        The examination of the chosen image.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer, threads: Executor, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer, self._threads = viewer, threads
        self.opening: Opening | None = None
        self.examination: FileReading[Any] | None = None
        self._ended = False
        opening_files().changed.connect(self.changed)

    def __bool__(self) -> bool:
        return self.opening is not None or self.examination is not None or bool(self.files())

    def files(self) -> list[str]:
        """Names of files that are examined before they are shown in this window."""
        return opening_files().names(self._viewer)

    def begin(self, what: object, job: Job[Session | Resumed]) -> Opening:
        """Return an opening that has started to make a session; the one before it is dropped."""
        self.drop_opening()
        self.opening = Opening(what, job, self._threads)
        self.opening.start()
        self.changed.emit()
        return self.opening

    def take_opening(self) -> Opening:
        """Return the opening that has ended, and forget it."""
        opening, self.opening = self.opening, None
        assert opening is not None
        return opening

    def drop_opening(self) -> None:
        """Drop the session that is being made."""
        opening, self.opening = self.opening, None
        if opening is not None:
            opening.drop()

    def drop_examination(self) -> None:
        """Drop the examination of the image."""
        examination, self.examination = self.examination, None
        if examination is not None:
            examination.drop()

    def cancel(self) -> None:
        """Drop all that is being opened."""
        self.drop_opening()
        self.drop_examination()
        opening_files().cancel(self._viewer)

    def end(self) -> None:
        """Drop all that is being opened, and disconnect: the window is closing."""
        self.cancel()
        if not self._ended:
            self._ended = True
            with suppress(TypeError, RuntimeError):  # Qt has deleted it
                opening_files().changed.disconnect(self.changed)
