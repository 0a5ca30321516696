"""Search for fill values that a file does not declare, in the histograms of sampled pixels.

Programs write -9999, 0, 65535 or -3.4e38 where there is no data, and often do not declare it; one
file may have several such values. There are three kinds:

1. A single value at an end of a band's histogram that more than a percent of the pixels have and
   that is far from all other values.
2. Black in all bands at once, in contiguous areas, if hardly any pixel is nearly black.
3. The darkest or brightest colour, in areas that reach the corners of the image and have sharp
   edges, or in blocks (`napari_disca.raster.values.border_search`).

Saturated pixels also have one extreme value, but it is near the other values, or it is one at which
sensors or products saturate; and clouds do not surround an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.base import Raster
from napari_disca.raster.values.border_search import (
    LEAST_COUNT,
    LEAST_LEVELS,
    bright_areas,
    dark_areas,
    levels,
)
from napari_disca.raster.values.fill import Fill
from napari_disca.raster.values.masks import ambiguous_nodata
from napari_disca.raster.values.sampling import Block

#: Least share of the pixels for a fill value, and for one that is absurd as a measurement.
_SHARE, _ABSURD_SHARE = 0.01, 0.001
_ABSURD = 1e9
#: Most fill values at each end of a histogram.
_MOST = 4
#: For black in all bands: least share of the pixels, least share of neighbours that are black as
#: well, and most pixels that are nearly black, as a share of the black ones.
_JOINT_SHARE, _CONTIGUOUS, _BESIDE = 0.02, 0.95, 0.05
#: Values at which sensors and products saturate, so that clouds have them.
_SATURATED = frozenset({1.0, 100.0, 255.0, 1023.0, 2047.0, 4095.0, 10000.0, 16383.0, 43636.0})
#: High values that programs write for "no data".
_WRITTEN = frozenset({9999.0, 32767.0, 65535.0, 99999.0, 2.0**31 - 1, 2.0**32 - 1})
#: Least distance of a fill value from the other values, in multiples of their range: for negative
#: ones, for others at the low end, for those of `_WRITTEN` at the high end, and for others there.
_NEGATIVE, _LOW, _HIGH_WRITTEN, _HIGH = 0.5, 0.25, 3.0, 8.0


def search_fill(raster: Raster, bands: Sequence[int], blocks: Sequence[Block]) -> Fill:
    """Return the fill values in sampled blocks of an image that its file does not declare.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1, those of the blocks.
    blocks : sequence of Block

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    count = len(bands)
    found = Fill.none(count)
    overview: list[Block] = []
    for step in (bright_areas, _far_values, _joint_value, dark_areas):
        left = [Block(b.pixels, _without(found, b), b.rows, b.cols) for b in blocks]
        if not any(block.valid.any() for block in left):
            return Fill.none(count)
        more = step(raster, bands, left, overview)
        found = Fill(
            tuple((*a, *b) for a, b in zip(found.values, more.values, strict=True)),
            (*found.joint, *more.joint),
            (*found.borders, *more.borders),
        )
    return _with_share(found, blocks)


def given_fill(values: Sequence[float], blocks: Sequence[Block]) -> Fill:
    """Return a fill of given values, as if the file declared them for all bands.

    A value that also occurs as a measurement counts only where all bands have it.

    Parameters
    ----------
    values : sequence of float
    blocks : sequence of Block
        Sampled pixels of the image.
    """
    count = blocks[0].pixels.shape[0]
    pixels = [block.pixels for block in blocks]
    alone: list[tuple[float, ...]] = [()] * count
    joint = []
    for value in dict.fromkeys(values):
        ambiguous = ambiguous_nodata(pixels, [value] * count)
        if any(ambiguous):
            joint.append((value,) * count)
        alone = [v if d else (*v, value) for v, d in zip(alone, ambiguous, strict=True)]
    return _with_share(Fill(tuple(alone), tuple(joint)), blocks, whole=True)


def _without(fill: Fill, block: Block) -> NDArray[np.bool_]:
    """Where a block has data that the fill does not leave out."""
    valid = block.valid.copy()
    if fill:
        fill.leave_out(block.pixels, valid, block.rows, block.cols)
    return valid


