"""Keeps the list of places and the minimap of a review up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_disca.core.errors import DiscaError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.review.review_queue import QueuePlace, ReviewQueue
from napari_disca.gui.toolkit.background_job import BackgroundJob
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.raster.resolution import raster_resolution
from napari_disca.session.steps.review_marks import Mark

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.viewer.canvas.review_camera import ReviewCamera
    from napari_disca.session.regions.doubtful_places import ReviewStop
    from napari_disca.session.session import Session

T = TypeVar("T")

#: Milliseconds between two updates of the view's position, and from a change to a new list.
_FOLLOW, _SOON = 150, 200
#: Most places to come in the list, and most judged ones.
_TO_COME, _JUDGED = 60, 200
#: The next search for places waits so many times as long as the last one took.
_REST = 4
#: Pixels of the minimap's picture, at most, along a side.
_PICTURE = 256


class ReviewPlaces(QObject):
    """Finds the places to come on a thread, and lists them while the list is visible.

    Parameters
    ----------
    panel : ReviewQueue
    control : Control
    parent : QObject
    """

    def __init__(self, panel: ReviewQueue, control: Control, parent: QObject) -> None:
        super().__init__(parent)
        self._panel, self._control = panel, control
        self._session: Session | None = None
        self._background = BackgroundJob(self)
        self._background.finished.connect(self._on_finished)
        self._stops: list[ReviewStop] = []
        self._count = 0
        #: Whether a look for doubtful places has ended since the session was opened.
        self._looked = False
        self._began = 0.0
        #: Step and painting that the stops were found for.
        self._state_searched: tuple[object, ...] | None = None
        #: Counts the patches painted so far.
        self._painted = 0
        #: The verdicts at the last update: for the minimap, and as rows of the list.
        self._marks: tuple[Mark, ...] | None = None
        self._marked: list[tuple[Window, str]] = []
        self._judged: list[QueuePlace] = []
        self._resolution: float | None = None
        self._picture_of: Image | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_FOLLOW)
        self._timer.timeout.connect(self.follow)
        self._timer.start()
        self._look = QTimer(self)
        self._look.setSingleShot(True)
        self._look.setInterval(_SOON)
        self._look.timeout.connect(self._find)
        control.changed.connect(self._on_changed)
        panel.visited.connect(self._visit)
        panel.minimap.chosen.connect(self._move_view)
        self._on_changed()

    def end(self) -> None:
        """Stop updating, and drop the running search."""
        self._timer.stop()
        self._look.stop()
        self._attach(None)
        self._background.end()

    def _attach(self, session: Session | None) -> None:
        if self._session is not None:
            self._session.painted.disconnect(self._on_painted)
        self._background.drop()
        self._session, self._stops, self._count, self._state_searched = session, [], 0, None
        self._looked = False
        self._marks = None
        if session is not None:
            session.painted.connect(self._on_painted)
            self._resolution = raster_resolution(session.raster)
            self._panel.minimap.show_image(session.raster.shape, None)
            self._picture_of = None

    def _on_painted(self, _patch: object) -> None:
        self._painted += 1

    def _on_changed(self) -> None:
        if self._control.session is not self._session:
            self._attach(self._control.session)
        session = self._session
        self._panel.setVisible(
            session is not None and bool(session.maps[session.document.corrected].levels[-1].any())
        )
        if self._panel.isVisible():
            self._list()

    def follow(self) -> None:
        """Show where the view is, and search for places again if something has changed."""
        control, session = self._control, self._session
        layers, review = control.layers, control.review
        if layers is None or review is None or session is None or not self._panel.isVisible():
            return
        self._look_at_marks(session)
        self._panel.minimap.show_state(layers.view(), review.place, self._marked)
        if self._picture_of is not layers.image and not self._background.running:
            self._draw_picture(layers.image)
        elif self._state(session, review) != self._state_searched and not self._look.isActive():
            self._look.start()

    def _state(self, session: Session, review: ReviewCamera) -> tuple[object, ...]:
        return session.document.step, self._painted, review.by_tiles

    def _look_at_marks(self, session: Session) -> None:
        if self._marks is not session.document.marks:
            self._marks = session.document.marks
            self._marked = [(mark.window, mark.verdict) for mark in session.document.marks]
            self._judged = _judged(session.document.marks, self._resolution)

    # ------------------------------------------------------------------ the list

    def _find(self) -> None:
        session, review = self._session, self._control.review
        if session is None or review is None or self._background.running:
            return
        self._state_searched = self._state(session, review)
        self._run(review.to_come(_TO_COME), self._on_found)

    def _run(self, job: Job[T], done: Callable[[T], None]) -> None:
        self._began = time.monotonic()
        self._background.start(job, done)

    def _on_finished(self) -> None:
        took = 1000 * (time.monotonic() - self._began)
        self._look.setInterval(int(max(_SOON, _REST * took)))

    def _on_found(self, found: tuple[list[ReviewStop], int]) -> None:
        self._stops, self._count = found
        self._looked = True
        self._list()

    def _list(self) -> None:
        session, review = self._session, self._control.review
        if session is None or review is None:
            return
        self._look_at_marks(session)
        judged = self._judged
        windows = {place.window for place in judged}
        by_tiles = review.by_tiles
        coming, count = self._tiles(session) if by_tiles else self._doubtful(session)
        # A place that is listed stays where it is, so that the arrow keys go back from it.
        listed = windows | {place.window for place in coming}
        if review.place is not None and review.place not in listed:
            coming = [self._open(session, review.place, review.middle), *coming]
        coming = [place for place in coming if place.window not in windows]
        more = max(0, count - _TO_COME)
        kind = "tile" if by_tiles else "doubtful place"
        left = len(coming) + more
        summary = f"{left:,} {kind}{'s' * (left != 1)} left" if left else f"no {kind} is left"
        if not (left or by_tiles or self._looked):
            summary = "Finding doubtful places…"
        self._panel.show_places([*judged, *coming], review.place, summary, more)

    def _doubtful(self, session: Session) -> tuple[list[QueuePlace], int]:
        places = [self._open(session, stop.window, stop.pixel) for stop in self._stops]
        return places, self._count

    def _tiles(self, session: Session) -> tuple[list[QueuePlace], int]:
        tiles = list(session.review.unseen_tiles())
        places = [self._open(session, tile, _middle(tile)) for tile in tiles[:_TO_COME]]
        return places, len(tiles)

    def _open(self, session: Session, window: Window, middle: tuple[int, int]) -> QueuePlace:
        value = int(session.maps[session.document.corrected].levels[0][middle])
        classes = session.document.classes
        name = f"{classes[value - 1].name}? " if 0 < value <= len(classes) else ""
        return QueuePlace(window, middle, "open", f"{name}{_size(window, self._resolution)}")

    def _visit(self, place: QueuePlace) -> None:
        review = self._control.review
        if review is not None and place.window != review.place:
            review.visit(place.window, place.middle)
            self._control.say("The place is outlined")

    # ------------------------------------------------------------------ the minimap

    def _move_view(self, row: float, col: float) -> None:
        layers = self._control.layers
        if layers is not None:
            middle = np.zeros(layers.image.ndim)
            middle[-2:] = row, col
            camera = camera_of(layers.viewer)
            camera.center = tuple(layers.image.data_to_world(middle)[-2:])
            self.follow()

    def _draw_picture(self, image: Image) -> None:
        pyramid = image.metadata.get("napari_disca", {}).get("pyramid")
        if pyramid is None or pyramid.complete:  # otherwise the whole file would be read
            self._picture_of = image
            step = self._control.viewer.dims.current_step[: image.ndim - 2]
            self._run(_picture(image, step), self._on_picture)

    def _on_picture(self, picture: NDArray[np.uint8] | None) -> None:
        if self._session is not None and picture is not None:
            self._panel.minimap.show_image(self._session.raster.shape, picture)


def _picture(image: Image, step: tuple[int, ...]) -> Job[NDArray[np.uint8] | None]:
    """Job that returns a small picture of an image layer in its colours; None if unreadable."""
    level = image.data[-1] if image.multiscale else image.data
    low, high = image.contrast_limits
    colormap, rgb = image.colormap, image.rgb
    yield Progress("reading the overview", 0, 1)
    sides = level.shape[-3:-1] if rgb else level.shape[-2:]
    every = max(1, -(-max(sides) // _PICTURE))
    try:
        values = np.asarray(level[tuple(step) + (slice(None, None, every),) * 2])
    except DiscaError:  # computing the map tells the user
        return None
    if rgb:
        values = values[..., :3]
        if values.dtype == np.uint8:
            return np.asarray(values, dtype=np.uint8)
    scaled = np.clip((values.astype(np.float32) - low) / max(high - low, 1e-9), 0, 1)
    if not rgb:
        scaled = colormap.map(scaled.ravel())[:, :3].reshape(*scaled.shape, 3)
    return np.asarray(np.nan_to_num(scaled) * 255, dtype=np.uint8)


def _judged(marks: Sequence[Mark], resolution: float | None) -> list[QueuePlace]:
    """Return the judged places, each once, in the order of its latest verdict."""
    found: dict[Window, QueuePlace] = {}
    for mark in marks:
        before = found.pop(mark.window, None)
        state: str = mark.verdict
        note = mark.note or (before.note if before else "")
        if before is not None and before.state != "seen" and state in ("note", "seen"):
            state = before.state  # a note does not replace a verdict
        words = note.splitlines()[0] if note else _size(mark.window, resolution)
        found[mark.window] = QueuePlace(mark.window, _middle(mark.window), state, words, note)
    return list(found.values())[-_JUDGED:]


def _middle(window: Window) -> tuple[int, int]:
    return window.top + window.height // 2, window.left + window.width // 2


def _size(window: Window, resolution: float | None) -> str:
    """Return the sides of a place in words: in metres, or in pixels without a scale."""
    if resolution is None:
        return f"{window.height} × {window.width} pixels"
    return f"{window.height * resolution:.0f} × {window.width * resolution:.0f} m"
