"""Smooth random fields that depend on the position only.

A field has one random number per knot of a square lattice, hashed from the knot's position, and
a cubic B-spline through them. On a grid of pixels that is two small matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
#: Type of the sum of a field and a number for type checkers; at run time it is float32.
Values = NDArray[np.floating[Any]]

_MIX = tuple(np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F))
_FINISH = tuple(np.uint64(value) for value in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
#: A spline of uniform numbers in -1 ... 1 has this standard deviation.
_SPREAD = 0.277


def lattice(key: int, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return uniform numbers in -1 ... 1, one per knot (SplitMix64 of its position)."""
    bits = rows.astype(np.uint64) * _MIX[0] ^ (cols.astype(np.uint64) * _MIX[1] + np.uint64(key))
    for shift, factor in zip((30, 27), _FINISH, strict=True):
        bits = (bits ^ (bits >> np.uint64(shift))) * factor
    bits ^= bits >> np.uint64(31)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1.0


def _spline(t: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Return weights of the four knots around a position `t`, 0 ... 1 between the middle two."""
    return (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )


def _axis(places: NDArray[np.float64], period: float) -> tuple[Floats, NDArray[np.int64]]:
    """Return the weight of each knot at each place, and the knots' indices."""
    scaled = places / period
    first = np.floor(scaled).astype(np.int64) - 1
    knots = np.arange(first[0], first[-1] + 4)
    weights = np.zeros((len(places), len(knots)), dtype=np.float32)
    index = np.arange(len(places))
    for offset, weight in enumerate(_spline(scaled - first - 1)):
        weights[index, first - first[0] + offset] = weight
    return weights, knots


def field(ys: NDArray[np.float64], xs: NDArray[np.float64], period: float, key: int) -> Floats:
    """Return a field of zero mean and unit variance on the grid ``ys`` x ``xs`` (in metres).

    Parameters
    ----------
    ys, xs : arrays of float64
        Positions of rows and columns, increasing.
    period : float
        Distance of the knots: the size of the blobs, in metres.
    key : int
        Another key gives an independent field.
    """
    down, rows = _axis(ys, period)
    across, cols = _axis(xs, period)
    knots = (lattice(key, rows[:, None], cols[None, :]) / _SPREAD).astype(np.float32)
    grid: Floats = down @ (knots @ across.T)
    return grid


def at_points(points: NDArray[np.complex128], period: float, key: int) -> NDArray[np.float64]:
    """Return what `field` has at scattered points ``x + iy``."""
    x, y = points.real / period, points.imag / period
    col, row = np.floor(x).astype(np.int64) - 1, np.floor(y).astype(np.int64) - 1
    # All sixteen knots around every point at once: axes (row, column, point).
    across = np.stack(_spline(x - col - 1))
    down = np.stack(_spline(y - row - 1))
    four = np.arange(4).reshape(-1, *(1,) * points.ndim)
    knots = lattice(key, (row + four)[:, None], (col + four)[None, :])
    total: NDArray[np.float64] = (down * (knots * across).sum(axis=1)).sum(axis=0)
    return total / _SPREAD


@lru_cache(maxsize=64)
def key_of(seed: int, *words: str) -> int:
    """Return a 62-bit key for this seed and these words."""
    entropy = [seed, *(byte for word in words for byte in word.encode())]
    high, low = np.random.SeedSequence(entropy).generate_state(2, np.uint32)
    return (int(high) << 30) ^ int(low)


def mixture(fields: Sequence[Floats], gains: Sequence[float]) -> Floats:
    """Return a weighted sum of fields."""
    total = fields[0] * np.float32(gains[0])
    for one, gain in zip(fields[1:], gains[1:], strict=True):
        total += one * np.float32(gain)
    return total
