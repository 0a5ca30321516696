"""Long work is a generator: a `Job` yields what happened and returns its result.

A worker thread, a command line and a test drive the same job; to cancel is to stop asking and
to close it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Window

T = TypeVar("T")


class Event:
    """Base of what jobs yield; every event is a value."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """Event: `done` of `total` steps of a stage are finished."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Note(Event):
    """Event: one line about the work that the user should read."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Patch(Event):
    """Event: a finished piece of a label map.

    Attributes
    ----------
    map : str
        Which map it belongs to: ``"initial"``, ``"disir"`` or ``"disca"``.
    window : Window
        Where it goes, on the image's own grid.
    labels : (height, width) array of uint8
        Class ids; 255 where the image has no data.
    tile : int
        Index of the tile whose labels these are; -1 if they are not those of one tile.
    version : str
        Fingerprint of everything the tile's labels depend on besides its pixels (weights,
        clicks). The owner of the map compares it to know which tiles are up to date.
    locked, flipped : int
        How many of the pixels are locked, and how many of these would have another class if they
        were not.
    uncertainty : (rows, cols) array of uint8, or None
        Of the tile's cells, see `napari_disca.inference.uncertainty`; None if it is not known.
    """

    map: str
    window: Window
    labels: NDArray[np.uint8]
    tile: int = -1
    version: str = ""
    locked: int = 0
    flipped: int = 0
    uncertainty: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class Unreadable(Event):
    """Event: a tile whose pixels cannot be read; it stays out of date, and the work goes on.

    Attributes
    ----------
    tile : int
        Its index.
    reason : str
        One line for the user.
    """

    tile: int
    reason: str


#: Work in progress: yields events (`Progress`, `Patch`, ...) and returns ``T``.
Job: TypeAlias = Generator[Event, None, T]


def finish(job: Job[T], on_event: Callable[[Event], object] | None = None) -> T:
    """Run a job to its end on this thread and return its result.

    Parameters
    ----------
    job : Job
        The work; it is closed also when `on_event` raises.
    on_event : callable, optional
        Called with every event the job yields.
    """
    try:
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if on_event is not None:
                on_event(event)
    finally:
        job.close()
