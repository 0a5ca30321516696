"""How pixel values become the numbers from 0 to 1 that a network reads and an eye sees.

One function, `value_scale`, decides it for the window, the command line, training and evaluation.
Where the file or the card does not say, it is decided from the bulk of the valid pixels, so that
neither a type's largest value nor clouds, broken pixels and fill values decide:

1. 8-bit images are divided by 255.
2. Values that fill a known range (0 to 1, 0 to 100, 0 to 255, 10, 11, 12 or 16 bits, reflectance
   times 10 000, Landsat Collection 2 surface reflectance) are divided by that range.
3. Else the 90th percentile becomes 0.75, where aerial photographs have it; 0 stays 0, or the
   values' own low end takes its place where they do not begin near 0.

The colours share one range, so that they keep their balance. Saturated pixels are left out before,
however many there are, and Sentinel-2's offset since processing baseline 04.00 is taken off.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.bands import are_sentinel_bands
from napari_disca.raster.base import Raster
from napari_disca.raster.fill import Fill
from napari_disca.raster.fill_search import given_fill, search_fill
from napari_disca.raster.sampling import Block, sample_blocks
from napari_disca.raster.sentinel import sentinel_offset
from napari_disca.raster.value_scale import HIGHEST as HIGHEST
from napari_disca.raster.value_scale import LOWEST as LOWEST
from napari_disca.raster.value_scale import FillChoice as FillChoice
from napari_disca.raster.value_scale import Scaling as Scaling
from napari_disca.raster.value_scale import ValueScale as ValueScale
from napari_disca.raster.value_scale import limited as limited

#: Where the 90th percentile of an aerial photograph lies.
_BRIGHT = 0.75
#: The low end of values that do not begin at 0: this share of the distance from the 1st to the
#: 90th percentile below the 1st.
_BELOW = 0.4
#: Values are taken to begin at 0 if their 1st percentile is at most this share of their 90th.
_FROM_ZERO = 0.65
#: Slightly negative reflectances, which atmospheric corrections give, begin at 0 as well.
_BELOW_ZERO = -0.1
#: A known range counts as filled if the 90th percentile is at least this share of it, at most
#: this share of the pixels lies above it ...
_FILLED, _ABOVE = 0.45, 0.002
#: ... and, where many other ranges are likely, the 99.9th percentile nearly reaches it.
_REACHED = 0.85
#: Largest values of known ranges, smallest first; whether they must be reached; their names.
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
#: Brighter scenes than this are hazy photographs of 16 bits rather than Landsat's.
_MOST_REFLECTANCE = 0.45
#: Reflectances that become 1: no darker scene is brightened more, no brighter one darkened.
_REFLECTANCE = (0.2, 0.6)
#: Bands whose bulk differs by more than this factor do not share a range.
_UNLIKE = 4.0
_COLOURS = ("red", "green", "blue")
#: Saturated: at least this share of the pixels at the upper end (of a width in spans of the rest),
#: more often than several times the values below it (of a width in spans), while enough are left.
_PEAK, _PEAK_WIDTH, _ABOVE_SLOPE, _SLOPE_WIDTH, _LEAST_REST = 0.002, 0.02, 3.0, 0.08, 0.1


def value_scale(
    raster: Raster,
    bands: Sequence[int],
    scaling: Scaling,
    names: Sequence[str] = (),
    *,
    find_fill: FillChoice = True,
) -> ValueScale:
    """Decide how the values of an image are scaled.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1, in the order in which they are read.
    scaling : Scaling
        What is wanted.
    names : sequence of str
        What the bands are, for instance ``("red", "green", "blue")``: colours share one range.
    find_fill : bool or tuple of float
        Leave out fill values that the file does not declare (`napari_disca.raster.fill_search`);
        False takes them for data. Values that are given are left out, and no others.

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
    """Valid sampled values of the bands, in the unit that the file's scale and offset give."""

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

    def take_off(self, offset: float) -> None:
        """Take off what Sentinel-2's products add to reflectance times 10 000; 0: nothing."""
        if offset:
            self.values -= offset
            self.offsets -= offset
            self.factors = (
                f"minus {offset:.0f}, which Sentinel-2's files hold since processing baseline 04.00"
            )

    def _factors(self) -> str:
        """The file's scale and offset as text."""
        if (self.scales == self.scales[0]).all() and (self.offsets == self.offsets[0]).all():
            return f"times {self.scales[0]:.6g} plus {self.offsets[0]:.6g}, as the file says"
        return "each band with the file's scale and offset"


