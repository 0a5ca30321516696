"""Rendered tiles, and a cache of recent ones for undo and redo."""

from __future__ import annotations

import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: States kept of one tile.
_RECENT_STATES = 12


@dataclass(frozen=True, slots=True, eq=False)
class RenderedTile:
    """Labels of a tile.

    Attributes
    ----------
    labels : (height, width) array of uint8
        Of the tile's kept pixels, on the image's grid; 255 where there is no data.
    locked : int
        How many of its pixels are locked.
    flipped : int
        How many of the locked pixels the network labels differently.
    uncertainty : (rows, cols) array of uint8, or None
        Of its cells; what is locked counts as sure. None if it is not known.
    """

    labels: NDArray[np.uint8]
    locked: int = 0
    flipped: int = 0
    uncertainty: NDArray[np.uint8] | None = None


class RecentTiles:
    """Compressed labels of recently drawn tiles, the least recently used forgotten first.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._tiles: OrderedDict[int, OrderedDict[str, _Packed]] = OrderedDict()
        # Written by the job's thread; a second job may start before the first has ended.
        self._lock = threading.Lock()

    def put(self, tile: int, state: str, drawn: RenderedTile) -> None:
        """Keep what a tile looks like in a state."""
        with self._lock:
            if state in self._tiles.get(tile, {}):
                return
        packed = _Packed.of(drawn)
        with self._lock:
            states = self._tiles.setdefault(tile, OrderedDict())
            self._tiles.move_to_end(tile)
            if state not in states:
                states[state] = packed
                self._bytes += packed.nbytes
            while len(states) > _RECENT_STATES:
                self._bytes -= states.popitem(last=False)[1].nbytes
            while self._bytes > self._limit and len(self._tiles) > 1:
                _, gone = self._tiles.popitem(last=False)
                self._bytes -= sum(old.nbytes for old in gone.values())

    def has(self, tile: int, state: str) -> bool:
        """Whether `get` would give something."""
        with self._lock:
            return state in self._tiles.get(tile, {})

    def get(self, tile: int, state: str) -> RenderedTile | None:
        """What a tile looks like in a state, if that is still known."""
        with self._lock:
            states = self._tiles.get(tile)
            packed = states.get(state) if states is not None else None
            if states is None or packed is None:
                return None
            states.move_to_end(state)
            self._tiles.move_to_end(tile)
        return packed.drawn()


@dataclass(frozen=True, slots=True, eq=False)
class _Packed:
    shape: tuple[int, int]
    data: bytes
    locked: int
    flipped: int
    uncertainty: NDArray[np.uint8] | None
    nbytes: int = field(init=False)

    def __post_init__(self) -> None:
        beside = 0 if self.uncertainty is None else self.uncertainty.nbytes
        object.__setattr__(self, "nbytes", len(self.data) + beside)

    @classmethod
    def of(cls, drawn: RenderedTile) -> _Packed:
        height, width = drawn.labels.shape
        data = zlib.compress(np.ascontiguousarray(drawn.labels).tobytes(), level=1)
        return cls((height, width), data, drawn.locked, drawn.flipped, drawn.uncertainty)

    def drawn(self) -> RenderedTile:
        labels = np.frombuffer(zlib.decompress(self.data), dtype=np.uint8).reshape(self.shape)
        return RenderedTile(labels, self.locked, self.flipped, self.uncertainty)
