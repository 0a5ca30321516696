"""Geometry of many segments at once: clipping to a rectangle, and points in polygons."""

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
    """Clip line segments to a rectangle (Liang and Barsky, 1984).

    Parameters
    ----------
    starts, ends : (n, 2) arrays
        A segment that is not finite lies outside.
    low, high : pairs of float
        The corners of the rectangle with the smallest and the largest coordinates.

    Returns
    -------
    inside : (n,) array of bool
        Whether a segment lies in the rectangle, at least in part.
    starts, ends : (n, 2) arrays
        Ends of that part; without meaning where `inside` is False.
    """
    step = ends - starts
    enter, leave = np.zeros(len(starts)), np.ones(len(starts))  # as shares of a segment
    inside = np.isfinite(step).all(axis=1)
    for axis in range(2):
        along, at = step[:, axis], starts[:, axis]
        parallel = along == 0
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low[axis] - at) / along, (high[axis] - at) / along
        enter = np.where(parallel, enter, np.fmax(enter, np.fmin(first, second)))
        leave = np.where(parallel, leave, np.fmin(leave, np.fmax(first, second)))
        with np.errstate(invalid="ignore"):
            inside &= ~parallel | ((at >= low[axis]) & (at <= high[axis]))
    inside &= enter <= leave
    return inside, starts + enter[:, None] * step, starts + leave[:, None] * step


def contains(
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    owners: NDArray[np.int64],
    count: int,
    place: Place,
) -> NDArray[np.bool_]:
    """Return which polygons contain a place (even-odd rule).

    Parameters
    ----------
    starts, ends : (n, 2) arrays
        Sides of the polygons and of their holes.
    owners : (n,) array
        Index of the polygon that a side belongs to.
    count : int
        Number of polygons.
    place : pair of float

    Returns
    -------
    (count,) array of bool
    """
    row, col = place
    with np.errstate(divide="ignore", invalid="ignore"):
        crosses = (starts[:, 0] > row) != (ends[:, 0] > row)
        share = (row - starts[:, 0]) / (ends[:, 0] - starts[:, 0])
        crosses &= col < starts[:, 1] + share * (ends[:, 1] - starts[:, 1])
    odd: NDArray[np.bool_] = np.bincount(owners[crosses], minlength=count) % 2 == 1
    return odd
