"""Image files that are reprojected to another CRS; GDAL resamples only what is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform

from napari_disca.core.errors import RasterError
from napari_disca.raster.gdal.file_handles import CACHE
from napari_disca.raster.gdal.files import GeoRaster
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS, reason
from napari_disca.raster.resolution import longitude_period, transform_from_gcps

#: Points along each side of an image from which its extent is computed.
_ALONG = 33
#: Most pixels a side; an image that another CRS stretches further is refused.
_MOST_PIXELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of a reprojected image.

    Attributes
    ----------
    crs : rasterio.crs.CRS
    transform : affine.Affine
        Maps column and row of pixel corners to map coordinates.
    shape : (int, int)
        Height and width in pixels.
    """

    crs: CRS
    transform: Affine
    shape: tuple[int, int]


class WarpedRaster(GeoRaster):
    """An image file, reprojected to another CRS window by window.

    Only the pixels of a requested window are read. Where the rotated image does not fill its grid,
    there is no data. Colours and measurements are interpolated; categorical values, as those of
    palettes and class maps, are taken from the nearest pixel.

    Parameters
    ----------
    path : Path
        A file on this computer, with a CRS.
    crs : rasterio.crs.CRS
        The target, with about the same resolution.
    categorical : bool
        Whether values are categories, which must not be interpolated.
    cache : int
        Bytes of GDAL's cache of decoded blocks, for all files together, from now on.

    Attributes
    ----------
    grid : Grid
        The grid in the other CRS.

    Raises
    ------
    RasterError
        If the image has no place in that CRS, or cannot be opened.
    """

    def __init__(self, path: Path, crs: CRS, categorical: bool = False, cache: int = CACHE) -> None:
        self.grid: Grid | None = None
        self._target, self._categorical = crs, categorical
        super().__init__(path, cache)
        self.notes += (f"shown in {short_name(crs)}, into which it is resampled",)

    def _wrapped(self, file: Any) -> Any:
        """The open file as GDAL's warped dataset."""
        points, points_crs = file.gcps
        source = file.crs or (points_crs if points else None)
        if source is None:
            raise RasterError(f"{file.name} has no CRS")
        if self.grid is None:
            self.grid = _grid(file, source, self._target)
        exact = self._categorical or ColorInterp.palette in file.colorinterp
        masked = file.nodata is not None or ColorInterp.alpha in file.colorinterp
        height, width = self.grid.shape
        return WarpedVRT(
            file,
            src_crs=source,
            crs=self.grid.crs,
            transform=self.grid.transform,
            width=width,
            height=height,
            resampling=Resampling.nearest if exact else Resampling.bilinear,
            # Otherwise pixels beside the image would be black instead of invalid.
            add_alpha=not masked,
        )

    def _opened_anew(self) -> GeoRaster:
        return WarpedRaster(self._file, self._target, self._categorical, self._cache)


def _grid(file: Any, source: CRS, target: CRS) -> Grid:
    """Grid of a file in another CRS, at about the same resolution."""
    points, points_crs = file.gcps
    placed = transform_from_gcps(points, longitude_period(points_crs)) if points else file.transform
    beyond = f"{Path(file.name).name} has no place in {short_name(target)}"
    if placed is None:
        raise RasterError(beyond)
    a, b, c, d, e, f = tuple(placed)[:6]
    height, width = file.shape
    cols, rows = _outline(height, width)
    # The centre, and one pixel to the right of it and one below it.
    cols = np.append(cols, width / 2 + np.array((0, 1, 0)))
    rows = np.append(rows, height / 2 + np.array((0, 0, 1)))
    try:
        xs, ys = map(
            np.asarray, transform(source, target, a * cols + b * rows + c, d * cols + e * rows + f)
        )
    except (*GDAL_ERRORS, ValueError) as error:
        raise RasterError(f"{beyond}: {reason(error)}") from error
    (x, x_right, x_down), (y, y_right, y_down) = xs[-3:], ys[-3:]
    side = math.sqrt(abs((x_right - x) * (y_down - y) - (y_right - y) * (x_down - x)))
    if not (np.isfinite(xs).all() and np.isfinite(ys).all() and side > 0):
        raise RasterError(beyond)
    left, top = float(xs.min()), float(ys.max())
    shape = math.ceil((top - ys.min()) / side), math.ceil((xs.max() - left) / side)
    if max(shape) > _MOST_PIXELS:
        raise RasterError(beyond)
    return Grid(target, Affine(side, 0, left, 0, -side, top), shape)


def _outline(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns and rows of points along an image's outline, which another CRS may bend."""
    along = np.linspace(0, 1, _ALONG)
    cols = width * np.concatenate((along, along, 0 * along, 0 * along + 1))
    rows = height * np.concatenate((0 * along, 0 * along + 1, along, along))
    return cols, rows


def short_name(crs: CRS) -> str:
    """Return a short name of a CRS for a line of text."""
    authority = crs.to_authority(confidence_threshold=100)
    return ":".join(authority) if authority else "the CRS of the image before"
