"""Sentinel-2's offset, which most files made from its products do not declare.

Since processing baseline 04.00 (January 2022) products hold reflectance times 10 000 plus 1000. The
offset is only in the product's metadata (BOA_ADD_OFFSET), which stacks and exports do not copy.
"Harmonized" collections have it subtracted.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from napari_disca.raster.bands import are_sentinel_bands
from napari_disca.raster.base import Raster

_OFFSET = 1000.0
#: Range of the darkest pixels of a scene with the offset (reflectances of -0.01 to 0.035), and its
#: end if the sensor is known (0.13), because only deserts are as bright without the offset.
_FLOOR, _BRIGHT_FLOOR = (0.9 * _OFFSET, 1.35 * _OFFSET), 2.3 * _OFFSET
#: With the offset, a reflectance of 1.5, which no surface exceeds.
_MOST = 16_000.0
_PRODUCT = re.compile(r"S2[A-D]_MSIL[12][AC]|T\d\d[A-Z]{3}_\d{8}T\d{6}_B\d|sentinel.?2", re.I)
_BASELINE = re.compile(r"_N(\d{4})_")


def sentinel_offset(raster: Raster, values: NDArray[np.float64]) -> float:
    """Return the offset to subtract from an image's values, if it is Sentinel-2's.

    Parameters
    ----------
    raster : Raster
    values : (bands, n) array of float
        Sampled valid pixels.

    Returns
    -------
    float
        1000 if the image's bands or name are Sentinel-2's and its values begin there, or its
        name has a processing baseline from 04.00 on; else 0.
    """
    if not begins_at_offset(raster, values, _BRIGHT_FLOOR):
        return 0.0
    name = f"{raster.name} {raster.path or ''}"
    if baseline := _BASELINE.search(name):
        return _OFFSET if int(baseline[1]) >= 400 else 0.0
    is_sentinel = are_sentinel_bands(raster.descriptions) or _PRODUCT.search(name)
    return _OFFSET if is_sentinel else 0.0


def begins_at_offset(
    raster: Raster, values: NDArray[np.float64], highest: float = _FLOOR[1]
) -> bool:
    """Whether values begin where those of Sentinel-2 with the offset do; names do not matter.

    Parameters
    ----------
    raster : Raster
    values : (bands, n) array of float
        Sampled valid pixels.
    highest : float
        Largest value of the darkest pixels.
    """
    plain = {*raster.scales} == {1.0} and {*raster.offsets} == {0.0}
    wide = raster.dtype.kind in "uif" and raster.dtype != np.uint8
    if not (plain and wide and values.size):
        return False
    floor = float(np.percentile(values, 0.1, axis=1).min())
    bright = float(np.percentile(values, 75))
    return _FLOOR[0] <= floor <= highest and floor < bright <= _MOST
