"""What every image offers, whatever it is stored in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window


class Raster(Protocol):
    """An image of any size that is read window by window, from any thread.

    Attributes
    ----------
    name : str
        For messages and layer names.
    path : Path or None
    shape : (int, int)
        Height and width in pixels.
    count : int
        Number of bands; a palette counts as three.
    dtype : numpy.dtype
    crs : rasterio.crs.CRS or None
    transform : affine.Affine or None
        Column and row of pixel *corners* to map coordinates; None without a georeference.
    gcps : (list of GroundControlPoint, CRS) or None
    rpcs : rasterio.rpc.RPC or None
        Rational polynomial coefficients of a satellite's sensor; they are kept, not applied.
    nodata : float or None
        Of the first band.
    nodatas : tuple of float or None
        Per band.
    color_interp : tuple of str
        Per band: ``"red"``, ``"gray"``, ``"alpha"``, ``"undefined"``, ...
    descriptions : tuple of str
        Per band: what the file calls it, with its wavelength; ``""`` where it says nothing.
    scales, offsets : tuple of float
        Per band: what a value is multiplied with, and what is added then, to get it in its unit.
    bits : int
        How many bits of an integer are used.
    overview_shape : (int, int)
        Height and width of the image that `overview` shows; another than `shape` where this is a
        part of an image.
    origin : (int, int)
        Row and column of the first pixel in that image.
    notes : tuple of str
        What was decided about this image that its user may want to know, one line each.
    """

    name: str
    path: Path | None
    shape: tuple[int, int]
    count: int
    dtype: np.dtype[Any]
    crs: CRS | None
    transform: Affine | None
    gcps: tuple[list[Any], CRS | None] | None
    rpcs: Any
    nodata: float | None
    nodatas: tuple[float | None, ...]
    color_interp: tuple[str, ...]
    descriptions: tuple[str, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    bits: int
    notes: tuple[str, ...]

    @property
    def overview_shape(self) -> tuple[int, int]:
        """Height and width of the image that `overview` shows."""

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the first pixel in that image."""

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window, in the image's own type."""

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where these bands (all by default) have data.

        False at no-data, alpha 0, mask 0, and floats that are no number.
        """

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Whole image with at most `max_side` pixels a side, and where it has data."""

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up."""

    def close(self) -> None:
        """Give the file back; reading afterwards is an error."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class RasterBase:
    """What files and arrays have in common."""

    name: str
    shape: tuple[int, int]
    count: int

    @property
    def overview_shape(self) -> tuple[int, int]:
        """Height and width of the image that `overview` shows."""
        return self.shape

    @property
    def origin(self) -> tuple[int, int]:
        """Row and column of the first pixel in that image."""
        return 0, 0

    def _chosen(self, bands: Sequence[int] | None) -> tuple[int, ...]:
        chosen = tuple(range(1, self.count + 1)) if bands is None else tuple(bands)
        if not chosen or not all(1 <= band <= self.count for band in chosen):
            raise RasterError(
                f"bands {', '.join(map(str, chosen)) or '(none)'} are not in {self.name}, "
                f"which has bands 1 to {self.count}"
            )
        return chosen

    def _overview_shape(self, max_side: int) -> tuple[int, int]:
        shrink = max(1.0, max(self.shape) / max_side)
        height, width = (max(1, round(side / shrink)) for side in self.shape)
        return height, width

    def rest(self) -> None:
        """Give the file back until something is read again."""

    def close(self) -> None:
        """Give the file back."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def inside(window: Window, shape: tuple[int, int]) -> None:
    """Refuse a window that leaves the image.

    Raises
    ------
    RasterError
        If it does.
    """
    if window & Window.whole(shape) != window:
        raise RasterError(f"{window} is not inside an image of {shape[0]} x {shape[1]} pixels")
