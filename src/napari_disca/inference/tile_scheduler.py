"""In which order tiles are redone, and reading them ahead of the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Tiling, Window

T = TypeVar("T")


class TileQueue:
    """Tiles that wait: urgent ones first, then those in view, then outwards.

    Parameters
    ----------
    tiling : Tiling
    waiting, urgent : (tiles,) arrays of bool
        Which tiles to redo, and which of them before all others.
    """

    def __init__(
        self, tiling: Tiling, waiting: NDArray[np.bool_], urgent: NDArray[np.bool_]
    ) -> None:
        self._indices = np.flatnonzero(waiting)
        keeps = [tiling[int(index)].keep for index in self._indices]
        edges = np.array([(k.top, k.left, k.bottom, k.right) for k in keeps], dtype=np.float64)
        self._top, self._left, self._bottom, self._right = edges.reshape(-1, 4).T
        self._later = ~urgent[self._indices]
        self._left_over = np.ones(len(self._indices), dtype=np.bool_)

    def __len__(self) -> int:
        return int(self._left_over.sum())

    def take(self, count: int, view: Window | None) -> list[int]:
        """Remove and return the `count` tiles that are wanted most.

        Parameters
        ----------
        count : int
        view : Window or None
            What the user looks at now, on the tiling's grid.
        """
        chosen = self._first(count, view)
        self._left_over[chosen] = False
        return [int(self._indices[i]) for i in chosen]

    def peek(self, count: int, view: Window | None) -> list[int]:
        """Tiles that `take` would return."""
        return [int(self._indices[i]) for i in self._first(count, view)]

    def _first(self, count: int, view: Window | None) -> NDArray[np.intp]:
        left = np.flatnonzero(self._left_over)
        if view is None:
            order = np.lexsort((left, self._later[left]))
            return left[order[:count]]
        top, bottom = self._top[left], self._bottom[left]
        west, east = self._left[left], self._right[left]
        outside = (
            (bottom <= view.top) | (top >= view.bottom) | (east <= view.left) | (west >= view.right)
        )
        row, col = view.centre
        distance = np.hypot((top + bottom) / 2 - row, (west + east) / 2 - col)
        return left[np.lexsort((left, distance, outside, self._later[left]))[:count]]


class Prefetcher(Generic[T]):
    """Reads on a thread of its own what is going to be asked for.

    Parameters
    ----------
    read : callable
        Reads one thing; runs on that thread only.
    limit : int
        How many things are read that nobody has asked for yet.
    """

    def __init__(self, read: Callable[[int], T], limit: int = 2) -> None:
        self._read = read
        self._limit = limit
        self._expected: dict[int, Future[T]] = {}
        self._pool = ThreadPoolExecutor(1, "napari-disca-read")

    def take(self, keys: Sequence[int]) -> list[T]:
        """Wait for some things; an error while reading one is raised here."""
        self.expect(keys)
        return [self._expected.pop(key).result() for key in keys]

    def expect(self, keys: Sequence[int]) -> None:
        """Read some things ahead; what else was read ahead is forgotten above the limit."""
        for key in [k for k in self._expected if k not in keys]:
            if len(self._expected) < self._limit:
                break
            self._expected.pop(key).cancel()
        for key in keys:
            if key not in self._expected:
                self._expected[key] = self._pool.submit(self._read, key)

    def close(self) -> None:
        """Stop reading, within one thing."""
        self._pool.shutdown(wait=True, cancel_futures=True)
