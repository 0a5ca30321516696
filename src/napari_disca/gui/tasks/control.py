"""What the panels drive: one session, one worker, and where errors go."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari.layers import Image
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import DiscaError, explained
from napari_disca.core.events import Job, Note, Progress, finish
from napari_disca.exports import Content, export_for, write_map
from napari_disca.gui.tasks.opening import Opening, Resumed
from napari_disca.gui.tasks.waiting import off_the_window
from napari_disca.gui.tasks.worker import JobWorker, job_threads
from napari_disca.gui.viewer.layers import SessionLayers
from napari_disca.gui.viewer.locked import AREAS, LockedAreas
from napari_disca.gui.viewer.review import ReviewCamera
from napari_disca.raster import end_probe
from napari_disca.session.history import Lock
from napari_disca.session.session import AdaptationRun, Session
from napari_disca.session.weights import RunRelearned

_log = logging.getLogger(__name__)

#: Milliseconds until a tile that could not be read is tried again; twice as long each time.
_FIRST_RETRY, _LAST_RETRY = 15_000, 300_000


@dataclass(frozen=True, slots=True)
class Task:
    """A job to come: asked of the session when its turn comes, so that it knows the latest."""

    kind: Literal["map", "learn", "file"]
    job: Callable[[], Job[Any]]
    done: Callable[[Any], None] | None = None


class Control(QObject):
    """One image being corrected in one viewer.

    Signals: ``changed`` when anything that the panels show has changed; ``progressed`` with a
    `Progress` (its total is 0 when nothing runs).
    """

    changed = Signal()
    progressed = Signal(object)
    #: From the thread on which the journal reaches the disk.
    _journal_failed = Signal()

    def __init__(self, viewer: Any, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session: Session | None = None
        self.layers: SessionLayers | None = None
        self.review: ReviewCamera | None = None
        #: The image that is chosen in the panel, whether it has a session or not.
        self.chosen: Any = None
        self.status = ""
        #: A session that is being made.
        self.opening: Opening | None = None
        self._task: Task | None = None
        self._worker: JobWorker | None = None
        self._threads = job_threads()
        #: Whose job runs: events of a job that outlives its session are dropped.
        self._working_for: Session | None = None
        self._waiting: list[Task] = []
        self._cancelled = False
        self._journal_failed.connect(self._check_journal)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self._view_timer = QTimer(self)
        self._view_timer.setInterval(150)
        self._view_timer.timeout.connect(self._follow_view)
        #: Tiles that could not be read, as far as the user was told.
        self._told_unreadable: frozenset[int] = frozenset()
        self._wait = _FIRST_RETRY
        self._retry = QTimer(self)
        self._retry.setSingleShot(True)
        self._retry.timeout.connect(self._read_again)

    # ------------------------------------------------------------------ state

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._worker is not None or bool(self._waiting) or self.opening is not None

    @property
    def learning(self) -> bool:
        """Whether an adaptation has not learned yet."""
        return self._task is not None and self._task.kind == "learn"

    def begin(self, what: object, job: Job[Session | Resumed]) -> Opening:
        """Let a job make a session; one that is being made is dropped."""
        self.drop_opening()
        self.opening = Opening(what, job, self._threads)
        self.opening.start()
        self.changed.emit()
        return self.opening

    def drop_opening(self) -> None:
        """Want no more of the session that is being made."""
        opening, self.opening = self.opening, None
        if opening is not None:
            opening.drop()

    def open(self, image: Image, session: Session) -> None:
        """Start correcting an image; what was corrected before is closed."""
        self.close()
        self.session = session
        self.layers = SessionLayers(self.viewer, session, image, show_warning, self)
        self.layers.locked = LockedAreas(self.layers, self.lock, self.unlock, show_warning)
        self.review = ReviewCamera(session, self.layers)
        session.clicks_changed.connect(self._on_clicks)
        session.history_changed.connect(self._on_history)
        session.adapted_changed.connect(self._on_adapted)
        session.locks_changed.connect(self._on_locks)
        session.troubled.connect(self._on_trouble)
        session.journal_failed.connect(self._on_journal_failed)
        self._view_timer.start()
        self.changed.emit()

    def close(self) -> None:
        """Stop what runs and let go of the session; its image stays in the viewer."""
        layers = self._let_go()
        if layers is not None:
            layers.close()
        self.status = ""
        self.changed.emit()

    def shut_down(self) -> None:
        """Stop what runs because the panel or the window goes; layers stay as they are.

        Nothing is emitted: those who listen may be gone already.
        """
        rasters = {self.chosen, self.session.raster if self.session is not None else None}
        layers = self._let_go()
        # Nobody will hear that the work has ended, and the session's files go with the session.
        self._worker = self._task = self._working_for = None
        self._threads.shutdown(wait=False)
        end_probe()
        if layers is not None:
            layers.detach()
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        for raster in rasters - {None}:
            raster.close()
        for layer in self.viewer.layers:
            _rest(layer)

    def _let_go(self) -> SessionLayers | None:
        self.drop_opening()
        self.cancel()
        self._cancelled = False
        for timer in (self._view_timer, self._retry):
            with suppress(RuntimeError):  # Qt has deleted it already where the window goes
                timer.stop()
        self._told_unreadable = frozenset()
        layers, self.layers, self.review = self.layers, None, None
        session, self.session = self.session, None
        if session is not None:
            session.clicks_changed.disconnect(self._on_clicks)
            session.history_changed.disconnect(self._on_history)
            session.adapted_changed.disconnect(self._on_adapted)
            session.locks_changed.disconnect(self._on_locks)
            session.troubled.disconnect(self._on_trouble)
            session.journal_failed.disconnect(self._on_journal_failed)
            session.close()
        return layers

    # ------------------------------------------------------------------ verbs

    def segment(self) -> None:
        """Draw the maps."""
        if self.session is not None and self.layers is not None:
            self.layers.show()
            self._refine()

    def adapt(self, recipe: Any) -> None:
        """Learn from the clicks, then redo the map."""
        session = self.session
        if session is not None:
            # The refresh that follows is a task of its own, which a click may overtake.
            self._ask(Task("learn", lambda: session.adapt(recipe, maps=()), self._on_learned))

    def cancel(self) -> None:
        """Stop what runs, at once."""
        self._waiting.clear()
        if self.opening is not None:
            self.drop_opening()
            self._say("Cancelled")
        if self._worker is not None:
            self._cancelled = True
            self._worker.abandon()

    def undo(self) -> None:
        """Take back the last step."""
        if self.session is not None and self.session.can_undo:
            self.travel(self.session.undo, "Undone: {}")

    def redo(self) -> None:
        """Do again what was taken back."""
        if self.session is not None and self.session.can_redo:
            self.travel(self.session.redo, "Done again: {}")

    def go(self, position: int) -> None:
        """Go to a step of the history."""
        session = self.session
        if session is not None and position != session.position:
            title = session.history[position].title.replace("{", "{{").replace("}", "}}")
            self.travel(lambda: session.go(position), f"As it was after: {title}")

    def next_doubtful(self) -> None:
        """Show the next place where the map is doubtful."""
        if self.review is not None:
            self._say(self.review.next())

    def lock(self, *areas: Area) -> None:
        """Lock areas as the map shows them now."""
        session = self.session
        if session is None:
            return
        if any(session.stale(session.corrected, area.window) for area in areas):
            show_warning("The map is not finished there; lock it when it is")
            return
        if self.guarded(lambda: session.lock(*areas)):
            self._say("Locked; it stays as it is, and the next Adapt learns from it")

    def lock_view(self) -> None:
        """Lock all that is in view."""
        view = self.layers.view() if self.layers is not None else None
        if view is not None:
            self.lock(Area.rectangle(view))

    def unlock(self, *locks: Lock) -> None:
        """Let areas change again."""
        session = self.session
        if session is not None and locks:
            self.guarded(lambda: session.unlock(*locks))

    def unlock_selected(self) -> None:
        """Let the areas that are selected change again."""
        if self.layers is None or self.layers.locked is None:
            return
        if locks := self.layers.locked.selected():
            self.unlock(*locks)
        else:
            show_warning(f"Select areas in the layer '{AREAS}' first (its tool with the arrow)")

    def save_areas(self, path: Path) -> None:
        """Write the locked areas in the format that the file's name asks for."""
        if self.session is not None:
            self._save_small("areas", [lock.area for lock in self.session.locks], path)

    def load_areas(self, path: Path) -> None:
        """Lock the areas of a GeoJSON file as the map shows them now."""
        from napari_disca.exports import read_locks

        session = self.session
        if session is not None:
            found: list[Area] = []
            if self.guarded(
                lambda: found.extend(read_locks(path, raster=session.raster)), file=True
            ):
                self.lock(*found)

    def reset_network(self) -> None:
        """Forget what was adapted."""
        if self.session is not None:
            self.travel(
                self.session.reset_network,
                "The network is as it came; Undo brings back what it learned",
            )

    def travel(self, step: Callable[[], object], said: str) -> None:
        """Make a step of the history, and bring the map up to date; `said` is told of it."""
        session = self.session
        assert session is not None
        before = session.clicks
        said = said.format(step())
        if session.clicks is before:
            self._refine()  # otherwise the clicks have asked for it
        if self.layers is not None:
            self.layers.hatch_view()
        self._say(said)

    def save_labels(self, name: str, path: Path) -> None:
        """Write a map in the format that its name asks for."""
        session = self.session
        if session is not None and self.guarded(lambda: export_for(path, "labels")):
            missing = 0.0

            def write() -> Job[Path]:
                nonlocal missing
                missing = 1 - session.up_to_date(name)
                canvas, raster, classes = session.maps[name], session.raster, session.classes
                return write_map(canvas, path, raster=raster, classes=classes)

            # A map that is finished is saved as it is now, whatever is done before its turn comes;
            # one that is being drawn, when it is finished.
            now = write() if session.up_to_date(name) == 1.0 else None

            def say(written: Path) -> None:
                session.exported(name, str(written))
                if missing:
                    show_warning(
                        f"Saved {written}, but {missing:.0%} of the map was not up to date; "
                        "press Segment to finish it and save again"
                    )
                else:
                    show_info(f"Saved {written}")

            self._ask(Task("file", write if now is None else lambda: now, say))

    def save_clicks(self, path: Path) -> None:
        """Write the clicks in the format that the file's name asks for."""
        if self.session is not None:
            self._save_small("clicks", self.session.clicks, path)

    def _save_small(self, content: Content, what: object, path: Path) -> None:
        """Write what takes no time to write."""
        session = self.session
        if session is not None and self.guarded(
            lambda: finish(
                export_for(path, content).write(
                    what, path, raster=session.raster, classes=session.classes
                )
            ),
            file=True,
        ):
            session.exported(content, str(path))
            show_info(f"Saved {path}")

    def load_clicks(self, path: Path) -> None:
        """Add the clicks of a file: GeoJSON, a vector file of a GIS, or CSV."""
        from napari_disca.exports import load_clicks

        session = self.session
        if session is not None:

            def load() -> None:
                found = off_the_window(
                    lambda: load_clicks(path, raster=session.raster, classes=session.classes)
                )
                clicks = found.clicks
                session.set_clicks(session.clicks.added(*clicks), f"load {len(clicks)} clicks")
                if found.left_out or found.understood:
                    show_warning(found.describe(path.name))

            self.guarded(load)

    def guarded(self, action: Callable[[], object], *, file: bool = False) -> bool:
        """Run something short, off the window if it is about a file; tell a user's error."""
        try:
            off_the_window(action) if file else action()
        except Exception as error:
            told = explained(error)
            if told is None:
                raise  # a bug, which napari shows
            show_error(told)
            return False
        return True

    # ------------------------------------------------------------------ work

    def _ask(self, task: Task) -> None:
        """Run a task, after what must not be interrupted.

        Latest wins: a refresh that runs is stopped, since the next one knows more. Learning and
        saving are not interrupted by clicks.
        """
        if task.kind == "map":
            self._waiting = [t for t in self._waiting if t.kind != "map"]
        self._waiting.append(task)
        if self._worker is None:
            self._start_next()
        elif task.kind != "file" and self._task is not None and self._task.kind == "map":
            self._worker.quit()
        self.changed.emit()

    def _start_next(self) -> None:
        if not self._waiting:
            return
        self._task = self._waiting.pop(0)
        self._cancelled = False
        try:
            job = self._task.job()
        except DiscaError as error:
            self._task = None
            show_error(str(error))
            self._start_next()
            return
        self._working_for = self.session
        worker = JobWorker(job, self._threads)
        worker.progressed.connect(self._on_event)
        worker.returned.connect(self._on_returned)
        worker.errored.connect(self.tell_error)
        worker.finished.connect(self._on_finished)
        self._worker = worker
        worker.start()
        self.changed.emit()

    def _refine(self) -> None:
        if self.session is not None:
            self.session.recall()
            if self.layers is not None:
                self.layers.redraw()
            self._ask(Task("map", self.session.refine))

    def _on_event(self, event: Any) -> None:
        if self.session is None or self._working_for is not self.session:
            return
        if isinstance(event, Progress):
            self.progressed.emit(event)
        elif isinstance(event, Note):
            show_warning(event.text)
        else:
            try:
                self.session.handle(event)
            except Exception as error:
                told = explained(error)
                if told is None:
                    raise  # a bug, which napari shows
                if not self._cancelled:
                    # What is on its way already would fail likewise.
                    self.cancel()
                    show_error(told)
                return
            if isinstance(event, RunRelearned):
                self.status = "Learned again without what was taken away"
            if isinstance(event, AdaptationRun):
                self.status = event.adaptation.note

    def _on_learned(self, _result: Any) -> None:
        if self.session is not None and self._working_for is self.session:
            self._refine()

    def _on_returned(self, result: Any) -> None:
        if self._task is not None and self._task.done is not None:
            self._task.done(result)

    def tell_error(self, error: Exception) -> None:
        """Tell why a job has failed."""
        told = explained(error)
        if told is not None:
            show_error(told)
        else:
            _log.error("a job failed", exc_info=error)
            line = (str(error).splitlines() or [""])[0]
            show_error(
                f"Something went wrong ({type(error).__name__}: {line}); the clicks are kept. "
                "The log tells more"
            )

    def _on_finished(self) -> None:
        cancelled, self._cancelled = self._cancelled, False
        self._worker = self._task = self._working_for = None
        if cancelled and not self._waiting:
            self._say("Cancelled; what is finished stays")
        self._start_next()
        if self._worker is None:
            self._look_at_unreadable()
            self.progressed.emit(Progress("", 0, 0))
            if self.layers is not None:
                self.layers.settle()
        self.changed.emit()

    # ------------------------------------------------------------------ reactions

    def _on_clicks(self, clicks: Clicks) -> None:
        self.status = ""
        last = clicks.items[-1:]
        if self.session is not None and any(self.session.locked_at(*c.pixel) for c in last):
            self.status = "That pixel is locked: it stays as it is until its area is unlocked"
        self._refine()

    def _on_adapted(self, adapted: AdaptationRun | None) -> None:
        if self.layers is not None:
            self.layers.show_adapted(adapted is not None)

    def _on_locks(self, _locks: Any) -> None:
        self._refine()

    def _on_journal_failed(self) -> None:
        self._journal_failed.emit()  # on to the window's thread

    def _check_journal(self) -> None:
        if self.session is not None:
            self.session.check_journal()

    def _on_trouble(self, line: str) -> None:
        show_warning(line[:1].upper() + line[1:])

    def _look_at_unreadable(self) -> None:
        """Tell which tiles could not be read, once, and try again in a while."""
        bad = self.session.unreadable if self.session is not None else {}
        now = frozenset(bad)
        if now - self._told_unreadable:
            count = len(bad)
            parts = "A part" if count == 1 else f"{count} parts"
            show_warning(
                f"{parts} of the map could not be drawn, the rest is finished: "
                f"{next(iter(bad.values()))}. It is tried again from time to time"
            )
            self._wait = _FIRST_RETRY
        if bad:
            self._retry.start(self._wait)
            self._wait = min(2 * self._wait, _LAST_RETRY)
        else:
            self._retry.stop()
        self._told_unreadable = now

    def _read_again(self) -> None:
        if self.session is not None and self.session.unreadable and not self.busy:
            self._refine()

    def _on_history(self) -> None:
        self.changed.emit()

    def _on_layer_removed(self, event: Any) -> None:
        _rest(event.value)
        if self.layers is not None and event.value is self.layers.image:
            session = self.session
            self.close()
            if session is not None:
                session.raster.close()

    def _follow_view(self) -> None:
        if self.session is not None and self.layers is not None:
            self.layers.follow_view()
        if self.review is not None:
            self.review.follow()

    def _say(self, text: str) -> None:
        self.status = text
        self.changed.emit()


def _rest(layer: Any) -> None:
    """Give back the file that a layer shows, until it is looked at again."""
    pyramid = layer.metadata.get("napari_disca", {}).get("pyramid")
    if pyramid is not None:
        pyramid.raster.rest()
