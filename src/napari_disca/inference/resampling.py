"""Resampling along one axis at a time, with weights that depend on the position only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def axis_weights(start: int, stop: int, target: int, source: int) -> tuple[int, sparse.csr_array]:
    """Return the weights that resample a part of one axis.

    Pixels are averaged by their exact areas where the target has fewer pixels, and interpolated
    linearly between pixel centres where it has more. Weights are computed from integers and
    depend on a pixel's position only.

    Parameters
    ----------
    start, stop : int
        First target pixel, and the one after the last.
    target, source : int
        Pixels along the whole axis after and before.

    Returns
    -------
    int
        First source pixel that is needed.
    (stop - start, n) sparse array of float32
        Weights of source pixels ``first ... first + n - 1``; each row sums to 1.
    """
    here = np.arange(start, stop, dtype=np.int64)
    if here.size == 0:
        return 0, sparse.csr_array((0, 0), dtype=np.float32)
    if target == source:
        pixels, weights = here[:, None], np.ones((here.size, 1))
    elif target < source:
        low, high = here * source, (here + 1) * source
        pixels = (low // target)[:, None] + np.arange(-(-source // target) + 1)
        shares = np.minimum((pixels + 1) * target, high[:, None]) - np.maximum(
            pixels * target, low[:, None]
        )
        weights = np.maximum(shares, 0) / source
        pixels = np.minimum(pixels, source - 1)
    else:
        position = (2 * here + 1) * source - target
        before, rest = np.divmod(position, 2 * target)
        pixels = np.clip(np.stack([before, before + 1], axis=1), 0, source - 1)
        after = rest / (2 * target)
        weights = np.stack([1 - after, after], axis=1)
    used = weights > 0
    first = int(pixels[used].min())
    count = int(pixels[used].max()) + 1 - first
    ends = np.concatenate([[0], used.sum(axis=1).cumsum()])
    matrix = sparse.csr_array(
        (weights[used].astype(np.float32), pixels[used] - first, ends), shape=(here.size, count)
    )
    return first, matrix


def clamped(first: int, matrix: sparse.csr_array, start: int, length: int) -> sparse.csr_array:
    """Return the weights for an array that holds only `length` source pixels from `start` on."""
    pixels = np.clip(matrix.indices + first - start, 0, length - 1)
    return sparse.csr_array((matrix.data, pixels, matrix.indptr), shape=(matrix.shape[0], length))


def resampled(
    rows: sparse.csr_array, cols: sparse.csr_array, values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Resample ``(channels, height, width)`` along both axes.

    Sparse products sum one output pixel after the other in the order of the weights; BLAS would
    sum in an order that depends on the window's size.
    """
    channels, height, width = values.shape
    down = rows @ values.transpose(1, 0, 2).reshape(height, channels * width)
    across = down.reshape(rows.shape[0], channels, width).transpose(2, 1, 0)
    both = cols @ across.reshape(width, channels * rows.shape[0])
    result = both.reshape(cols.shape[0], channels, rows.shape[0]).transpose(1, 2, 0)
    return np.ascontiguousarray(result, dtype=np.float32)


def first_centre(edge: int, network: int, image: int) -> int:
    """First image row (or column) whose centre is not before an edge of the network grid."""
    return max(0, -((network - 2 * image * edge) // (2 * network)))
