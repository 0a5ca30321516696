"""Masks of valid pixels: no-data values, and alpha bands that are recognised by their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: An alpha band has few values, or is opaque or fully transparent on this share of the image.
_FEW_LEVELS, _EXTREME_SHARE = 16, 0.5
#: Least share of transparent pixels for an alpha band with many levels.
_CLEAR = 0.005
#: Values that masks of any type have where there is data.
_OPAQUE = (1, 255, 65535)
#: Pixels at least this share of whose neighbours have the value as well are an area, not scattered.
_AREA = 0.8
#: A no-data value this far from all others, as a share of their range, is not a measurement.
_FAR = 0.25


def is_alpha(values: NDArray[np.generic]) -> bool:
    """Whether a band that is called alpha is one; a band with many grey levels is data.

    Parameters
    ----------
    values : array
        A sample of the band.
    """
    if values.size == 0:
        return True
    opaque = _integer_limits(values)[1] if values.dtype.kind in "ui" else 1
    extreme = ((values == 0) | (values == opaque)).mean()
    return bool(np.unique(values).size <= _FEW_LEVELS or extreme >= _EXTREME_SHARE)


def is_premultiplied(alpha: NDArray[np.generic], colours: NDArray[np.generic]) -> bool:
    """Whether colours were multiplied by a band: none is brighter, and all are 0 where it is 0.

    This recognises an alpha band with many grey levels.

    Parameters
    ----------
    alpha : (n,) array
        A sample of the band.
    colours : (bands, n) array
        The other bands at the same pixels.
    """
    clear = alpha == 0
    if clear.mean() < _CLEAR or len(colours) == 0:
        return False
    return bool(np.less_equal(colours, alpha).all() and (colours[:, clear] == 0).all())


def looks_like_mask(values: NDArray[np.generic]) -> bool:
    """Whether an unnamed band is a mask: its values are 0 and one other that masks have.

    Parameters
    ----------
    values : array
        A sample of the band. If all are the largest of their type, it is an opaque mask; if all
        are 0, it is not taken for a mask.
    """
    found = np.unique(values) if values.size else values
    if values.dtype.kind in "ui" and found.size and found[-1] == _integer_limits(values)[1]:
        return bool(found.size == 1 or (found.size == 2 and found[0] == 0))
    # A measured band has more than two values.
    return bool(found.size == 2 and found[0] == 0 and found[1] in _OPAQUE)


def _integer_limits(values: NDArray[Any]) -> tuple[int, int]:
    limits = np.iinfo(values.dtype)
    return limits.min, limits.max


def equals(pixels: NDArray[np.generic], value: float) -> NDArray[np.bool_]:
    """Return where pixels have a no-data value; nowhere if their type cannot hold it."""
    if np.isnan(value):
        return np.isnan(pixels) if pixels.dtype.kind == "f" else np.zeros(pixels.shape, np.bool_)
    if pixels.dtype.kind == "f":
        # -3.4028234663852886e+38 is often written with too few digits.
        close = np.isclose(pixels, value, rtol=1e-6, atol=0.0)
        same: NDArray[np.bool_] = close
        return same
    low, high = _integer_limits(pixels)
    if not np.isfinite(value) or value != int(value) or not low <= value <= high:
        return np.zeros(pixels.shape, dtype=np.bool_)
    equal: NDArray[np.bool_] = pixels == np.asarray(int(value)).astype(pixels.dtype)
    return equal


def nodata_mask(
    pixels: NDArray[np.generic],
    nodatas: Sequence[float | None],
    ambiguous: Sequence[bool],
) -> NDArray[np.bool_]:
    """Return where one of the bands has its no-data value.

    Parameters
    ----------
    pixels : (bands, height, width) array
        Stored values.
    nodatas : sequence of float or None
        Per band.
    ambiguous : sequence of bool
        Per band, whether its no-data value also occurs as a measurement (see `ambiguous_nodata`).
        Then it counts only where all bands have theirs.

    Returns
    -------
    (height, width) array of bool
    """
    lost = np.zeros(pixels.shape[1:], dtype=np.bool_)
    everywhere: NDArray[np.bool_] | None = None
    for band, value, measured in zip(pixels, nodatas, ambiguous, strict=True):
        if value is None:
            continue
        here = equals(band, value)
        everywhere = here if everywhere is None else everywhere & here
        if not measured:
            lost |= here
    return lost if everywhere is None else lost | everywhere


def ambiguous_nodata(
    blocks: Sequence[NDArray[np.generic]], nodatas: Sequence[float | None]
) -> tuple[bool, ...]:
    """Return per band whether its no-data value also occurs as a measurement.

    In an 8-bit photograph whose no-data value is 0, a shadow may be 0 in one band. Such pixels are
    scattered, and other values are near 0. Pixels without data form areas.

    Parameters
    ----------
    blocks : sequence of (bands, height, width) array
        Stored values of sampled rectangles.
    nodatas : sequence of float or None
        Per band.
    """
    return tuple(
        value is not None
        and blocks[0].dtype.kind in "ui"
        and np.isfinite(value)
        and _is_ambiguous(blocks, nodatas, band, value)
        for band, value in enumerate(nodatas)
    )


def _is_ambiguous(
    blocks: Sequence[NDArray[np.generic]],
    nodatas: Sequence[float | None],
    band: int,
    value: float,
) -> bool:
    alone = inner = 0
    rest = []
    for block in blocks:
        here = equals(block[band], value)
        rest.append(block[band][~here])
        others = [equals(block[k], v) for k, v in enumerate(nodatas) if v is not None]
        lone = here & ~np.logical_and.reduce(others)
        alone += 2 * int(lone[:-1, :-1].sum())
        inner += int((lone[:-1, :-1] & lone[1:, :-1]).sum())
        inner += int((lone[:-1, :-1] & lone[:-1, 1:]).sum())
    values = np.concatenate(rest).astype(np.float64)
    if values.size == 0:
        return False
    low, nearest_low, high, nearest_high = np.percentile(values, (1, 0.5, 99, 99.5))
    distance = max(float(nearest_low) - value, value - float(nearest_high))
    if distance > _FAR * max(float(high - low), 1.0):
        return False
    return inner < _AREA * alone if alone else True
