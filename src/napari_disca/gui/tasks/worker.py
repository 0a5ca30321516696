"""A job on a thread of the plugin's own."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_disca.core.events import Job
from napari_disca.core.threads import lower_thread_priority

#: Seconds within which an abandoned job may still end by itself.
_PATIENCE = 0.3
#: Alive until their work is done, whoever forgets them.
_AT_WORK: set[JobWorker] = set()


def job_threads() -> ThreadPoolExecutor:
    """Return the threads that jobs compute on, until they are shut down.

    Threads of our own, because those of Qt's pool are few and run other plugins' work, and because
    a thread that stays has its team of OpenMP threads ready. Jobs run one after the other; the
    second thread is for those who do not want to wait for the last step of an abandoned job.
    """
    return ThreadPoolExecutor(2, "napari-disca-job", initializer=lower_thread_priority)


class JobWorker(QObject):
    """Runs a job on a thread of low priority; its events arrive on the thread that made it.

    Signals: ``progressed(event)``, then one of ``returned(result)``, ``errored(exception)`` and
    ``aborted()``, and ``finished()`` at last. Connect bound methods of a `QObject`: those run on
    that object's thread.

    napari's ``@thread_worker`` would lose a `RuntimeError` raised in the job (CUDA out of memory is
    one), run its ``finally`` late on cancel, and take a thread of Qt's pool.

    Parameters
    ----------
    job : Job
    threads : Executor
        What `job_threads` gives; whoever has it made shuts it down.
    """

    progressed = Signal(object)
    returned = Signal(object)
    errored = Signal(object)
    aborted = Signal()
    finished = Signal()

    def __init__(self, job: Job[Any], threads: Executor) -> None:
        super().__init__()
        self._job = job
        self._threads = threads
        self._asked_to_stop = threading.Event()
        self._lock = threading.Lock()
        self._ended = False
        self.finished.connect(self._forget)

    def start(self) -> None:
        """Begin, as soon as one of the threads is free."""
        _AT_WORK.add(self)
        try:
            self._threads.submit(self._drive)
        except RuntimeError:  # the threads were shut down: the window has gone
            self._job.close()
            self._end(self.aborted)

    def quit(self) -> None:
        """Stop after the step at hand."""
        self._asked_to_stop.set()

    def abandon(self) -> None:
        """Stop, and do not wait for the step at hand: nothing comes of it any more.

        A job that learns on a slow machine takes seconds for a step. `quit` lets it end, since
        what it has drawn is worth something to the job that overtakes it.
        """
        self.quit()
        patience = threading.Timer(_PATIENCE, self._end, (self.aborted,))
        patience.daemon = True
        patience.start()

    def _drive(self) -> None:
        """Drive the job until it ends or is told to stop."""
        try:
            with closing(self._job) as job:  # the engine's `finally` runs here and now
                while not self._asked_to_stop.is_set():
                    try:
                        event = next(job)
                    except StopIteration as stop:
                        self._end(self.returned, stop.value)
                        return
                    if not self._tell(event):
                        return
        except Exception as error:
            self._end(self.errored, error)
        else:
            self._end(self.aborted)

    def _tell(self, event: object) -> bool:
        """Pass an event on, unless the job was abandoned; whether it goes on."""
        with self._lock:
            if not self._ended:
                self.progressed.emit(event)
            return not self._ended

    def _end(self, signal: Any, *arguments: object) -> None:
        """Say how the job has ended; the first word is the last."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        signal.emit(*arguments)
        self.finished.emit()

    def _forget(self) -> None:
        _AT_WORK.discard(self)
