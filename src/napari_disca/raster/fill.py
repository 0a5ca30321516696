"""Fill values that a file does not declare, found by what they do to its histogram.

Programs write -9999, 0, 65535 or -3.4e38 where there is no data and often forget to say so. Such a
value is one exact number at an end of the histogram, on more than a percent of the pixels and far
from all others. Saturated pixels are exact and extreme as well, but not far from the rest, or they
have the value at which a sensor or a product saturates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.base import Raster
from napari_disca.raster.sampling import Block, sample_blocks

#: Least share of the pixels, of any fill value and of one that no image holds.
_SHARE, _ABSURD_SHARE = 0.01, 0.001
_ABSURD = 1e9
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


@dataclass(frozen=True, slots=True)
class Fill:
    """Undeclared fill values of the bands that are read.

    Attributes
    ----------
    values : tuple of float or None
        Per band; None where there is none.
    share : float
        Share of the image's pixels that is left out because of them.
    """

    values: tuple[float | None, ...]
    share: float = 0.0

    def __bool__(self) -> bool:
        return any(value is not None for value in self.values)

    def describe(self, *, left_out: bool = True) -> str:
        """What is left out, or would be, in words; empty if nothing."""
        if not self:
            return ""
        named = sorted({value for value in self.values if value is not None})
        values = " and ".join(f"{value:.6g}" for value in named)
        taken = "no data" if left_out else "data, as was chosen"
        return f"{values} on {100 * self.share:.0f} % of the pixels taken for {taken}"

    def leave_out(self, pixels: NDArray[np.generic], valid: NDArray[np.bool_]) -> None:
        """Mark pixels as invalid where one of their bands has its fill value, in place.

        Parameters
        ----------
        pixels : (bands, height, width) array
            In the image's own type.
        valid : (height, width) array of bool
        """
        for band, value in zip(pixels, self.values, strict=True):
            if value is not None:
                valid &= band != np.asarray(value).astype(band.dtype)


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
    found = fill_of_blocks(sample_blocks(raster, unique))
    return Fill(tuple(found.values[unique.index(band)] for band in bands), found.share)


def fill_of_blocks(blocks: Sequence[Block]) -> Fill:
    """Fill values of sampled pixels; see `undeclared_fill`."""
    count = blocks[0].pixels.shape[0]
    values: list[float | None] = [None] * count
    pixels = np.concatenate([b.pixels[:, b.valid] for b in blocks], axis=1)
    if pixels.shape[1] == 0:
        return Fill(tuple(values))
    for band in range(count):
        values[band] = _far_extreme(pixels[band])
    if not any(value is not None for value in values):
        joint = _joint_extreme(blocks, pixels)
        values = [joint] * count
    left_out = np.zeros(pixels.shape[1], dtype=np.bool_)
    for band, value in enumerate(values):
        if value is not None:
            left_out |= pixels[band] == value
    # Everything cannot be fill: then it is the image.
    if left_out.all():
        return Fill((None,) * count)
    return Fill(tuple(values), float(left_out.mean()))


def _far_extreme(pixels: NDArray[np.generic]) -> float | None:
    """Exact smallest or largest value of a band that is frequent and far from all others."""
    values = pixels[np.isfinite(pixels)]
    if values.size == 0:
        return None
    for extreme in (values.min(), values.max()):
        is_extreme = values == extreme
        share = float(is_extreme.mean())
        value = float(extreme)
        if share < (_ABSURD_SHARE if abs(value) >= _ABSURD else _SHARE):
            continue
        rest = values[~is_extreme]
        if rest.size and _is_far(value, rest.astype(np.float64)):
            return value
    return None


def _is_far(value: float, rest: NDArray[np.float64]) -> bool:
    percentiles = np.percentile(rest, (1, 0.5, 99, 99.5))
    low, nearest_low, high, nearest_high = (float(v) for v in percentiles)
    span = high - low
    if span <= 0 or np.unique(rest[:: max(1, rest.size // 4096)]).size < _LEAST_LEVELS:
        return False
    if value < nearest_low:
        return (nearest_low - value) / span >= (_NEGATIVE if value < 0 else _LOW)
    distance = (value - nearest_high) / span
    if value in _SATURATED:
        return False
    return distance >= (_HIGH_WRITTEN if value in _WRITTEN or value >= _ABSURD else _HIGH)


def _joint_extreme(blocks: Sequence[Block], pixels: NDArray[np.generic]) -> float | None:
    """Smallest value where all bands have it at once, in areas, and hardly any pixel lies near.

    This finds black holes in images whose shadows are nearly as dark.
    """
    finite = np.isfinite(pixels).all(axis=0)
    if not finite.any():
        return None
    known = pixels[:, finite].astype(np.float64)
    value = float(known.min())
    filled = (known == value).all(axis=0)
    share = float(filled.mean())
    if not _JOINT_SHARE <= share < 1 or value < 0:
        return None
    rest = known[:, ~filled]
    span = float(np.subtract(*np.percentile(rest, (99, 1))))
    beside = (rest.max(axis=0) <= value + 0.02 * span).mean() * (1 - share)
    if span <= 0 or np.unique(rest[0][:4096]).size < _LEAST_LEVELS or beside > _BESIDE * share:
        return None
    inner = total = 0
    for block in blocks:
        hole = (block.pixels == value).all(axis=0) & block.valid
        total += 2 * int(hole[:-1, :-1].sum())
        inner += int(
            (hole[:-1, :-1] & hole[1:, :-1]).sum() + (hole[:-1, :-1] & hole[:-1, 1:]).sum()
        )
    return value if total and inner / total >= _CONTIGUOUS else None
