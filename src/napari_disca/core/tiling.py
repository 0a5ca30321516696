"""Rectangles of pixels: `Window`, `Tile` and the `Tiling` of a raster.

Positions are integer pixel indices ``(row, col)``; a window is half open, so its last row is
``bottom - 1``. Tiles read more than they keep: the *halo* gives the network the context that
the kept pixels need, and every pixel is kept from exactly one tile, so the result does not
depend on the order in which tiles run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import overload

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels, half open: rows ``top ... bottom - 1``.

    Raises
    ------
    ValueError
        If the height or the width is negative.
    """

    top: int
    left: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise ValueError(f"a window of {self.height} x {self.width} pixels cannot exist")

    @classmethod
    def from_bounds(cls, top: int, left: int, bottom: int, right: int) -> Window:
        """Window between two corners; empty where they cross."""
        return cls(top, left, max(0, bottom - top), max(0, right - left))

    @classmethod
    def whole(cls, shape: tuple[int, int]) -> Window:
        """Window of a whole raster of this ``(height, width)``."""
        return cls(0, 0, shape[0], shape[1])

    @property
    def bottom(self) -> int:
        """First row below the window."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """First column right of the window."""
        return self.left + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """``(height, width)`` in pixels."""
        return self.height, self.width

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices that select this window in an array of the whole raster."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre in pixel-index coordinates (the centre of pixel 0 is 0.0)."""
        return self.top + (self.height - 1) / 2, self.left + (self.width - 1) / 2

    def __bool__(self) -> bool:
        return bool(self.height > 0 and self.width > 0)  # NumPy integers compare to numpy.bool

    def __contains__(self, pixel: tuple[int, int]) -> bool:
        return self.top <= pixel[0] < self.bottom and self.left <= pixel[1] < self.right

    def __and__(self, other: Window) -> Window:
        """Return the intersection, empty where the windows do not meet."""
        return Window.from_bounds(
            max(self.top, other.top),
            max(self.left, other.left),
            min(self.bottom, other.bottom),
            min(self.right, other.right),
        )

    def overlaps(self, other: Window) -> bool:
        """Whether two windows have pixels in common."""
        return bool(
            self.top < other.top + other.height
            and other.top < self.top + self.height
            and self.left < other.left + other.width
            and other.left < self.left + self.width
            and self
            and other
        )

    def grown(self, margin: int) -> Window:
        """Window with `margin` more pixels on each side; it may reach beyond the raster."""
        return Window(
            self.top - margin, self.left - margin, self.height + 2 * margin, self.width + 2 * margin
        )

    def relative_to(self, other: Window) -> Window:
        """Return the same window in coordinates whose origin is the top-left corner of `other`."""
        return Window(self.top - other.top, self.left - other.left, self.height, self.width)

    def placed_in(self, other: Window) -> Window:
        """Return a window relative to `other` in the raster's coordinates: undoes `relative_to`."""
        return Window(self.top + other.top, self.left + other.left, self.height, self.width)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile: the window whose pixels are read, and the window whose results are kept.

    Attributes
    ----------
    index : int
        Position in the row-major list of tiles.
    keep, read : Window
        `keep` lies inside `read`; the keeps of a tiling partition the raster.
    """

    index: int
    keep: Window
    read: Window


def _axis(length: int, size: int, halo: int) -> tuple[list[int], list[int]]:
    """Starts of the read windows along one axis, and the borders of the kept ones (one more)."""
    size = min(size, length)
    stride = max(1, size - 2 * halo)
    last = length - size
    starts = [*range(0, last, stride), last] if last > 0 else [0]
    # Where two reads overlap, the border is the middle of the overlap: both keep at least the
    # halo, also where the last read is shifted back to end with the raster.
    cuts = [(first + size + second) // 2 for first, second in pairwise(starts)]
    return starts, [0, *cuts, length]


@dataclass(frozen=True)
class Tiling:
    """Overlapping tiles of a raster, all read with the same size.

    With the defaults a tile reads 512 x 512 pixels and overlaps its neighbours by 128, as in
    Lenczner et al. (2020), section 4.1. The last tile of a row or column is shifted back so that
    it ends with the raster; a raster smaller than a tile is one tile of its own size.

    Parameters
    ----------
    shape : (int, int)
        Height and width of the raster in pixels.
    size : int
        Side of the square a tile reads, in pixels.
    halo : int
        Least number of pixels at each inner side of a tile that are read but not kept.

    Raises
    ------
    ValueError
        If the raster is empty or the halo leaves nothing to keep.
    """

    shape: tuple[int, int]
    size: int = 512
    halo: int = 64

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ValueError(f"cannot tile a raster of {self.shape[0]} x {self.shape[1]} pixels")
        if self.halo < 0 or self.size <= 2 * self.halo:
            raise ValueError(f"a halo of {self.halo} leaves nothing to keep of {self.size} pixels")

    @cached_property
    def _rows(self) -> tuple[list[int], list[int]]:
        return _axis(self.shape[0], self.size, self.halo)

    @cached_property
    def _cols(self) -> tuple[list[int], list[int]]:
        return _axis(self.shape[1], self.size, self.halo)

    @property
    def borders(self) -> tuple[list[int], list[int]]:
        """Rows and columns at which kept windows begin and end: one number more than tiles."""
        return self._rows[1], self._cols[1]

    @property
    def grid(self) -> tuple[int, int]:
        """Number of tiles down and across."""
        return len(self._rows[0]), len(self._cols[0])

    @property
    def read_shape(self) -> tuple[int, int]:
        """Height and width that every tile reads."""
        return min(self.size, self.shape[0]), min(self.size, self.shape[1])

    def __len__(self) -> int:
        return self.grid[0] * self.grid[1]

    def __getitem__(self, index: int) -> Tile:
        if not 0 <= index < len(self):
            raise IndexError(f"tile {index} of {len(self)}")
        i, j = divmod(index, self.grid[1])
        (row_starts, row_cuts), (col_starts, col_cuts) = self._rows, self._cols
        keep = Window.from_bounds(row_cuts[i], col_cuts[j], row_cuts[i + 1], col_cuts[j + 1])
        return Tile(index, keep, Window(row_starts[i], col_starts[j], *self.read_shape))

    def __iter__(self) -> Iterator[Tile]:
        return (self[index] for index in range(len(self)))

    def touching(self, window: Window) -> list[Tile]:
        """Tiles whose read windows hold at least one pixel of `window`, in row-major order."""
        window &= Window.whole(self.shape)
        if not window:
            return []
        height, width = self.read_shape
        rows = _overlapping(self._rows[0], height, window.top, window.bottom)
        cols = _overlapping(self._cols[0], width, window.left, window.right)
        return [self[i * self.grid[1] + j] for i in rows for j in cols]

    def tile_at(self, pixel: tuple[int, int]) -> Tile:
        """Tile whose kept window holds this pixel.

        Raises
        ------
        IndexError
            If the pixel is outside the raster.
        """
        if pixel not in Window.whole(self.shape):
            raise IndexError(f"pixel {pixel} is outside a raster of {self.shape} pixels")
        i = bisect_right(self._rows[1], pixel[0]) - 1
        j = bisect_right(self._cols[1], pixel[1]) - 1
        return self[i * self.grid[1] + j]


def _overlapping(starts: list[int], size: int, low: int, high: int) -> list[int]:
    return [i for i, start in enumerate(starts) if start < high and start + size > low]


class TileList(Sequence[Tile]):
    """Some tiles of a tiling, which are made when they are asked for: there may be very many.

    Parameters
    ----------
    tiling : Tiling
    indices : (n,) array of int
        In ascending order.
    """

    def __init__(self, tiling: Tiling, indices: NDArray[np.intp]) -> None:
        self._tiling = tiling
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> Tile: ...
    @overload
    def __getitem__(self, index: slice) -> TileList: ...
    def __getitem__(self, index: int | slice) -> Tile | TileList:
        if isinstance(index, slice):
            return TileList(self._tiling, self.indices[index])
        return self._tiling[int(self.indices[index])]
