"""A job on a thread."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from qtpy.QtCore import Signal

from napari_disca.events import Job


class _Signals(WorkerBaseSignals):
    progressed = Signal(object)
    aborted = Signal()


class JobWorker(WorkerBase):
    """Runs a job on a thread of Qt's pool; its events arrive on the GUI thread.

    Signals: ``progressed(event)``, ``returned(result)``, ``errored(exception)``, ``aborted()``,
    ``finished()``. Connect bound methods of a `QObject`, not lambdas: those would run on the
    worker's thread.

    napari's ``@thread_worker`` would lose a `RuntimeError` raised in the job (CUDA out of memory is
    one) and run its ``finally`` late on cancel.

    Parameters
    ----------
    job : Job
    """

    def __init__(self, job: Job[Any]) -> None:
        super().__init__(SignalsClass=_Signals)
        self._job = job

    def work(self) -> Any:
        """Drive the job until it ends or is told to stop."""
        with closing(self._job) as job:  # the engine's `finally` runs here and now
            while not self.abort_requested:
                try:
                    event = next(job)
                except StopIteration as stop:
                    return stop.value
                self.progressed.emit(event)
        self.aborted.emit()
        return None
