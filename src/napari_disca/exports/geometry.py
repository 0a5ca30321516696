"""Many lines at once: which parts of them lie in a rectangle, and what they go around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Row and column.
Place: TypeAlias = Sequence[float] | NDArray[np.float64]


def clipped(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    low: Place,
    high: Place,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    """Cut straight lines to a rectangle (Liang and Barsky, 1984).

    Parameters
    ----------
    starts, ends : arrays of shape (n, 2)
        What is not finite lies nowhere.
    low, high : pairs of float
        Corners of the rectangle.

    Returns
    -------
    inside : array of bool, shape (n,)
        Which of them lie in it, in part at least.
    starts, ends : arrays of shape (n, 2)
        What of them does; without meaning where nothing does.
    """
    way = ends - starts
    enter, leave = np.zeros(len(starts)), np.ones(len(starts))
    inside = np.isfinite(way).all(axis=1)
    for axis in range(2):
        along, at = way[:, axis], starts[:, axis]
        still = along == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low[axis] - at) / along, (high[axis] - at) / along
        enter = np.where(still, enter, np.fmax(enter, np.fmin(first, second)))
        leave = np.where(still, leave, np.fmin(leave, np.fmax(first, second)))
        with np.errstate(invalid="ignore"):
            inside &= ~still | ((at >= low[axis]) & (at <= high[axis]))
    inside &= enter <= leave
    return inside, starts + enter[:, None] * way, starts + leave[:, None] * way


def holds(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    owners: NDArray[np.int64],
    count: int,
    place: Place,
) -> NDArray[np.bool_]:
    """Which outlines go around a place, by the rule of even and odd.

    Parameters
    ----------
    starts, ends : arrays of shape (n, 2)
        Sides of the outlines.
    owners : array of shape (n,)
        Number of the outline that a side belongs to; holes belong to the one that has them.
    count : int
        Outlines.
    place : pair of float

    Returns
    -------
    array of bool, shape (count,)
    """
    row, col = place
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = (starts[:, 0] > row) != (ends[:, 0] > row)
        share = (row - starts[:, 0]) / (ends[:, 0] - starts[:, 0])
        crosses &= col < starts[:, 1] + share * (ends[:, 1] - starts[:, 1])
    odd: NDArray[np.bool_] = np.bincount(owners[crosses], minlength=count) % 2 == 1
    return odd
