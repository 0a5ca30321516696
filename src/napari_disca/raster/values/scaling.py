"""How pixel values are scaled to 0 ... 1 for networks and for display.

One function, `value_scale`, decides it for the window, the command line, training and evaluation.
If neither the user nor the card sets a range, it is decided from the bulk of the valid pixels, and
not from the type's largest value, clouds, broken pixels or fill values:

1. 8-bit images are divided by 255.
2. Values that fill a known range (0 to 1, 0 to 100, 0 to 255, 10, 11, 12 or 16 bits, reflectance
   times 10 000, Landsat Collection 2 surface reflectance) are divided by that range.
3. Others are scaled so that the 90th percentile becomes 0.75, as in aerial photographs. 0 stays 0,
   unless values do not begin near 0: then their own low end becomes 0.

Red, green and blue share one range, which keeps their balance. Saturated pixels are left out of the
statistics, and Sentinel-2's offset since processing baseline 04.00 is subtracted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.bands import are_sentinel_bands
from napari_disca.raster.base import Raster
from napari_disca.raster.values.fill import Fill
from napari_disca.raster.values.fill_search import given_fill, search_fill
from napari_disca.raster.values.sampling import Block, sample_blocks
from napari_disca.raster.values.sentinel import sentinel_offset
from napari_disca.raster.values.value_scale import HIGHEST as HIGHEST
from napari_disca.raster.values.value_scale import LOWEST as LOWEST
from napari_disca.raster.values.value_scale import FillChoice as FillChoice
from napari_disca.raster.values.value_scale import Scaling as Scaling
from napari_disca.raster.values.value_scale import ValueScale as ValueScale
from napari_disca.raster.values.value_scale import clipped as clipped

#: Scaled value of the 90th percentile in aerial photographs.
_BRIGHT = 0.75
#: Values that do not begin at 0 get a low end below the 1st percentile, by this share of the
#: distance from the 1st to the 90th percentile.
_BELOW = 0.4
#: Values are taken to begin at 0 if their 1st percentile is at most this share of their 90th.
_FROM_ZERO = 0.65
#: Slightly negative reflectances, which atmospheric corrections give, count as beginning at 0.
_BELOW_ZERO = -0.1
#: A known range is recognised if the 90th percentile is at least this share of it, at most
#: this share of the pixels lies above it ...
_FILLED, _ABOVE = 0.45, 0.002
#: ... and, for ranges that may be confused with others, the 99.9th percentile nearly reaches it.
_REACHED = 0.85
#: Known ranges in ascending order: largest value, whether it must be reached, name.
_RANGES: tuple[tuple[float, bool, str], ...] = (
    (1.0, False, "0 to 1"),
    (100.0, True, "percent"),
    (255.0, False, "8 bits"),
    (1023.0, True, "10 bits"),
    (2047.0, True, "11 bits"),
    (4095.0, True, "12 bits"),
    (10000.0, True, "reflectance x 10 000"),
    (16383.0, True, "14 bits"),
    (65535.0, False, "16 bits"),
    (2.0**32 - 1, False, "32 bits"),
)
#: Landsat Collection 2 surface reflectance is stored as (reflectance + 0.2) / 0.0000275.
_LANDSAT_ZERO, _LANDSAT_ONE = 0.2 / 2.75e-5, 1.2 / 2.75e-5
#: Scenes brighter than this are hazy 16-bit photographs, not Landsat's.
_MOST_REFLECTANCE = 0.45
#: Limits of the reflectance that becomes 1: dark scenes stay dark, bright ones bright.
_REFLECTANCE = (0.2, 0.6)
#: Bands whose bulk differs by more than this factor do not share a range.
_UNLIKE = 4.0
_COLOURS = ("red", "green", "blue")
#: Saturation is a peak at a band's upper end: at least this share of the pixels within this width
#: (a share of the other values' range), this many times as many as in the values below within
#: that width, if at least this share of the pixels is left.
_PEAK, _PEAK_WIDTH, _ABOVE_SLOPE, _SLOPE_WIDTH, _LEAST_REST = 0.002, 0.02, 3.0, 0.08, 0.1


def value_scale(
    raster: Raster,
    bands: Sequence[int],
    scaling: Scaling,
    names: Sequence[str] = (),
    *,
    find_fill: FillChoice = True,
) -> ValueScale:
    """Return how the values of an image are scaled, with its numbers.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1, in the order in which they are read.
    scaling : Scaling
        The choice of the user or of the card.
    names : sequence of str
        Names of the bands, for instance ``("red", "green", "blue")``: colours share one range.
    find_fill : bool or tuple of float
        True: fill values that the file does not declare count as no data, see
        `napari_disca.raster.values.fill_search`. False: they are data. Values: exactly these are
        fill values.

    Raises
    ------
    RasterError
        If a band is outside the image, or the file is damaged.
    """
    unique = sorted(set(bands))
    blocks = sample_blocks(raster, unique)
    if isinstance(find_fill, tuple):
        found = given_fill(find_fill, blocks)
    else:
        found = search_fill(raster, unique, blocks)
    fill = found if find_fill else Fill.none(len(unique))
    sampled = _Sampled(raster, bands, unique, blocks, fill)
    low, high, text = _decided(scaling, raster, sampled, names)
    if sampled.factors:
        text = f"{text}; {sampled.factors}"
    if found:
        text = f"{text}; {found.describe(left_out=bool(find_fill))}"
    scales, offsets = sampled.scales, sampled.offsets
    return ValueScale(
        tuple(float(v) for v in (low - offsets) / scales),
        tuple(float(v) for v in (high - offsets) / scales),
        fill.of_bands([unique.index(band) for band in bands]),
        text,
        scaling,
        find_fill,
    )


class _Sampled:
    """Valid sampled values of the bands, converted by the file's scale and offset."""

    def __init__(
        self,
        raster: Raster,
        bands: Sequence[int],
        unique: Sequence[int],
        blocks: Sequence[Block],
        fill: Fill,
    ) -> None:
        self.scales = np.array([raster.scales[band - 1] for band in bands], dtype=np.float64)
        self.offsets = np.array([raster.offsets[band - 1] for band in bands], dtype=np.float64)
        self.tagged = bool((self.scales != 1).any() or (self.offsets != 0).any())
        self.factors = self._factors() if self.tagged else ""
        pieces = []
        for block in blocks:
            valid = block.valid & np.isfinite(block.pixels).all(axis=0)
            fill.leave_out(block.pixels, valid, block.rows, block.cols)
            pieces.append(block.pixels[:, valid])
        values = np.concatenate(pieces, axis=1).astype(np.float64)
        order = [list(unique).index(band) for band in bands]
        self.values: NDArray[np.float64] = (
            values[order] * self.scales[:, None] + self.offsets[:, None]
        )

    def subtract_offset(self, offset: float) -> None:
        """Subtract Sentinel-2's offset from the samples and remember it; 0: there is none."""
        if offset:
            self.values -= offset
            self.offsets -= offset
            self.factors = (
                f"minus {offset:.0f}, which Sentinel-2's files hold since processing baseline 04.00"
            )

    def _factors(self) -> str:
        """Text on the file's scale and offset."""
        if (self.scales == self.scales[0]).all() and (self.offsets == self.offsets[0]).all():
            return f"times {self.scales[0]:.6g} plus {self.offsets[0]:.6g}, as the file says"
        return "each band with the file's scale and offset"


