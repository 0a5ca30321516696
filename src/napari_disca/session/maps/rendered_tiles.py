"""Rendered tiles, and a cache of recent ones for undo and redo."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.byte_cache import ByteCache


@dataclass(frozen=True, slots=True, eq=False)
class RenderedTile:
    """Labels of a rendered tile.

    Attributes
    ----------
    labels : (height, width) array of uint8
        Of the tile's kept pixels, on the image's grid; 255 where there is no data.
    locked : int
        How many of its pixels are locked.
    flipped : int
        How many of the locked pixels the network labels differently.
    uncertainty : (rows, cols) array of uint8, or None
        Uncertainty of its cells, 0 where locked; None if it is not known.
    """

    labels: NDArray[np.uint8]
    locked: int = 0
    flipped: int = 0
    uncertainty: NDArray[np.uint8] | None = None


class RecentTiles:
    """Compressed labels of recently rendered tiles, the least recently used forgotten first.

    Parameters
    ----------
    limit : int
        Bytes.
    """

    def __init__(self, limit: int) -> None:
        self._tiles: ByteCache[tuple[int, str], _Packed] = ByteCache(limit, attrgetter("nbytes"))
        # Two threads write it when a job starts before the last one has ended.
        self._lock = threading.Lock()

    def put(self, tile: int, state: str, rendered: RenderedTile) -> None:
        """Keep the content of a tile in a state."""
        if not self.has(tile, state):
            packed = _Packed.of(rendered)
            with self._lock:
                self._tiles.put((tile, state), packed)

    def has(self, tile: int, state: str) -> bool:
        """Whether the content of a tile in a state is kept."""
        with self._lock:
            return (tile, state) in self._tiles

    def get(self, tile: int, state: str) -> RenderedTile | None:
        """Return the content of a tile in a state; None if it is not kept any more."""
        with self._lock:
            packed = self._tiles.get((tile, state))
        return None if packed is None else packed.unpacked()

    def forget(self, tile: int | None = None) -> None:
        """Drop the contents of a tile, or of all tiles by default."""
        with self._lock:
            for key in [key for key in self._tiles if tile in (None, key[0])]:
                del self._tiles[key]


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
    def of(cls, rendered: RenderedTile) -> _Packed:
        height, width = rendered.labels.shape
        data = zlib.compress(np.ascontiguousarray(rendered.labels).tobytes(), level=1)
        return cls((height, width), data, rendered.locked, rendered.flipped, rendered.uncertainty)

    def unpacked(self) -> RenderedTile:
        labels = np.frombuffer(zlib.decompress(self.data), dtype=np.uint8).reshape(self.shape)
        return RenderedTile(labels, self.locked, self.flipped, self.uncertainty)
