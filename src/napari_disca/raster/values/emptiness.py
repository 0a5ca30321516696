"""Refusal of images in which no pixel has data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import Raster
from napari_disca.raster.values.sampling import lattice

#: Height and width of the windows in which the whole image is searched.
_STRIP = 512, 4096


def refuse_empty(
    raster: Raster, bands: Sequence[int], valid: Callable[[Window], NDArray[np.bool_]]
) -> None:
    """Raise an error if no pixel of an image has data in the bands that are read.

    For most images one small window is enough; only if samples are empty all pixels are read.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1.
    valid : callable
        Returns where a window of the image has data.

    Raises
    ------
    RasterError
        If it has none, or the file is damaged.
    """
    if any(valid(window).any() for window in _windows(raster.shape)):
        return
    unique = sorted(set(bands))
    read = f"band{'s' * (len(unique) != 1)} {', '.join(map(str, unique))}"
    nodatas = {value for band in unique if (value := raster.nodatas[band - 1]) is not None}
    alphas = [b for b, name in enumerate(raster.color_interp, start=1) if name == "alpha"]
    parts = [
        *(f"no-data value {value:g}" for value in sorted(nodatas)),
        *(f"alpha in band {band}" for band in alphas),
    ]
    why = f" ({', '.join(parts)})" if parts else ""
    raise RasterError(
        f"{raster.name} has no pixel with data in {read}{why}; choose other bands, or correct "
        "its no-data value, its mask or its alpha"
    )


def _windows(shape: tuple[int, int]) -> Iterator[Window]:
    """Windows in the order of searching: where data is likely first, at last all of them."""
    height, width = shape
    yield Window(height // 2, width // 2, 64, 64) & Window.whole(shape)
    yield from lattice(shape, 5, 64)
    tall, wide = _STRIP
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            yield Window(top, left, tall, wide) & Window.whole(shape)
