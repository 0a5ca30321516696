"""The interface of all images, `Raster`, and a base class."""

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
        Name for messages and layers.
    path : Path or None
        The image's file.
    shape : (int, int)
        Height and width in pixels.
    count : int
        Number of bands; a palette counts as three.
    dtype : numpy.dtype
    crs : rasterio.crs.CRS or None
    transform : affine.Affine or None
        Maps column and row of pixel *corners* to map coordinates; None without a georeference.
    gcps : (list of GroundControlPoint, CRS) or None
        Ground control points.
    rpcs : rasterio.rpc.RPC or None
        Rational polynomial coefficients of a satellite's sensor; copied to maps, not applied.
    nodata : float or None
        No-data value of the first band.
    nodatas : tuple of float or None
        No-data value of each band.
    color_interp : tuple of str
        GDAL's interpretation per band: ``"red"``, ``"gray"``, ``"alpha"``, ``"undefined"``, ...
    descriptions : tuple of str
        Per band: its name in the file, with its wavelength; ``""`` if there is none.
    scales, offsets : tuple of float
        Per band: ``value * scale + offset`` is the value in its unit.
    bits : int
        Number of bits that are used of an integer type.
    overview_shape : (int, int)
        Height and width of the image that `overview` shows; not `shape` if this raster is a part
        of an image (`evaluation.raster_subset`).
    origin : (int, int)
        Row and column of the first pixel in that image.
    notes : tuple of str
        Decisions about how this image is read that the user may want to know, one line each.
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

        False at no-data values, alpha 0, mask 0, NaN and infinity.
        """

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The whole image with at most `max_side` pixels a side, and where it has data."""

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up."""

    def close(self) -> None:
        """Close the file; reading afterwards is an error."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class RasterBase:
    """Methods that files and arrays have in common."""

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

    def release_file(self) -> None:
        """Close the file until something is read again."""

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_inside(window: Window, shape: tuple[int, int]) -> None:
    """Raise an error if a window reaches beyond the image.

    Raises
    ------
    RasterError
        If it reaches beyond.
    """
    if window & Window.whole(shape) != window:
        raise RasterError(f"{window} is not inside an image of {shape[0]} x {shape[1]} pixels")
