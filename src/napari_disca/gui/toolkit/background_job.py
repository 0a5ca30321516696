"""Runs jobs that nobody waits for: places of a review, regions of a ripple, a second class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Signal

from napari_disca.core.events import Job
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.worker import JobWorker, job_threads

T = TypeVar("T")


class BackgroundJob(QObject):
    """Runs one job at a time on threads of its own; errors are shown to the user.

    Signals: ``progressed(event)``, and ``finished()`` at last. Nothing arrives from a job that was
    dropped.

    Parameters
    ----------
    parent : QObject
    """

    progressed = Signal(object)
    finished = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._threads = job_threads(self)
        self._worker: JobWorker | None = None
        self._done: Callable[[Any], object] | None = None

    @property
    def running(self) -> bool:
        """Whether a job runs."""
        return self._worker is not None

    def start(self, job: Job[T], done: Callable[[T], object]) -> None:
        """Start a job while none runs.

        Parameters
        ----------
        job : Job
        done : callable
            Called with the result before `finished`, unless the job fails or is dropped.
        """
        assert self._worker is None, "a job runs"
        self._done = done
        self._worker = worker = JobWorker(job, self._threads)
        worker.progressed.connect(self._on_progressed)
        worker.returned.connect(self._on_returned)
        worker.errored.connect(tell_error)
        worker.finished.connect(self._on_finished)
        worker.start()

    def drop(self) -> None:
        """Stop the running job without waiting for it, and ignore what it has found."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.progressed.disconnect(self._on_progressed)
            worker.returned.disconnect(self._on_returned)
            worker.errored.disconnect(tell_error)
            worker.finished.disconnect(self._on_finished)
            worker.abandon()

    def end(self) -> None:
        """Drop the running job, and end the threads."""
        self.drop()
        self._threads.shutdown(wait=False)

    def _on_progressed(self, event: object) -> None:
        self.progressed.emit(event)

    def _on_returned(self, result: object) -> None:
        if self._done is not None:
            self._done(result)

    def _on_finished(self) -> None:
        self._worker = None
        self.finished.emit()