def _with_share(fill: Fill, blocks: Sequence[Block], *, whole: bool = False) -> Fill:
    """Return a fill with its share; an empty one if it would leave out everything."""
    total = sum(int(block.valid.sum()) for block in blocks)
    left = sum(int(_without(fill, block).sum()) for block in blocks)
    # A fill that was found cannot be the whole image; one that the user gives can.
    if total == 0 or (left == 0 and not whole):
        return Fill.none(len(fill.values)) if not whole else fill
    return Fill(fill.values, fill.joint, fill.borders, 1 - left / total)


def _pixels(blocks: Sequence[Block]) -> NDArray[Any]:
    """Valid pixels of blocks, ``(bands, n)``."""
    return np.concatenate([b.pixels[:, b.valid] for b in blocks], axis=1)


# ---------------------------------------------------------------- values far from all others


def _far_values(_raster: Raster, bands: Sequence[int], blocks: Sequence[Block], _: Any) -> Fill:
    pixels = _pixels(blocks)
    return Fill(tuple(_far_extremes(pixels[k]) for k in range(len(bands))))


def _far_extremes(pixels: NDArray[np.generic]) -> tuple[float, ...]:
    """Values at the ends of a band's histogram that are frequent and far from all others."""
    core = pixels[np.isfinite(pixels)]
    ends = []
    for extreme in (np.min, np.max):
        peeled, core = _peeled(core, extreme, pixels.size)
        ends.append(peeled)
    # Values that are not far from the others are returned to them, the innermost first. Both ends
    # twice, because a fill value at one end widens the range by which the other is judged.
    for peeled in (*ends, *ends):
        while peeled and not _is_far(float(peeled[-1][0]), core):
            core = np.concatenate([core, peeled.pop()])
    return tuple(float(values[0]) for peeled in ends for values in peeled)


def _peeled(
    values: NDArray[Any], extreme: Callable[[NDArray[Any]], Any], total: int
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Frequent values at one end of a histogram, the outermost first, and all other values."""
    peeled: list[NDArray[Any]] = []
    while values.size and len(peeled) < _MOST:
        value = extreme(values)
        here = values == value
        least = _ABSURD_SHARE if abs(float(value)) >= _ABSURD else _SHARE
        if here.sum() < max(least * total, LEAST_COUNT):
            break
        peeled.append(values[here])
        values = values[~here]
    return peeled, values


def _is_far(value: float, rest: NDArray[Any]) -> bool:
    if rest.size == 0:
        return False
    percentiles = np.percentile(rest.astype(np.float64), (1, 0.5, 99, 99.5))
    low, nearest_low, high, nearest_high = (float(v) for v in percentiles)
    span = high - low
    if span <= 0 or levels(rest) < LEAST_LEVELS:
        return False
    if value < nearest_low:
        return (nearest_low - value) / span >= (_NEGATIVE if value < 0 else _LOW)
    distance = (value - nearest_high) / span
    if value in _SATURATED:
        return False
    return distance >= (_HIGH_WRITTEN if value in _WRITTEN or value >= _ABSURD else _HIGH)


# ---------------------------------------------------------------- black areas


def _joint_value(_raster: Raster, bands: Sequence[int], blocks: Sequence[Block], _: Any) -> Fill:
    """The smallest value, if all bands have it at once in areas and few pixels are near it.

    This finds black areas in images whose shadows are nearly as dark.
    """
    nothing = Fill.none(len(bands))
    pixels = _pixels(blocks)
    finite = np.isfinite(pixels).all(axis=0)
    if not finite.any():
        return nothing
    values = pixels[:, finite].astype(np.float64)
    value = float(values.min())
    filled = (values == value).all(axis=0)
    share = float(filled.mean())
    if not _JOINT_SHARE <= share < 1 or filled.sum() < LEAST_COUNT or value < 0:
        return nothing
    rest = values[:, ~filled]
    span = float(np.subtract(*np.percentile(rest, (99, 1))))
    beside = (rest.max(axis=0) <= value + 0.02 * span).mean() * (1 - share)
    if span <= 0 or np.unique(rest[0][:4096]).size < LEAST_LEVELS or beside > _BESIDE * share:
        return nothing
    inner = total = 0
    for block in blocks:
        hole = (block.pixels == value).all(axis=0) & block.valid
        total += 2 * int(hole[:-1, :-1].sum())
        inner += int(
            (hole[:-1, :-1] & hole[1:, :-1]).sum() + (hole[:-1, :-1] & hole[:-1, 1:]).sum()
        )
    if not total or inner / total < _CONTIGUOUS:
        return nothing
    return Fill(nothing.values, joint=((value,) * len(bands),))