def _decided(
    scaling: Scaling, raster: Raster, sampled: _Sampled, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Low and high of each band in the unit of `sampled`, and the line that tells them."""
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
        sampled.take_off(sentinel_offset(raster, sampled.values))
    if scaling.kind == "percentile":
        low, high = np.percentile(sampled.values, (2, 98), axis=1)
        high = _spread(low, high)
        return low, high, f"stretched from the 2nd to the 98th percentile: {_limits(low, high)}"
    return _automatic(raster, sampled, names)


def largest_value(raster: Raster) -> float:
    """Largest value that the type of an image can hold; 1 for floats."""
    if raster.dtype.kind == "f":
        return 1.0
    return float(min(np.iinfo(raster.dtype).max, 2 ** min(raster.bits, 64) - 1))


def _automatic(
    raster: Raster, sampled: _Sampled, names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    values = unsaturated(sampled.values)
    count = len(values)
    groups = _groups(values, names)
    known = _known_range(raster, sampled, values[groups[0]])
    if known is not None:
        low, high, text = known
        return _same(low, high, count, text)
    lows, highs = np.zeros(count), np.ones(count)
    for group in groups:
        lows[group], highs[group] = _bulk_range(values[group])
    highs = _spread(lows, highs)
    return lows, highs, f"from the bulk of the values: {_limits(lows, highs)}"


def unsaturated(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels without those that are saturated, which clouds are: a peak at a band's upper end.

    Parameters
    ----------
    values : (bands, n) array

    Returns
    -------
    (bands, m) array
        All of them where too few would be left to tell anything.
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
    """Bands that share a range: the colours, and all others each on its own."""
    count = len(values)
    named = len(names) == count and any(name in _COLOURS for name in names)
    together = [k for k in range(count) if not named or names[k] in _COLOURS]
    dark, bulk = np.percentile(values[together], (1, 90), axis=1)
    if dark.min() < 0:
        bulk = bulk - dark  # around 0 a ratio says nothing
    if len(together) > 1 and bulk.max() > _UNLIKE * max(float(bulk.min()), 1e-12):
        return [[k] for k in range(count)]
    return [together, *([k] for k in range(count) if k not in together)]


def _known_range(
    raster: Raster, sampled: _Sampled, colours: NDArray[np.float64]
) -> tuple[float, float, str] | None:
    """Range that the bulk of the colours fills, if it is one of those that are common."""
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
    """Whether nothing speaks against Landsat's values: another sensor's bands, or even steps.

    Eight bits times 257, or twelve bits that begin at the upper end, have steps.
    """
    told = [text for text in raster.descriptions if text]
    if are_sentinel_bands(told) or any(re.search(r"[a-z]-\d{3}\b|nm\b", text) for text in told):
        return False
    sample = values.ravel()[:: max(1, values.size // 4096)].astype(np.int64)
    return int(np.gcd.reduce(sample)) == 1


def _bulk_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Range of values from their own bulk: see the module."""
    dark, bright, top = (float(v) for v in np.percentile(values, (1, 90, 99.9)))
    low = 0.0
    # From 0 to 1 values are reflectances or the like, of which 0 is black: no offset is in them.
    lifted = dark > _FROM_ZERO * bright and not 0 <= dark <= top <= 1.5
    if lifted or dark < _BELOW_ZERO * max(bright, 0.0):
        low = dark - _BELOW * (bright - dark)
    high = low + (bright - low) / _BRIGHT
    # Reflectances have a known size: an image of water alone stays dark.
    if low == 0.0 and high <= 1.0:
        lowest, highest = _REFLECTANCE
        # A near infrared brighter than any colour keeps its own values below 1.
        high = float(np.clip(high, lowest, max(highest, top)))
    return low, high


def _spread(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper ends that are above the lower ones: a constant band becomes 0."""
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
