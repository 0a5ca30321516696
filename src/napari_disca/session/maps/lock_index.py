"""Finds the locks and strokes that may hold pixels of a tile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.session.steps.step_values import LockOrStroke


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles of an image as rows and columns of a grid.

    Attributes
    ----------
    rows, cols : arrays of int
        Borders between the kept windows, in pixels of the image; one more than tiles.
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]

    @classmethod
    def of(cls, network_view: NetworkView, tiling: Tiling) -> TileGrid:
        """Return the grid of a tiling, converted to pixels of the image."""
        down, across = tiling.borders
        whole = [network_view.image_window(Window.from_bounds(0, 0, edge, 0)) for edge in down]
        wide = [network_view.image_window(Window.from_bounds(0, 0, 0, edge)) for edge in across]
        return cls(
            np.array([window.bottom for window in whole], dtype=np.intp),
            np.array([window.right for window in wide], dtype=np.intp),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tiles down and across."""
        return len(self.rows) - 1, len(self.cols) - 1

    def overlapping(self, window: Window) -> tuple[slice, slice]:
        """Return rows and columns of the tiles that keep pixels of a window of the image."""
        window &= Window.from_bounds(0, 0, int(self.rows[-1]), int(self.cols[-1]))
        if not window:
            return slice(0, 0), slice(0, 0)
        top, left = (
            int(np.searchsorted(borders, first, side="right")) - 1
            for borders, first in ((self.rows, window.top), (self.cols, window.left))
        )
        bottom = int(np.searchsorted(self.rows, window.bottom, side="left"))
        right = int(np.searchsorted(self.cols, window.right, side="left"))
        return slice(top, bottom), slice(left, right)

    def with_pixels(self, pixels: PixelSet) -> NDArray[np.bool_]:
        """Return which tiles keep pixels of a set, as an array of the grid's shape."""
        down, across = self.shape
        row = np.searchsorted(self.rows, pixels.rows, side="right") - 1
        first = np.searchsorted(self.cols, pixels.starts, side="right") - 1
        last = np.searchsorted(self.cols, pixels.ends - 1, side="right")
        steps = np.zeros((down, across + 1), dtype=np.int64)
        np.add.at(steps, (row, first), 1)
        np.add.at(steps, (row, last), -1)
        found: NDArray[np.bool_] = np.cumsum(steps[:, :-1], axis=1) > 0
        return found


@dataclass(frozen=True, slots=True, eq=False)
class LockIndex:
    """The locks and strokes of each tile.

    Tiles with the same locks share a number, so that an index of many tiles is one array, and a
    new lock changes only the part of it that it touches.

    Attributes
    ----------
    locks : sequence of Lock or Stroke
    sets : tuple of (tuple of Lock or Stroke, str)
        Sets by number, with their fingerprints; 0 is the empty set with an empty fingerprint.
    numbers : (rows, cols) array of int
        Number of the set of each tile.
    """

    locks: Sequence[LockOrStroke]
    sets: tuple[tuple[tuple[LockOrStroke, ...], str], ...]
    numbers: NDArray[np.int32]

    @classmethod
    def empty(cls, grid: TileGrid) -> LockIndex:
        """Return the index of no locks."""
        return cls((), (((), ""),), np.zeros(grid.shape, dtype=np.int32))

    def updated(self, locks: Sequence[LockOrStroke], grid: TileGrid) -> LockIndex:
        """Return the index of other locks; if some were only added, the rest is kept."""
        if locks is self.locks:
            return self
        count = len(self.locks)
        same = tuple(locks[:count]) == tuple(self.locks)
        start = self if same else LockIndex.empty(grid)
        sets, numbers = list(start.sets), start.numbers.copy()
        for lock in locks[count:] if same else locks:
            where = grid.overlapping(lock.area.window)
            part = numbers[where]
            inside = np.ones(part.shape, dtype=np.bool_)
            if isinstance(lock.area, PixelSet):
                inside = grid.with_pixels(lock.area)[where]
            for number in np.unique(part[inside]).tolist():
                longer = (*sets[number][0], lock)
                sets.append((longer, locks_digest(longer)))
                part[(part == number) & inside] = len(sets) - 1
        return LockIndex(locks, tuple(sets), numbers)

    def of(self, tile: int) -> tuple[LockOrStroke, ...]:
        """Return the locks that may hold pixels of a tile, oldest first."""
        return self.sets[self.numbers.flat[tile]][0]

    def digest(self, tile: int) -> str:
        """Return the fingerprint of the locks of a tile; empty if it has none."""
        return self.sets[self.numbers.flat[tile]][1]

    @property
    def tiles(self) -> list[int]:
        """Return the tiles that have locks."""
        found: list[int] = np.flatnonzero(self.numbers).tolist()
        return found


def locks_digest(locks: tuple[LockOrStroke, ...]) -> str:
    """Return the fingerprint of locks and strokes; empty without any."""
    if not locks:
        return ""
    digests = " ".join(lock.digest for lock in locks)
    return hashlib.blake2b(digests.encode(), digest_size=8).hexdigest()
