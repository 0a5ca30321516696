"""Runs a job on a thread of the plugin's own."""

from __future__ import annotations

import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from qtpy.QtCore import QObject, Signal, Slot

from napari_disca.core.events import Job
from napari_disca.core.threads import lower_thread_priority

#: Seconds in which an abandoned job may still end by itself.
_PATIENCE = 0.3
#: Keeps running workers alive until they have ended.
_AT_WORK: set[JobWorker] = set()


class _PoolEnd(QObject):
    """Ends a pool of threads when the object that it belongs to is deleted.

    It outlives that object: PyQt calls a lambda through an object that Qt deletes with the sender,
    which has crashed.
    """

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        super().__init__()
        self._threads = threads
        self.done = False

    @Slot()  # type: ignore[untyped-decorator]  # of qtpy
    def end(self) -> None:
        """Shut the pool down; its running job ends by itself."""
        self.done = True
        self._threads.shutdown(wait=False)


#: Keeps the ends of pools alive until their pools have ended.
_POOL_ENDS: list[_PoolEnd] = []


def job_threads(owner: QObject | None = None) -> ThreadPoolExecutor:
    """Return a pool of two threads for jobs; the caller shuts it down.

    The pool also ends when its owner is deleted: when a window closes, Qt deletes the panel and
    its children.

    Threads of our own, because those of Qt's pool are few and run other plugins' work, and because
    a thread that stays has its team of OpenMP threads ready. Jobs run one after the other; on the
    second thread the next job need not wait for the last step of an abandoned one.
    """
    threads = ThreadPoolExecutor(2, "napari-disca-job", initializer=lower_thread_priority)
    if owner is not None:
        _POOL_ENDS[:] = [end for end in _POOL_ENDS if not end.done]
        _POOL_ENDS.append(_PoolEnd(threads))
        owner.destroyed.connect(_POOL_ENDS[-1].end)
    return threads


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
        Threads of `job_threads`.
    """

    progressed = Signal(object)
    returned = Signal(object)
    errored = Signal(object)
    aborted = Signal()
    finished = Signal()

    def __init__(self, job: Job[object], threads: Executor) -> None:
        super().__init__()
        self._job = job
        self._threads = threads
        self._asked_to_stop = threading.Event()
        self._lock = threading.Lock()
        self._ended = False
        self.finished.connect(self._forget)

    def start(self) -> None:
        """Start the job as soon as a thread is free."""
        _AT_WORK.add(self)
        try:
            self._threads.submit(self._drive)
        except RuntimeError:  # the threads were shut down with the window
            self._job.close()
            self._end(self.aborted)

    def quit(self) -> None:
        """Stop after the current step."""
        self._asked_to_stop.set()

    def abandon(self) -> None:
        """Stop without waiting for the current step, and drop its result.

        On a slow machine a step of learning takes seconds. `quit` lets the step end, since the job
        that follows can use what it has computed.
        """
        self.quit()
        patience = threading.Timer(_PATIENCE, self._end, (self.aborted,))
        patience.daemon = True
        patience.start()

    def _drive(self) -> None:
        """Take events from the job until it ends or is told to stop."""
        try:
            with closing(self._job) as job:  # runs the `finally` of the job on this thread, at once
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
        """Emit an event unless the job was abandoned; return whether it was emitted."""
        with self._lock:
            if not self._ended:
                self.progressed.emit(event)
            return not self._ended

    def _end(self, signal: Any, *arguments: object) -> None:
        """Emit how the job has ended; only the first call counts."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
        signal.emit(*arguments)
        self.finished.emit()

    def _forget(self) -> None:
        _AT_WORK.discard(self)