def _decided(
    scaling: Scaling, raster: Raster, sampled: _Sampled, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Values of each band that become 0 and 1, in the unit of `sampled`, and a line on them."""
    count = len(sampled.scales)
    if scaling.kind == "range":
        return _same(scaling.low, scaling.high, count, "given")
    stored = np.zeros(count), np.full(count, largest_value(raster))
    by_type = tuple(end * sampled.scales + sampled.offsets for end in stored)
    ordinary = raster.dtype == np.uint8 and not sampled.tagged
    if scaling.kind == "dtype" or (scaling.kind == "auto" and ordinary):
        text = "values as they are" if stored[1][0] == 1 else f"values / {stored[1][0]:.10g}"
        return by_type[0], by_type[1], text
    if sampled.values.shape[1] == 0:
        text = f"values / {stored[1][0]:.10g} (no valid pixel says more)"
        return by_type[0], by_type[1], text
    if scaling.kind == "auto":
        sampled.subtract_offset(sentinel_offset(raster, sampled.values))
    if scaling.kind == "percentile":
        low, high = np.percentile(sampled.values, (2, 98), axis=1)
        high = _spread(low, high)
        return low, high, f"stretched from the 2nd to the 98th percentile: {_limits(low, high)}"
    return _automatic(raster, sampled, names)


def largest_value(raster: Raster) -> float:
    """Return the largest value of an integer image's used bits; 1 for floats."""
    if raster.dtype.kind == "f":
        return 1.0
    return float(min(np.iinfo(raster.dtype).max, 2 ** min(raster.bits, 64) - 1))


def _automatic(
    raster: Raster, sampled: _Sampled, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    values = unsaturated(sampled.values)
    count = len(values)
    groups = _groups(values, names)
    standard = _standard_range(raster, sampled, values[groups[0]])
    if standard is not None:
        low, high, text = standard
        return _same(low, high, count, text)
    lows, highs = np.zeros(count), np.ones(count)
    for group in groups:
        lows[group], highs[group] = _bulk_range(values[group])
    highs = _spread(lows, highs)
    return lows, highs, f"from the bulk of the values: {_limits(lows, highs)}"


def unsaturated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return pixels without saturated ones (for instance clouds), a peak at a band's upper end.

    Parameters
    ----------
    values : (bands, n) array

    Returns
    -------
    (bands, m) array
        All of them if too few would be left.
    """
    peaked = np.zeros(values.shape[1], dtype=np.bool_)
    for band in values:
        low, top = np.percentile(band, (1, 99.95))
        peak = band >= top - _PEAK_WIDTH * (top - low)
        slope = band >= top - (_PEAK_WIDTH + _SLOPE_WIDTH) * (top - low)
        below = slope.mean() - peak.mean()
        if peak.mean() >= max(_PEAK, _ABOVE_SLOPE * below):
            peaked |= peak
    rest = values[:, ~peaked]
    few = rest.shape[1] < _LEAST_REST * values.shape[1] or rest.shape[1] == 0
    return values if few else rest


def _groups(values: NDArray[np.float64], names: Sequence[str]) -> list[list[int]]:
    """Groups of bands that share a range: the colours, and every other band alone."""
    count = len(values)
    named = len(names) == count and any(name in _COLOURS for name in names)
    together = [k for k in range(count) if not named or names[k] in _COLOURS]
    dark, bulk = np.percentile(values[together], (1, 90), axis=1)
    if dark.min() < 0:
        bulk = bulk - dark  # ratios near 0 are meaningless
    if len(together) > 1 and bulk.max() > _UNLIKE * max(float(bulk.min()), 1e-12):
        return [[k] for k in range(count)]
    return [together, *([k] for k in range(count) if k not in together)]


def _standard_range(
    raster: Raster, sampled: _Sampled, colours: NDArray[np.float64]
) -> tuple[float, float, str] | None:
    """Known range that the bulk of the colours fills; None if there is none."""
    lowest, dark, bright, top = np.percentile(colours, (0.5, 1, 90, 99.9))
    limits = np.iinfo(raster.dtype) if raster.dtype.kind in "ui" and not sampled.tagged else None
    if raster.dtype == np.int8 and limits is not None and colours.min() < 0:
        return -128.0, 127.0, "the whole type"
    if dark < _BELOW_ZERO * max(bright, 0.0):
        if limits is not None and bright - dark > 0.3 * limits.max:
            return float(limits.min), float(limits.max), "the whole type"
        return None
    if limits is not None and raster.dtype.itemsize > 1 and _may_be_landsat(raster, colours):
        reflectance = (bright - _LANDSAT_ZERO) * 2.75e-5
        if lowest >= 0.97 * _LANDSAT_ZERO and 0.02 < reflectance < _MOST_REFLECTANCE:
            one = float(np.clip(reflectance / _BRIGHT, *_REFLECTANCE))
            high = _LANDSAT_ZERO + one / 2.75e-5
            return _LANDSAT_ZERO, high, "Landsat Collection 2 surface reflectance"
    for largest, reached, text in _RANGES:
        if (limits is not None and largest == 1.0) or (colours > 1.02 * largest).mean() > _ABOVE:
            continue
        fits = bright >= _FILLED * largest and (not reached or top >= _REACHED * largest)
        hazy = reached and dark > _FROM_ZERO * bright
        return (0.0, largest, text) if fits and not hazy else None
    return None


def _may_be_landsat(raster: Raster, values: NDArray[np.float64]) -> bool:
    """Whether values may be Landsat's: no names of another sensor's bands, no even steps.

    8-bit values times 257, or 12-bit values shifted to 16 bits, have even steps.
    """
    names = [text for text in raster.descriptions if text]
    if are_sentinel_bands(names) or any(re.search(r"[a-z]-\d{3}\b|nm\b", text) for text in names):
        return False
    sample = values.ravel()[:: max(1, values.size // 4096)].astype(np.int64)
    return int(np.gcd.reduce(sample)) == 1


def _bulk_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Range from the bulk of the values, see the module."""
    dark, bright, top = (float(v) for v in np.percentile(values, (1, 90, 99.9)))
    low = 0.0
    # Values from 0 to 1.5 are reflectances or the like, without an offset: 0 is black.
    lifted = dark > _FROM_ZERO * bright and not 0 <= dark <= top <= 1.5
    if lifted or dark < _BELOW_ZERO * max(bright, 0.0):
        low = dark - _BELOW * (bright - dark)
    high = low + (bright - low) / _BRIGHT
    # The size of reflectances is known, so an image of water alone stays dark.
    if low == 0.0 and high <= 1.0:
        lowest, highest = _REFLECTANCE
        # A near infrared brighter than any colour keeps its own values below 1.
        high = float(np.clip(high, lowest, max(highest, top)))
    return low, high


def _spread(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper ends, raised above the lower ones where they are equal: a constant band becomes 0."""
    return np.where(high > low, high, low + np.maximum(1.0, np.abs(low)))


def _same(
    low: float, high: float, count: int, text: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    line = f"values / {high:.10g}" if low == 0 else f"values from {low:.6g} to {high:.6g}"
    if (low, high) == (0.0, 1.0):
        line = "values as they are"
    return np.full(count, low), np.full(count, high), f"{line} ({text})"


def _limits(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    pairs = list(dict.fromkeys(f"{a:.4g} to {b:.4g}" for a, b in zip(low, high, strict=True)))
    return ", ".join(pairs)
