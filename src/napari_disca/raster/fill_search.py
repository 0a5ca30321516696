"""Search for fill values that a file does not declare, by what they do to its histogram.

Programs write -9999, 0, 65535 or -3.4e38 where there is no data and often forget to say so; several
of them meet in one file. There are three kinds:

1. One exact number at an end of a band's histogram, on more than a percent of the pixels and far
   from all others.
2. Black in all bands at once, in areas, where hardly any pixel is nearly black.
3. The darkest or brightest colour, in areas that reach the corners of the image and end sharply.

Saturated pixels are exact and extreme as well, but not far from the rest, or they have the value
at which a sensor or a product saturates; and clouds do not frame an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.raster.base import Raster
from napari_disca.raster.fill import BORDER_CELLS, Border, Fill
from napari_disca.raster.masks import also_measured
from napari_disca.raster.sampling import Block, overview_block, sample_blocks

#: Least share of the pixels, of any fill value and of one that no image holds.
_SHARE, _ABSURD_SHARE = 0.01, 0.001
_ABSURD = 1e9
#: Least pixels: in a tiny image one pixel is a percent.
_COUNT = 12
#: Most fill values at each end of a histogram.
_MOST = 4
#: A joint fill in the range of the data: share, share of neighbours that are filled as well, and
#: how rare values just beside it must be compared with it.
_JOINT_SHARE, _CONTIGUOUS, _BESIDE = 0.02, 0.95, 0.05
#: Values at which sensors and products saturate; a cloud holds them rightly.
_SATURATED = frozenset({1.0, 100.0, 255.0, 1023.0, 2047.0, 4095.0, 10000.0, 16383.0, 43636.0})
#: High values that programs write for "no data".
_WRITTEN = frozenset({9999.0, 32767.0, 65535.0, 99999.0, 2.0**31 - 1, 2.0**32 - 1})
#: Distance from the rest, in spans of the rest, from which a value is a fill value: negative ones,
#: others at the low end, written ones at the high end, and any.
_NEGATIVE, _LOW, _HIGH_WRITTEN, _HIGH = 0.5, 0.25, 3.0, 8.0
#: Fewer different values are a mask or a drawing, in which extremes mean something.
_LEAST_LEVELS = 16
#: A border: its least share of the pixels where it reaches two corners, and where it reaches one.
_TWO_CORNERS, _ONE_CORNER = 0.01, 0.05
#: How solid it is: the share of what it encloses.
_SOLID = 0.97
#: Beside a border, pixels this near to its colour (in spans of the rest) are at most this share.
_LIKE, _MOST_LIKE = 0.1, 0.25
#: Pixels beside a border that are looked at.
_BELT = 3


def undeclared_fill(raster: Raster, bands: Sequence[int]) -> Fill:
    """Look for fill values that the file does not declare.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1.

    Raises
    ------
    RasterError
        If a band is outside the image, or the file is damaged.
    """
    unique = sorted(set(bands))
    found = search_fill(raster, unique, sample_blocks(raster, unique))
    return found.of_bands([unique.index(band) for band in bands])


def search_fill(raster: Raster, bands: Sequence[int], blocks: Sequence[Block]) -> Fill:
    """Fill values in sampled blocks of an image; see `undeclared_fill`.

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
    for step in (_bright_borders, _far_values, _joint_value, _dark_borders):
        left = [Block(b.pixels, _without(found, b), b.rows, b.cols) for b in blocks]
        if not any(block.valid.any() for block in left):
            return Fill.none(count)
        more = step(raster, bands, left, overview)
        found = Fill(
            tuple((*a, *b) for a, b in zip(found.values, more.values, strict=True)),
            (*found.joint, *more.joint),
            (*found.borders, *more.borders),
        )
    return _measured(found, blocks)


