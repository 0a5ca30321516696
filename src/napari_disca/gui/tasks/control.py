"""The session that the panels work on, with its layers and its tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from napari.layers import Image, Layer
from napari.utils.notifications import show_error, show_warning
from psygnal import SignalInstance
from qtpy.QtCore import QObject, QTimer, Signal

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import user_message
from napari_disca.core.events import Event, Note, Progress
from napari_disca.gui.tasks.locking import Locking
from napari_disca.gui.tasks.opening.pending import Pending
from napari_disca.gui.tasks.step_message import StepMessage
from napari_disca.gui.tasks.unreadable import UnreadableTiles
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.toolkit.garbage_collection import collect_objects, spare_objects
from napari_disca.gui.toolkit.task_queue import Task, TaskQueue
from napari_disca.gui.toolkit.worker import job_threads
from napari_disca.gui.viewer.canvas.review_camera import ReviewCamera
from napari_disca.gui.viewer.layers.locked_areas import LockedAreas
from napari_disca.gui.viewer.layers.session_layers import SessionLayers
from napari_disca.raster import Raster, end_probe
from napari_disca.recipes import Recipe
from napari_disca.session.maps.weights import RunRelearned
from napari_disca.session.session import Session
from napari_disca.session.steps.step_values import AdaptationRun, Lock

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event as ViewerEvent

    from napari_disca.session.document import Document


class Control(QObject):
    """One image being corrected in one viewer.

    Signals: ``changed`` when anything that the panels show has changed; ``progressed`` with a
    `Progress` (its total is 0 when nothing runs); ``cancelled`` when the user has pressed *Cancel*.
    """

    changed = Signal()
    progressed = Signal(object)
    cancelled = Signal()
    #: Emitted on the thread that writes the journal.
    _journal_failed = Signal()

    def __init__(self, viewer: Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session: Session | None = None
        self.layers: SessionLayers | None = None
        self.review: ReviewCamera | None = None
        #: The image that is chosen in the panel, whether it has a session or not.
        self.chosen: Raster | None = None
        self.message = StepMessage()
        self._threads = job_threads(self)
        self.pending = Pending(viewer, self._threads, self)
        self.pending.changed.connect(self.changed)
        self._tasks = TaskQueue(self._threads, self)
        self._tasks.changed.connect(self.changed)
        self._tasks.progressed.connect(self._on_event)
        self._tasks.failed.connect(tell_error)
        self._tasks.ended.connect(self._on_ended)
        self._tasks.emptied.connect(self._on_emptied)
        self.locking = Locking(partial(self.say, of_step=True))
        self._journal_failed.connect(self._check_journal)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        self._view_timer = QTimer(self)
        self._view_timer.setInterval(150)
        self._view_timer.timeout.connect(self._follow_view)
        self.unreadable = UnreadableTiles(self.read_again, self)

    # ------------------------------------------------------------------ state

    @property
    def busy(self) -> bool:
        """Whether something runs or waits."""
        return self._tasks.busy or bool(self.pending)

    @property
    def learning(self) -> bool:
        """Whether an adaptation is still learning."""
        return self.running == "learn"

    @property
    def running(self) -> str:
        """Kind of the task that runs (see `Task`); empty if none runs."""
        task = self._tasks.running
        return "" if task is None else task.kind

    def open(self, image: Image, session: Session) -> None:
        """Show a session and its layers; the session before it is closed."""
        self.close()
        self.session = session
        self.message.begin(session)
        self.layers = layers = SessionLayers(self.viewer, session, image, show_warning, self)
        self.locking.begin(layers)
        layers.locked = LockedAreas(layers, self.locking.lock, self.locking.unlock, show_warning)
        self.review = ReviewCamera(session, layers)
        for signal, react in self._reactions(session):
            signal.connect(react)
        self._view_timer.start()
        spare_objects(self)
        self.changed.emit()

    def close(self) -> None:
        """Stop all tasks and close the session; its image stays in the viewer."""
        layers = self._close_session()
        if layers is not None:
            layers.close()
        self.message.begin(None)
        self.changed.emit()

    def shut_down(self) -> None:
        """Stop all tasks and emit nothing, since listeners may be deleted; layers stay."""
        rasters = {self.chosen, self.session.raster if self.session is not None else None}
        layers = self._close_session()
        # Nobody is told that the work has ended, and the session's files are removed with it.
        self._tasks.end()
        self._threads.shutdown(wait=False)
        end_probe()
        if layers is not None:
            layers.detach()
        self.pending.end()
        self.viewer.layers.events.removed.disconnect(self._on_layer_removed)
        for raster in rasters:
            if raster is not None:
                raster.close()
        for layer in self.viewer.layers:
            _release_file(layer)

    def _close_session(self) -> SessionLayers | None:
        self.pending.drop_opening()
        self._tasks.drop()
        with suppress(RuntimeError):  # Qt has deleted it where the window is closed
            self._view_timer.stop()
        self.unreadable.forget()
        layers, self.layers, self.review = self.layers, None, None
        self.locking.begin(None)
        session, self.session = self.session, None
        if session is not None:
            for signal, react in self._reactions(session):
                signal.disconnect(react)
            session.close()
        collect_objects(self)
        return layers

    def _reactions(self, session: Session) -> list[tuple[SignalInstance, Callable[..., None]]]:
        """Signals of a session with the methods that react to them."""
        return [
            (session.document.clicks_changed, self._on_clicks),
            (session.document.history_changed, self._on_history),
            (session.document.adapted_changed, self._on_adapted),
            (session.document.locks_changed, self._on_locks),
            (session.document.troubled, self._on_trouble),
            (session.document.journal_failed, self._on_journal_failed),
        ]

    # ------------------------------------------------------------------ verbs

    def segment(self) -> None:
        """Show the maps, and compute what is missing of them."""
        if self.session is not None and self.layers is not None:
            self.layers.show()
            self._refine()

    def adapt(self, recipe: Recipe) -> None:
        """Learn from the clicks, then redo the map."""
        session = self.session
        if session is not None:
            # The refresh that follows is a task of its own, which a click may overtake.
            job = partial(session.adapt, recipe, maps=())
            self.submit(Task("learn", session, job, lambda _: self._on_learned(session)))

    def cancel(self) -> None:
        """Stop all work at once, also files and images that are being opened."""
        self._tasks.cancel()
        making = bool(self.pending)
        self.pending.cancel()
        self.cancelled.emit()
        if making:
            self.say("Cancelled")

    def undo(self) -> None:
        """Undo the last step."""
        if self.session is not None and self.session.document.can_undo:
            self.travel(self.session.document.undo, "Undone: {}")

    def redo(self) -> None:
        """Do the step again that was taken back."""
        if self.session is not None and self.session.document.can_redo:
            self.travel(self.session.document.redo, "Redone: {}")

    def go(self, position: int) -> None:
        """Go to a step of the history."""
        session = self.session
        if session is not None and position != session.document.position:
            title = session.document.history[position].title.replace("{", "{{").replace("}", "}}")
            self.travel(
                lambda: session.document.go(position), f"The session is as it was after: {title}"
            )

    def next_doubtful(self) -> None:
        """Move the view to the next doubtful place."""
        if self.review is not None:
            self.say(self.review.next())

    def reset_network(self) -> None:
        """Use the pretrained weights again."""
        if self.session is not None:
            self.travel(
                self.session.document.reset_network,
                "The network has its pretrained weights again; Undo brings the adaptation back",
            )

    def travel(self, step: Callable[[], object], said: str) -> None:
        """Change the history, redo the map, and show `said`; `step` returns its ``{}``."""
        session = self.session
        assert session is not None
        before = session.document.clicks
        said = said.format(step())
        if session.document.clicks is before:
            self._refine()  # otherwise the clicks have asked for it
        if self.layers is not None:
            self.layers.stale_layer.hatch_outdated()
        self.say(said, of_step=True)

    # ------------------------------------------------------------------ work

    def submit(self, task: Task) -> None:
        """Run a task; see `TaskQueue.submit`."""
        self._tasks.submit(task)

    def _refine(self) -> None:
        if self.session is not None:
            self.session.paint_cached()
            if self.layers is not None:
                self.layers.redraw()
            self.submit(Task("map", self.session, self.session.refine))

    def _on_event(self, task: Task, event: Event) -> None:
        if task.session is not self.session:
            return  # of a session that was closed meanwhile
        if isinstance(event, Progress):
            self.progressed.emit(event)
        elif isinstance(event, Note):
            show_warning(event.text)
        else:
            try:
                self.session.handle(event)
            except Exception as error:
                line = user_message(error)
                if line is None:
                    raise  # a bug, which napari shows
                if not self._tasks.is_cancelled():
                    # Events that are already queued would fail likewise.
                    self.cancel()
                    show_error(line)
                return
            if isinstance(event, RunRelearned):
                self.message.say("Learned again, from the clicks that are there now", self.session)
            if isinstance(event, AdaptationRun):
                self.message.say(event.adaptation.note, self.session)

    def _on_learned(self, session: Session) -> None:
        if session is self.session:
            self._refine()

    def _on_ended(self, cancelled: bool) -> None:
        if cancelled:
            self.say("Cancelled; what is finished stays")

    def _on_emptied(self) -> None:
        self.unreadable.update(self.session)
        self.progressed.emit(Progress("", 0, 0))
        if self.layers is not None:
            self.layers.settle()

    # ------------------------------------------------------------------ reactions

    def _on_clicks(self, clicks: Clicks) -> None:
        session, last = self.session, clicks.items[-1:]
        if session is not None:
            self.message.say(_covered(session.document, last[0]) if last else "", session)
            self._refine()

    def _on_adapted(self, adapted: AdaptationRun | None) -> None:
        if self.layers is not None:
            self.layers.show_adapted(adapted is not None)

    def _on_locks(self, _locks: tuple[Lock, ...]) -> None:
        self._refine()

    def _on_journal_failed(self) -> None:
        self._journal_failed.emit()  # handled on the window's thread

    def _check_journal(self) -> None:
        if self.session is not None:
            self.session.document.check_journal()

    def _on_trouble(self, line: str) -> None:
        show_warning(line[:1].upper() + line[1:])

    def read_again(self) -> None:
        """Read and compute the tiles again that could not be read, unless a task runs."""
        if self.session is not None and self.session.unreadable and not self.busy:
            self._refine()

    def _on_history(self) -> None:
        if self.session is not None:
            self.message.follow(self.session)
        self.changed.emit()

    def _on_layer_removed(self, event: ViewerEvent) -> None:
        _release_file(event.value)
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

    def say(self, text: str, *, of_step: bool = False) -> None:
        """Show a message in the panel; beside one about the last step it can be undone."""
        self.message.say(text, self.session if of_step else None)
        self.changed.emit()


def _covered(document: Document, click: Click) -> str:
    """Return why the map does not follow a click at its pixel; empty if it does."""
    if document.locked_at(*click.pixel):
        return "That pixel is locked: it stays as it is until its area is unlocked"
    if document.drawn_at(*click.pixel):
        return "That pixel is drawn and stays so; the brush erases with the right button"
    return ""


def _release_file(layer: Layer) -> None:
    """Close the file that a layer shows; it is opened again when the layer is drawn."""
    pyramid = layer.metadata.get("napari_disca", {}).get("pyramid")
    if pyramid is not None:
        pyramid.raster.release_file()
