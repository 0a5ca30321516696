"""Sets of pixels of an image, for instance those of a stroke, run-length encoded by rows.

The memory and the time that a set takes grow with its outline and its pixels, not with the image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window

Ints = NDArray[np.int64]

#: Most runs of a set; a journal's line of so many has about two megabytes.
MOST_RUNS = 200_000
#: Rows that are rasterized together.
STRIP = 256


@dataclass(frozen=True, slots=True, eq=False)
class PixelSet:
    """A set of at least one pixel of an image; sets of the same pixels are equal.

    Attributes
    ----------
    rows, starts, ends : (n,) arrays of int
        Runs of pixels, columns ``starts ... ends - 1`` of a row, sorted by row and column; no two
        of them overlap or touch.
    window : Window
        Smallest window that holds the pixels.
    digest : str
        Fingerprint of the pixels.

    Raises
    ------
    AreaError
        If there is no pixel, or the runs are too many or not as described.
    """

    rows: Ints
    starts: Ints
    ends: Ints
    window: Window = field(init=False, repr=False)
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows, starts, ends = self.rows, self.starts, self.ends
        if not len(rows):
            raise AreaError("this holds no pixel of the image; draw it larger, or on the image")
        if len(rows) > MOST_RUNS:
            raise AreaError(
                f"this is too ragged to be kept: {len(rows)} runs of pixels, {MOST_RUNS} are "
                "the most; draw around a part of it"
            )
        below = rows[1:] > rows[:-1]
        beside = (rows[1:] == rows[:-1]) & (starts[1:] > ends[:-1])
        if (ends <= starts).any() or not (below | beside).all():
            raise AreaError("runs of pixels overlap or are not sorted")
        window = Window.from_bounds(
            int(rows[0]), int(starts.min()), int(rows[-1]) + 1, int(ends.max())
        )
        object.__setattr__(self, "window", window)
        encoded = np.stack([rows, starts, ends]).astype("<i8").tobytes()
        object.__setattr__(self, "digest", hashlib.blake2b(encoded, digest_size=8).hexdigest())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PixelSet) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __len__(self) -> int:
        """Number of pixels."""
        return int((self.ends - self.starts).sum())

    @classmethod
    def from_masks(cls, strips: Iterable[tuple[Window, NDArray[np.bool_]]]) -> Self:
        """Return the set of the pixels that masks mark.

        Parameters
        ----------
        strips : iterable of (Window, (height, width) array of bool)
            Windows and their masks, one below the other, of any width.
        """
        found = [_runs(mask, window.top, window.left) for window, mask in strips]
        if not found:
            nothing = np.zeros(0, dtype=np.int64)
            return cls(nothing, nothing, nothing)
        rows, starts, ends = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return cls(rows, starts, ends)

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Return which pixels of a window are in the set, as an array of the window's shape."""
        mask = np.zeros(window.shape, dtype=np.bool_)
        cut = self.window & window
        if not cut:
            return mask
        first, last = np.searchsorted(self.rows, [cut.top, cut.bottom])
        rows = self.rows[first:last] - cut.top
        starts = np.clip(self.starts[first:last] - cut.left, 0, cut.width)
        ends = np.clip(self.ends[first:last] - cut.left, 0, cut.width)
        nonempty = ends > starts
        steps = np.zeros((cut.height, cut.width + 1), dtype=np.int8)
        steps[rows[nonempty], starts[nonempty]] = 1
        steps[rows[nonempty], ends[nonempty]] = -1
        inside = np.cumsum(steps[:, :-1], axis=1, dtype=np.int8)
        mask[cut.relative_to(window).slices] = inside.view(np.bool_)
        return mask

    def strips(self) -> Iterator[Window]:
        """Windows of at most `STRIP` rows, one below the other, that hold all pixels."""
        top = self.window.top
        while top < self.window.bottom:
            bottom = min(top + STRIP, self.window.bottom)
            first, last = np.searchsorted(self.rows, [top, bottom])
            if first < last:
                left, right = self.starts[first:last].min(), self.ends[first:last].max()
                yield Window.from_bounds(top, int(left), bottom, int(right))
            top = bottom

    def to_json(self) -> list[int]:
        """Three numbers per run: rows below the run before, first column, length."""
        down = np.diff(self.rows, prepend=0)
        return np.stack([down, self.starts, self.ends - self.starts], axis=1).ravel().tolist()

    @classmethod
    def from_json(cls, numbers: list[int]) -> Self:
        """Return the set that `to_json` wrote.

        Raises
        ------
        AreaError
            If the numbers do not describe a set of pixels.
        """
        if not isinstance(numbers, list) or len(numbers) % 3 or len(numbers) > 3 * MOST_RUNS:
            raise AreaError("these numbers are not runs of pixels")
        if not all(type(number) is int and 0 <= number < 2**31 for number in numbers):
            raise AreaError("runs of pixels are whole numbers, 0 or more")
        down, starts, lengths = np.array(numbers, dtype=np.int64).reshape(-1, 3).T
        return cls(np.cumsum(down), starts.copy(), starts + lengths)


def _runs(mask: NDArray[np.bool_], top: int, left: int) -> tuple[Ints, Ints, Ints]:
    """Rows, starts and ends of the runs of a mask."""
    height, width = mask.shape
    padded = np.zeros((height, width + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return rows + top, starts + left, ends + left