def given_fill(values: Sequence[float], blocks: Sequence[Block]) -> Fill:
    """Values that somebody calls "no data", as if the file declared them for all bands.

    A value that is a measurement as well counts where all bands have it.

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
        dark = also_measured(pixels, [value] * count)
        if any(dark):
            joint.append((value,) * count)
        alone = [v if d else (*v, value) for v, d in zip(alone, dark, strict=True)]
    return _measured(Fill(tuple(alone), tuple(joint)), blocks, whole=True)


def _without(fill: Fill, block: Block) -> NDArray[np.bool_]:
    """Where a block has data besides what is left out."""
    valid = block.valid.copy()
    if fill:
        fill.leave_out(block.pixels, valid, block.rows, block.cols)
    return valid


def _measured(fill: Fill, blocks: Sequence[Block], *, whole: bool = False) -> Fill:
    """A fill with its share; nothing where it would leave out everything."""
    total = sum(int(block.valid.sum()) for block in blocks)
    left = sum(int(_without(fill, block).sum()) for block in blocks)
    # Everything cannot be fill: then it is the image. Who says it himself is believed.
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
    """Exact values at the ends of a band that are frequent and far from all others."""
    core = pixels[np.isfinite(pixels)]
    ends = []
    for extreme in (np.min, np.max):
        peeled, core = _peeled(core, extreme, pixels.size)
        ends.append(peeled)
    # What is not far from the rest belongs to it: from the innermost outwards, at both ends,
    # since one fill value makes the other look near.
    for peeled in (*ends, *ends):
        while peeled and not _is_far(float(peeled[-1][0]), core):
            core = np.concatenate([core, peeled.pop()])
    return tuple(float(values[0]) for peeled in ends for values in peeled)


def _peeled(
    values: NDArray[Any], extreme: Callable[[NDArray[Any]], Any], total: int
) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Frequent values at one end of a band, outermost first, and the rest."""
    peeled: list[NDArray[Any]] = []
    while values.size and len(peeled) < _MOST:
        value = extreme(values)
        here = values == value
        least = _ABSURD_SHARE if abs(float(value)) >= _ABSURD else _SHARE
        if here.sum() < max(least * total, _COUNT):
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
    if span <= 0 or _levels(rest) < _LEAST_LEVELS:
        return False
    if value < nearest_low:
        return (nearest_low - value) / span >= (_NEGATIVE if value < 0 else _LOW)
    distance = (value - nearest_high) / span
    if value in _SATURATED:
        return False
    return distance >= (_HIGH_WRITTEN if value in _WRITTEN or value >= _ABSURD else _HIGH)


