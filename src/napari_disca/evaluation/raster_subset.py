"""A part of an image as an image of its own, to measure samples of large mosaics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.tiling import Window
from napari_disca.raster import Raster

#: Least share of a part for each of two classes; half of the part must be known.
_SHARE, _KNOWN = 0.01, 0.5


class RasterSubset:
    """A window of a raster as a raster of its own.

    Its overview is that of the whole raster, so that pixel values are scaled as for a user who
    works on the whole image.

    Parameters
    ----------
    raster : Raster
    window : Window
        Inside the raster.
    """

    path: Path | None = None
    gcps: Any = None
    rpcs: Any = None

    def __init__(self, raster: Raster, window: Window) -> None:
        self._raster, self._window = raster, window
        self.name = f"{raster.name}@{window.top},{window.left}"
        self.shape = window.shape
        self.overview_shape = raster.overview_shape
        self.origin = raster.origin[0] + window.top, raster.origin[1] + window.left
        self.count, self.dtype, self.nodata = raster.count, raster.dtype, raster.nodata
        self.crs, self.color_interp = raster.crs, raster.color_interp
        self.nodatas, self.notes = raster.nodatas, raster.notes
        self.descriptions = raster.descriptions
        self.scales, self.offsets, self.bits = raster.scales, raster.offsets, raster.bits
        self.transform: Affine | None = None
        if (t := raster.transform) is not None:
            x = t.c + t.a * window.left + t.b * window.top
            y = t.f + t.d * window.left + t.e * window.top
            self.transform = Affine(t.a, t.b, x, t.d, t.e, y)

    def _in_raster(self, window: Window) -> Window:
        return Window(
            window.top + self._window.top,
            window.left + self._window.left,
            window.height,
            window.width,
        )

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Return the pixels of a window of the part."""
        return self._raster.read(self._in_raster(window), bands)

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Return which pixels of a window have data."""
        return self._raster.valid(self._in_raster(window), bands)

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the overview of the whole raster."""
        return self._raster.overview(max_side, bands)

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Return every `step`-th pixel of a window of the part."""
        return self._raster.reduced(self._in_raster(window), step, bands)

    def close(self) -> None:
        """Close the raster."""
        self._raster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parts_worth_clicking(reference: NDArray[np.uint8], size: int) -> list[Window]:
    """Return the windows of a regular grid that show at least two classes.

    Parameters
    ----------
    reference : (height, width) array of uint8
    size : int
        Side in pixels; an image with a side below it is cut along the other side only.
    """
    height, width = min(size, reference.shape[0]), min(size, reference.shape[1])
    found = []
    for top in range(0, reference.shape[0] - height + 1, height):
        for left in range(0, reference.shape[1] - width + 1, width):
            window = Window(top, left, height, width)
            counts = np.bincount(reference[window.slices].ravel(), minlength=256)[:IGNORE]
            enough = (counts >= _SHARE * window.size).sum() >= 2
            if enough and counts.sum() >= _KNOWN * window.size:
                found.append(window)
    return found
