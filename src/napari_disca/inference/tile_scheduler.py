"""The order in which tiles are predicted, and a thread that reads them ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Tiling, Window

T = TypeVar("T")

#: Tiles that are sorted at once: enough that sorting is rarely repeated.
_ORDERED = 256


class TileQueue:
    """Tiles to predict: urgent ones first, then those in view, then by distance from the view.

    Choosing the next tiles takes as long for a large image as for a small one, because only tiles
    near the view are compared.

    Parameters
    ----------
    tiling : Tiling
    waiting, urgent : (tiles,) arrays of bool
        Which tiles to predict, and which of them before all others.
    """

    def __init__(
        self, tiling: Tiling, waiting: NDArray[np.bool_], urgent: NDArray[np.bool_]
    ) -> None:
        self._groups = (_Nearest(tiling, waiting & urgent), _Nearest(tiling, waiting & ~urgent))

    def __len__(self) -> int:
        return sum(group.count for group in self._groups)

    def take(self, count: int, view: Window | None) -> list[int]:
        """Remove and return the indices of the next `count` tiles.

        Parameters
        ----------
        count : int
        view : Window or None
            What the user sees now, on the tiling's grid.
        """
        chosen: list[int] = []
        for group in self._groups:
            chosen += group.take(count - len(chosen), view)
        return chosen

    def peek(self, count: int, view: Window | None) -> list[int]:
        """Return the tiles that `take` would return, without removing them."""
        found: list[int] = []
        for group in self._groups:
            found += group.peek(count - len(found), view)
        return found


class _Nearest:
    """Waiting tiles, those in view first, ordered by their distance from the view's centre.

    Parameters
    ----------
    tiling : Tiling
    waiting : (tiles,) array of bool
    """

    def __init__(self, tiling: Tiling, waiting: NDArray[np.bool_]) -> None:
        self._waiting = waiting.reshape(tiling.grid).copy()
        self.count = int(waiting.sum())
        rows, cols = (np.asarray(axis) for axis in tiling.borders)
        self._tops, self._bottoms = rows[:-1], rows[1:]
        self._lefts, self._rights = cols[:-1], cols[1:]
        self._row_centres = (self._tops + self._bottoms) / 2
        self._col_centres = (self._lefts + self._rights) / 2
        self._largest = float(np.hypot(np.diff(rows).max(), np.diff(cols).max()))
        #: The next tiles in order, for the latest view.
        self._order: deque[int] = deque()
        self._view: Window | None = None

    def peek(self, count: int, view: Window | None) -> list[int]:
        count = min(count, self.count)
        if count <= 0:
            return []
        if view != self._view or len(self._order) < count:
            self._view = view
            self._order = deque(self._ordered(max(count, _ORDERED), view))
        return [self._order[i] for i in range(count)]

    def take(self, count: int, view: Window | None) -> list[int]:
        chosen = self.peek(count, view)
        for index in chosen:
            self._order.popleft()
            self._waiting[divmod(index, self._waiting.shape[1])] = False
        self.count -= len(chosen)
        return chosen

    def _ordered(self, count: int, view: Window | None) -> list[int]:
        if view is None:
            first: list[int] = np.flatnonzero(self._waiting)[:count].tolist()
            return first
        # The centres of all tiles in view lie within this distance.
        reach = float(np.hypot(view.height, view.width)) / 2 + self._largest
        while True:
            indices, outside, distance, everything = self._within(reach, view)
            # Tiles outside the square may be nearer than those in its corners, so `reach` counts.
            if everything or int((distance <= reach).sum()) >= count:
                break
            reach *= 2
        if len(indices) > count:
            # With all tiles as near as the last one, so that ties are broken by index.
            key = distance + outside * (distance.max() + 1)
            near = key <= np.partition(key, count - 1)[count - 1]
            indices, outside, distance = indices[near], outside[near], distance[near]
        order: list[int] = indices[np.lexsort((indices, distance, outside))][:count].tolist()
        return order

    def _within(
        self, reach: float, view: Window
    ) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.float64], bool]:
        """Waiting tiles in a square around the view: indices, which are out of view, distances."""
        row, col = view.centre
        top, bottom = np.searchsorted(self._row_centres, (row - reach, row + reach))
        left, right = np.searchsorted(self._col_centres, (col - reach, col + reach))
        rows, cols = np.nonzero(self._waiting[top:bottom, left:right])
        rows, cols = rows + top, cols + left
        outside = (
            (self._bottoms[rows] <= view.top)
            | (self._tops[rows] >= view.bottom)
            | (self._rights[cols] <= view.left)
            | (self._lefts[cols] >= view.right)
        )
        distance = np.hypot(self._row_centres[rows] - row, self._col_centres[cols] - col)
        everything = len(rows) == self.count
        return rows * self._waiting.shape[1] + cols, outside, distance, everything


class Prefetcher(Generic[T]):
    """Reads items on a thread of its own before they are needed.

    Parameters
    ----------
    read : callable
        Reads the item of a key; runs on that thread only.
    limit : int
        Most items that are read ahead.
    """

    def __init__(self, read: Callable[[int], T], limit: int = 2) -> None:
        self._read = read
        self._limit = limit
        self._expected: dict[int, Future[T]] = {}
        self._pool = ThreadPoolExecutor(1, "napari-disca-read")

    def take(self, keys: Sequence[int]) -> list[T]:
        """Return items, waiting for them; an error while reading one is raised here."""
        self.expect(keys)
        return [self._expected.pop(key).result() for key in keys]

    def expect(self, keys: Sequence[int]) -> None:
        """Read items ahead; other items that were read ahead are dropped above the limit."""
        for key in [k for k in self._expected if k not in keys]:
            if len(self._expected) < self._limit:
                break
            self._expected.pop(key).cancel()
        for key in keys:
            if key not in self._expected:
                self._expected[key] = self._pool.submit(self._read, key)

    def close(self) -> None:
        """Stop reading, after the item that is being read."""
        self._pool.shutdown(wait=True, cancel_futures=True)
