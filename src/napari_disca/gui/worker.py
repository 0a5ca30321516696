"""A job on a thread."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from qtpy.QtCore import Signal

from napari_disca.events import Job
from napari_disca.threads import give_way


def job_thread() -> ThreadPoolExecutor:
    """Return the thread that jobs compute on, one after the other, until it is shut down.

    A thread of our own, because those of Qt's pool run other plugins' work too, and because a
    thread that stays has its team of OpenMP threads ready.
    """
    return ThreadPoolExecutor(1, "napari-disca-job", initializer=give_way)


class _Signals(WorkerBaseSignals):
    progressed = Signal(object)
    aborted = Signal()


class JobWorker(WorkerBase):
    """Runs a job on a thread of low priority; its events arrive on the GUI thread.

    Signals: ``progressed(event)``, ``returned(result)``, ``errored(exception)``, ``aborted()``,
    ``finished()``. Connect bound methods of a `QObject`, not lambdas: those would run on the
    worker's thread.

    napari's ``@thread_worker`` would lose a `RuntimeError` raised in the job (CUDA out of memory is
    one) and run its ``finally`` late on cancel.

    Parameters
    ----------
    job : Job
    thread : Executor
        What `job_thread` gives; whoever has it made shuts it down.
    """

    def __init__(self, job: Job[Any], thread: Executor) -> None:
        super().__init__(SignalsClass=_Signals)
        self._job = job
        self._thread = thread

    def work(self) -> Any:
        """Wait, on a thread of Qt's pool, for the job's own thread."""
        try:
            running = self._thread.submit(self._drive)
        except RuntimeError:  # the window has gone before the work began
            self.aborted.emit()
            return None
        return running.result()

    def _drive(self) -> Any:
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