def _levels(values: NDArray[Any]) -> int:
    """How many different values there are, as far as a sample tells."""
    return int(np.unique(values[:: max(1, values.size // 4096)]).size)


# ---------------------------------------------------------------- black holes


def _joint_value(_raster: Raster, bands: Sequence[int], blocks: Sequence[Block], _: Any) -> Fill:
    """Smallest value where all bands have it at once, in areas, and hardly any pixel lies near.

    This finds black holes in images whose shadows are nearly as dark.
    """
    nothing = Fill.none(len(bands))
    pixels = _pixels(blocks)
    finite = np.isfinite(pixels).all(axis=0)
    if not finite.any():
        return nothing
    known = pixels[:, finite].astype(np.float64)
    value = float(known.min())
    filled = (known == value).all(axis=0)
    share = float(filled.mean())
    if not _JOINT_SHARE <= share < 1 or filled.sum() < _COUNT or value < 0:
        return nothing
    rest = known[:, ~filled]
    span = float(np.subtract(*np.percentile(rest, (99, 1))))
    beside = (rest.max(axis=0) <= value + 0.02 * span).mean() * (1 - share)
    if span <= 0 or np.unique(rest[0][:4096]).size < _LEAST_LEVELS or beside > _BESIDE * share:
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


# ---------------------------------------------------------------- borders


def _bright_borders(
    raster: Raster, bands: Sequence[int], blocks: Sequence[Block], overview: list[Block]
) -> Fill:
    return _borders(raster, bands, blocks, overview, dark=False)


def _dark_borders(
    raster: Raster, bands: Sequence[int], blocks: Sequence[Block], overview: list[Block]
) -> Fill:
    return _borders(raster, bands, blocks, overview, dark=True)


def _borders(
    raster: Raster,
    bands: Sequence[int],
    blocks: Sequence[Block],
    overview: list[Block],
    *,
    dark: bool,
) -> Fill:
    """Areas of the darkest colour, or of bright ones, that reach the corners of the image."""
    nothing = Fill.none(len(bands))
    pixels = _pixels(blocks)
    pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
    if pixels.shape[1] == 0:
        return nothing
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    found = []
    for colour in _corner_colours(raster, blocks):
        extreme = np.array([v in (a, b) for v, a, b in zip(colour, low, high, strict=True)])
        is_dark = bool((colour == low).all())
        if not extreme.all() or is_dark != dark or (low == high).any():
            continue
        if len(blocks) == 1:
            block = blocks[0]
        else:
            if not overview:  # decodes much of a large file, so only where a corner looks like it
                overview.append(overview_block(raster, bands))
            block = overview[0]
        border = _border(raster.overview_shape, block, colour)
        if border is not None:
            found.append(border)
    return Fill(nothing.values, borders=tuple(found))


def _corner_colours(raster: Raster, blocks: Sequence[Block]) -> list[NDArray[Any]]:
    """Colours that the corners of an image have, each once."""
    colours: list[NDArray[Any]] = []
    for row in (0, -1):
        for col in (0, -1):
            edges = [
                abs(b.rows[row] - (0, raster.overview_shape[0] - 1)[row])
                + abs(b.cols[col] - (0, raster.overview_shape[1] - 1)[col])
                for b in blocks
            ]
            block = blocks[int(np.argmin(edges))]
            colour = block.pixels[:, row, col]
            known = block.valid[row, col] and bool(np.isfinite(colour).all())
            if known and not any((colour == other).all() for other in colours):
                colours.append(colour)
    return colours


def _border(shape: tuple[int, int], block: Block, colour: NDArray[Any]) -> Border | None:
    """Border of one colour in an overview of the whole image, if it is one."""
    same = (block.pixels == colour[:, None, None]).all(axis=0) & block.valid
    labels, _ = ndimage.label(same)
    corners = [int(labels[row, col]) for row in (0, -1) for col in (0, -1)]
    reached = sum(label != 0 for label in corners)
    area: NDArray[np.bool_] = np.isin(labels, [label for label in corners if label])
    share = area.sum() / max(1, int(block.valid.sum()))
    if share < (_TWO_CORNERS if reached > 1 else _ONE_CORNER) or area.sum() < _COUNT:
        return None
    enclosed = ndimage.binary_fill_holes(area)
    if area.sum() < _SOLID * enclosed.sum():
        return None
    rest = block.valid & ~area
    pixels = block.pixels[:, rest].astype(np.float64)
    if pixels.shape[1] == 0 or max(_levels(band) for band in pixels) < _LEAST_LEVELS:
        return None
    low, high = np.percentile(pixels, (1, 99), axis=1)
    grown = ndimage.binary_dilation(enclosed, np.ones((3, 3)), iterations=_BELT)
    # The outermost pixels may be mixed, in overviews and after lossy compression.
    near = ndimage.binary_dilation(enclosed, np.ones((3, 3))) if min(rest.shape) > 64 else enclosed
    belt = block.pixels[:, grown & ~near & rest].astype(np.float64)
    distance = np.abs(belt - colour.astype(np.float64)[:, None])
    like = (distance <= _LIKE * np.maximum(high - low, 1e-12)[:, None]).all(axis=0)
    if like.size == 0 or like.mean() > _MOST_LIKE:
        return None
    rows, cols = (min(BORDER_CELLS, side) for side in shape)
    cells = np.zeros((rows, cols), dtype=np.bool_)
    at = np.nonzero(area)
    cells[block.rows[at[0]] * rows // shape[0], block.cols[at[1]] * cols // shape[1]] = True
    # An overview shows every so-many-th pixel only.
    cells = ndimage.binary_dilation(cells, np.ones((3, 3)))
    return Border.of_cells([float(v) for v in colour], shape, cells)
