"""Runs tasks one after the other; a newer refresh stops an older one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Signal

from napari_disca.core.errors import DiscaError
from napari_disca.core.events import Job
from napari_disca.gui.toolkit.worker import JobWorker
from napari_disca.session.session import Session


@dataclass(frozen=True, slots=True)
class Task:
    """A job of a session, made when its turn comes, so that it has the latest state.

    Attributes
    ----------
    kind : str
        ``"map"`` for a refresh, ``"learn"`` for an adaptation, ``"file"`` for writing a file.
    session : Session
        Whose job it is; the session gets its events.
    job : callable
        Returns the job.
    done : callable or None
        Called with the job's result, unless it was cancelled or failed.
    """

    kind: Literal["map", "learn", "file"]
    session: Session
    job: Callable[[], Job[object]]
    done: Callable[[Any], None] | None = None


class TaskQueue(QObject):
    """Runs tasks one after the other, each on a thread of its own worker.

    Signals: ``changed()`` when the running or the waiting tasks change; ``progressed(Task,
    event)``; ``failed(exception)``; ``ended(cancelled)`` when a task has ended, and ``emptied()``
    after it if none is left.

    Parameters
    ----------
    threads : Executor
        Threads of `job_threads`.
    parent : QObject
    """

    changed = Signal()
    progressed = Signal(object, object)
    failed = Signal(object)
    ended = Signal(bool)
    emptied = Signal()

    def __init__(self, threads: Executor, parent: QObject) -> None:
        super().__init__(parent)
        self._threads = threads
        self._run: _Run | None = None
        self._waiting: list[Task] = []

    @property
    def running(self) -> Task | None:
        """The task that runs."""
        return self._run.task if self._run is not None else None

    @property
    def busy(self) -> bool:
        """Whether a task runs or waits."""
        return self._run is not None or bool(self._waiting)

    def submit(self, task: Task) -> None:
        """Run a task after those that must not be interrupted.

        The latest refresh wins: an earlier one is stopped. Learning and saving are not
        interrupted by clicks.
        """
        if task.kind == "map":
            self._waiting = [t for t in self._waiting if t.kind != "map"]
        self._waiting.append(task)
        if self._run is None:
            self._start_next()
        elif task.kind != "file" and self._run.task.kind == "map":
            self._run.overtake()
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the running task at once, and drop those that wait."""
        self._waiting.clear()
        if self._run is not None:
            self._run.cancel()

    def drop(self) -> None:
        """Stop all tasks without telling the user: their session is closed."""
        self.cancel()
        if self._run is not None:
            self._run.cancelled = False

    def is_cancelled(self) -> bool:
        """Whether the running task was cancelled; some of its events may still arrive."""
        return self._run is not None and self._run.cancelled

    def end(self) -> None:
        """Stop all tasks and ignore their events: the window is closing."""
        self.cancel()
        self._run = None

    def _start_next(self) -> None:
        while self._waiting:
            task = self._waiting.pop(0)
            try:
                job = task.job()
            except DiscaError as error:
                show_error(str(error))
                continue
            run = self._run = _Run(task, job, self._threads, self)
            run.progressed.connect(self._on_progressed)
            run.failed.connect(self._on_failed)
            run.finished.connect(self._on_finished)
            run.start()
            self.changed.emit()
            return

    def _on_progressed(self, run: _Run, event: object) -> None:
        if run is self._run:
            self.progressed.emit(run.task, event)

    def _on_failed(self, run: _Run, error: Exception) -> None:
        if run is self._run:
            self.failed.emit(error)

    def _on_finished(self, run: _Run) -> None:
        if run is not self._run:
            return
        self._run = None
        self.ended.emit(run.cancelled and not self._waiting)
        self._start_next()
        if self._run is None:
            self.emptied.emit()
        self.changed.emit()


class _Run(QObject):
    """One task and its worker, from start to end; neither is ever replaced.

    Signals: ``progressed(run, event)``, ``failed(run, exception)`` and ``finished(run)``.
    """

    progressed = Signal(object, object)
    failed = Signal(object, object)
    finished = Signal(object)

    def __init__(self, task: Task, job: Job[object], threads: Executor, parent: QObject) -> None:
        super().__init__(parent)
        self.task = task
        self.cancelled = False
        self._worker = JobWorker(job, threads)
        self._worker.progressed.connect(self._on_progressed)
        self._worker.returned.connect(self._on_returned)
        self._worker.errored.connect(self._on_errored)
        self._worker.finished.connect(self._on_finished)

    def start(self) -> None:
        """Start the worker."""
        self._worker.start()

    def overtake(self) -> None:
        """Stop after the current step, for a newer task."""
        self._worker.quit()

    def cancel(self) -> None:
        """Stop without waiting for the current step."""
        self.cancelled = True
        self._worker.abandon()

    def _on_progressed(self, event: object) -> None:
        self.progressed.emit(self, event)

    def _on_returned(self, result: object) -> None:
        if self.task.done is not None:
            self.task.done(result)

    def _on_errored(self, error: Exception) -> None:
        self.failed.emit(self, error)

    def _on_finished(self) -> None:
        self.finished.emit(self)
        self.deleteLater()
