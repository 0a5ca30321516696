"""Finds connected regions of equal values, strip by strip, from runs of pixels.

A *run* is a stretch of equal values in a row. There are far fewer runs than pixels, and area,
bounds and a pixel of a region follow from its runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Stretches of equal values, sorted by row and column.

    Attributes
    ----------
    rows, starts, ends : (n,) arrays of int
        Half open: columns ``starts ... ends - 1``.
    codes : (n,) array of int
        The value, not 0.
    """

    rows: Ints
    starts: Ints
    ends: Ints
    codes: Ints

    @classmethod
    def empty(cls) -> Self:
        """Return no runs."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, nothing)

    @classmethod
    def of(cls, codes: NDArray[np.uint16], top: int = 0, left: int = 0) -> Self:
        """Return the runs of a part of an image; 0 is background.

        Parameters
        ----------
        codes : (height, width) array
        top, left : int
            Position of the part.
        """
        height, width = codes.shape
        # Background at the end of each row ends its last run.
        padded = np.zeros((height, width + 1), dtype=codes.dtype)
        padded[:, :width] = codes
        flat = padded.ravel()
        starts = np.flatnonzero(flat[1:] != flat[:-1]).astype(np.int64) + 1
        starts = np.concatenate([np.zeros(1, dtype=np.int64), starts])
        ends = np.append(starts[1:], flat.size)
        values = flat[starts].astype(np.int64)
        inside = values != 0
        rows, first = np.divmod(starts[inside], width + 1)
        last = ends[inside] - rows * (width + 1)
        return cls(rows + top, first + left, last + left, values[inside])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> Ints:
        """Number of pixels of each run."""
        return self.ends - self.starts

    def __getitem__(self, chosen: NDArray[np.bool_] | Ints | slice) -> Self:
        return type(self)(
            self.rows[chosen], self.starts[chosen], self.ends[chosen], self.codes[chosen]
        )

    def followed_by(self, other: Runs) -> Self:
        """Return these runs and those of later rows together."""
        pairs = (
            (self.rows, other.rows),
            (self.starts, other.starts),
            (self.ends, other.ends),
            (self.codes, other.codes),
        )
        return type(self)(*(np.concatenate(pair) for pair in pairs))

    def components(self) -> tuple[Ints, int]:
        """Return the connected region (8 neighbours, one value) of each run, and their number."""
        count = len(self)
        if not count:
            return np.zeros(0, dtype=np.int64), 0
        # Positions in one line of all rows, in which runs of different rows never touch.
        across = int(self.ends.max()) + 1
        begin, end = self.rows * across + self.starts, self.rows * across + self.ends
        # Runs of the next row that touch one, corners included: they end at or after its start, and
        # start at or before its end.
        low = np.searchsorted(end, begin + across, side="left")
        high = np.searchsorted(begin, end + across, side="right")
        touching = np.maximum(high - low, 0)
        own = np.repeat(np.arange(count), touching)
        before = np.repeat(np.cumsum(touching) - touching, touching)
        other = np.arange(len(own)) - before + np.repeat(low, touching)
        same = self.codes[own] == self.codes[other]
        return grouped(own[same], other[same], count)

    def paint(self, mask: NDArray[np.bool_], top: int, left: int) -> None:
        """Set the pixels of the runs in a mask whose first pixel is at `top`, `left`."""
        height, width = mask.shape
        rows = self.rows - top
        starts = np.clip(self.starts - left, 0, width)
        ends = np.clip(self.ends - left, 0, width)
        inside = (rows >= 0) & (rows < height) & (starts < ends)
        # +1 where a run begins and -1 after its end: the sum along a row is the mask.
        steps = np.zeros((height, width + 1), dtype=np.int8)
        np.add.at(steps, (rows[inside], starts[inside]), 1)
        np.add.at(steps, (rows[inside], ends[inside]), -1)
        mask |= np.cumsum(steps[:, :-1], axis=1, dtype=np.int8) > 0


def grouped(first: Ints, second: Ints, count: int) -> tuple[Ints, int]:
    """Return the group of each of `count` items of which pairs are joined, and the number."""
    links = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    number, labels = connected_components(links, directed=False)
    return labels.astype(np.int64), int(number)


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions as arrays of ``(n,)`` numbers.

    Attributes
    ----------
    codes, areas : arrays of int
    tops, lefts, bottoms, rights : arrays of int
    inside : (n, 3) array of int
        Length, row and first column of the longest run (the first of equal ones).
    rated, certainty_sum : arrays of float
        Number of pixels that have a certainty, and the sum of their certainties.
    """

    codes: Ints
    areas: Ints
    tops: Ints
    lefts: Ints
    bottoms: Ints
    rights: Ints
    inside: Ints
    rated: NDArray[np.float64]
    certainty_sum: NDArray[np.float64]

    @classmethod
    def empty(cls) -> Self:
        """Return no regions."""
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        inside = np.zeros((0, 3), dtype=np.int64)
        return cls(none, none, none, none, none, none, inside, nothing, nothing)

    @classmethod
    def of(cls, runs: Runs, certainty: NDArray[np.float64]) -> Self:
        """Return each run as a region.

        Parameters
        ----------
        runs : Runs
        certainty : (n,) array of float
            Certainty of each run; NaN if not known.
        """
        lengths = runs.lengths
        rated = np.where(np.isnan(certainty), 0.0, lengths)
        inside = np.stack([lengths, runs.rows, runs.starts], axis=1)
        return cls(
            runs.codes,
            lengths,
            runs.rows,
            runs.starts,
            runs.rows + 1,
            runs.ends,
            inside,
            rated,
            np.nan_to_num(certainty) * lengths,
        )

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, chosen: NDArray[np.bool_] | Ints) -> Self:
        return type(self)(*(getattr(self, name)[chosen] for name in self.__slots__))

    def followed_by(self, other: Regions) -> Self:
        """Return these regions and others together."""
        return type(self)(
            *(np.concatenate([getattr(self, n), getattr(other, n)]) for n in self.__slots__)
        )

    def merged(self, groups: Ints, count: int) -> Self:
        """Return one region for each of `count` groups, which all have members."""
        if not count:
            return type(self).empty()
        # Within a group the longest run comes first, then the uppermost, then the leftmost.
        length, row, col = self.inside.T
        order = np.lexsort((col, row, -length, groups))
        first = np.searchsorted(groups[order], np.arange(count))
        chosen = order[first]

        def reduced(ufunc: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
            found: NDArray[Any] = ufunc.reduceat(values[order], first)
            return found

        return type(self)(
            self.codes[chosen],
            reduced(np.add, self.areas),
            reduced(np.minimum, self.tops),
            reduced(np.minimum, self.lefts),
            reduced(np.maximum, self.bottoms),
            reduced(np.maximum, self.rights),
            self.inside[chosen],
            reduced(np.add, self.rated),
            reduced(np.add, self.certainty_sum),
        )
