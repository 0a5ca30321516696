"""A job on a thread."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

from napari.qt.threading import WorkerBase, WorkerBaseSignals
from qtpy.QtCore import Signal

from napari_disca.core.events import Job
from napari_disca.core.threads import give_way

#: Seconds within which an abandoned job may still end by itself.
_PATIENCE = 0.3


def job_threads() -> ThreadPoolExecutor:
    """Return the thread that jobs compute on, one after the other, until it is shut down.

    A thread of our own, because those of Qt's pool run other plugins' work too, and because a
    thread that stays has its team of OpenMP threads ready. A second one is there for those who do
    not want to wait for the last step of a job that was abandoned.
    """
    return ThreadPoolExecutor(2, "napari-disca-job", initializer=give_way)


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
    threads : Executor
        What `job_threads` gives; whoever has it made shuts it down.
    """

    def __init__(self, job: Job[Any], threads: Executor) -> None:
        super().__init__(SignalsClass=_Signals)
        self._job = job
        self._threads = threads
        #: Set when the job has ended or is to be abandoned.
        self._stirred = threading.Event()
        self._lock = threading.Lock()
        self._abandoned = False

    def abandon(self) -> None:
        """Stop, and do not wait for the step at hand: nothing comes of it any more.

        A job that learns on a slow machine takes seconds for a step. `quit` lets it end, since
        what it has drawn is worth something to the job that overtakes it.
        """
        self.quit()
        self._stirred.set()

    def work(self) -> Any:
        """Wait, on a thread of Qt's pool, for the job's own thread."""
        try:
            running = self._threads.submit(self._drive)
        except RuntimeError:  # the window has gone before the work began
            self.aborted.emit()
            return None
        running.add_done_callback(lambda _: self._stirred.set())
        self._stirred.wait()
        if not wait([running], timeout=_PATIENCE).done:
            with self._lock:
                self._abandoned = True
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
                with self._lock:
                    if self._abandoned:
                        return None
                    self.progressed.emit(event)
        self.aborted.emit()
        return None
