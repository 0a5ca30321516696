"""Opens mask files and reads them strip by strip, on the pixel grid of their image."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow
from scipy import ndimage

from napari_disca.core.errors import DataError, RasterError, one_line
from napari_disca.raster import Raster, examine
from napari_disca.raster.gdal.local_files import GDAL_OPTIONS
from napari_disca.raster.gdal.orientation import orientation, turn

_DRIVERS = ["GTiff", "PNG", "JPEG", "JP2OpenJPEG", "BMP"]
_LOSSY = {"JPEG", "JPEG2000", "WEBP", "JXL", "LERC"}
_ROWS = 512
#: Most values that are read at once.
_VALUES = 1 << 27
#: Least difference between neighbours at a border.
_FLAT = 24
#: Largest distance between corners of equal grids, in pixels.
_SAME = 0.25


@dataclass(frozen=True, slots=True)
class Grid:
    """The pixel grid of an image.

    Attributes
    ----------
    shape : (int, int)
        Height and width.
    transform : affine.Affine or None
    crs : rasterio.crs.CRS or None
    path : Path or None
        File of the image, which may be stored rotated.
    """

    shape: tuple[int, int]
    transform: Affine | None = None
    crs: CRS | None = None
    path: Path | None = None

    @classmethod
    def of(cls, raster: Raster) -> Grid:
        """Return the grid of an image."""
        return cls(raster.shape, raster.transform, raster.crs, raster.path)


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Rows of a mask.

    Attributes
    ----------
    top : int
        The first row.
    pixels : (1 or 3, rows, width) array
        Ids or palette indices; or red, green and blue.
    present : (rows, width) array of bool
        False where the mask is transparent, or ends before its image does.
    """

    top: int
    pixels: NDArray[Any]
    present: NDArray[np.bool_]


class MaskFile:
    """An open mask.

    Attributes
    ----------
    path : Path
    shape : (int, int)
        Height and width; those of the image if a grid was given.
    bands : int
        1 or 3, without alpha.
    nodata : float or None
    lossy : bool
        Whether its compression changes values.
    palette : (256, 3) array of uint8 or None
    warped : bool
        Whether it is resampled to another grid.
    transparent : bool
        Whether it has an alpha band.
    """

    def __init__(self, path: Path, source: Any, grid: Grid | None = None) -> None:
        self.path = path
        self.shape: tuple[int, int] = (source.height, source.width) if grid is None else grid.shape
        self.nodata: float | None = source.nodata
        self.warped = grid is not None
        self._source = source
        self._resampler = None if grid is None else _Nearest(source, grid)
        if source.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            raise DataError(
                f"mask {path.name} says that 0 is white (MinIsWhite): whether its values count or "
                "what is seen is not known; save it with 0 as black"
            )
        if len(source.subdatasets) > 1:
            raise DataError(
                f"mask {path.name} has {len(source.subdatasets)} pages, of which one would be "
                "read; save one page of class ids"
            )
        alpha = [
            band
            for band, kind in enumerate(source.colorinterp, start=1)
            if kind == ColorInterp.alpha
        ]
        if not alpha and source.count == 4:
            alpha = [4]  # the file does not declare it
        colours = source.count - len(alpha)
        if colours not in (1, 3):
            raise DataError(
                f"mask {path.name} has {colours} bands; a mask has one (class ids) or three "
                "(colours), and alpha at most"
            )
        self.bands: int = colours
        self.transparent = bool(alpha)
        self._alpha = alpha[:1]
        compression = source.compression.name.upper() if source.compression else ""
        reversible = source.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION_REVERSIBILITY", "")
        self.lossy: bool = source.driver == "JPEG" or (
            (compression in _LOSSY or source.driver == "JP2OpenJPEG") and reversible != "LOSSLESS"
        )
        self.palette: NDArray[np.uint8] | None = None
        if source.colorinterp[0] == ColorInterp.palette and source.dtypes[0] == "uint8":
            self.palette = np.zeros((256, 3), dtype=np.uint8)
            for index, colour in source.colormap(1).items():
                self.palette[index] = colour[:3]

    def strips(self) -> Iterator[Strip]:
        """Yield strips of rows from the top to the bottom.

        Raises
        ------
        DataError
            If the file is damaged.
        """
        height, width = self.shape
        bands = [*range(1, self.bands + 1), *self._alpha]
        # A damaged header may give any width.
        most = max(1, min(_ROWS, _VALUES // (width * len(bands))))
        for top in range(0, height, most):
            rows = min(most, height - top)
            try:
                if self._resampler is None:
                    read = self._source.read(bands, window=RasterioWindow(0, top, width, rows))
                    present = np.ones((rows, width), dtype=np.bool_)
                else:
                    read, present = self._resampler.read(bands, top, rows)
            except (RasterioError, OSError, MemoryError) as error:
                reason = one_line(error)
                raise DataError(f"mask {self.path.name} cannot be read: {reason}") from error
            present = present & (read[self.bands :] > 0).all(axis=0)
            if read.dtype.kind == "f":  # NaN is unknown
                present &= ~np.isnan(read[: self.bands]).any(axis=0)
            yield Strip(top, read[: self.bands], present)

    def certain(self, strip: Strip) -> NDArray[np.bool_]:
        """Return the pixels ``(rows, width)`` whose values are certain.

        These are the existing ones; in a lossy mask only those equal to their neighbours, since
        compression mixes classes at borders.
        """
        if not self.lossy:
            return strip.present
        flat = strip.present.copy()
        for channel in strip.pixels.astype(np.float32):
            apart = ndimage.maximum_filter(channel, 3) - ndimage.minimum_filter(channel, 3)
            flat &= apart <= _FLAT
        return flat


class _Nearest:
    """Reads a file on another grid with nearest-neighbour resampling."""

    def __init__(self, source: Any, grid: Grid) -> None:
        self._source = source
        self._grid = grid
        self._project = None
        if source.crs and grid.crs and source.crs != grid.crs:
            self._project = pyproj.Transformer.from_crs(
                grid.crs.to_wkt(), source.crs.to_wkt(), always_xy=True
            )

    def read(self, bands: list[int], top: int, rows: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the pixels ``(bands, rows, width)``, and which of them lie in the file."""
        source = self._source
        row, col = self._places(top, rows)
        with np.errstate(invalid="ignore"):
            inside = (row >= 0) & (row < source.height) & (col >= 0) & (col < source.width)
        pixels = np.zeros((len(bands), *inside.shape), dtype=np.result_type(*source.dtypes))
        if inside.any():
            row, col = row[inside].astype(np.intp), col[inside].astype(np.intp)
            first, left = row.min(), col.min()
            window = RasterioWindow(left, first, col.max() - left + 1, row.max() - first + 1)
            read = source.read(bands, window=window)
            pixels[:, inside] = read[:, row - first, col - left]
        return pixels, inside

    def _places(self, top: int, rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return fractional rows and columns of the file at the centres of rows of the grid."""
        transform = self._grid.transform
        assert transform is not None
        row, col = np.mgrid[top : top + rows, : self._grid.shape[1]] + 0.5
        x = transform.a * col + transform.b * row + transform.c
        y = transform.d * col + transform.e * row + transform.f
        if self._project is not None:
            x, y = self._project.transform(x, y)
        back = ~self._source.transform
        return back.d * x + back.e * y + back.f, back.a * x + back.b * y + back.c


@contextmanager
def open_mask(path: Path, grid: Grid | None = None) -> Iterator[MaskFile]:
    """Context of an open mask, read on the grid of its image if that is given.

    A georeferenced mask on another grid is resampled to the grid of its image by nearest
    neighbour.

    Raises
    ------
    DataError
        If it cannot be read, or has another size than its image, with which it cannot be aligned.
    """
    try:
        examine(path)
        with warnings.catch_warnings(), rasterio.Env(**GDAL_OPTIONS):
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(path)
    except (RasterioError, RasterError, OSError) as error:
        raise DataError(f"mask {path.name} cannot be read: {one_line(error)}") from error
    with rasterio.Env(**GDAL_OPTIONS), file:
        if file.driver not in _DRIVERS:
            # Above all VRT files, which may refer to files anywhere.
            raise DataError(
                f"mask {path.name} is of format {file.driver}; use GeoTIFF, PNG, JPEG or BMP"
            )
        if grid is not None:
            _refuse_turned(path, (file.height, file.width), grid)
            if not _needs_warping(path, file, grid):
                grid = None
        yield MaskFile(path, file, grid)


def _refuse_turned(path: Path, shape: tuple[int, int], grid: Grid) -> None:
    """Refuse a pair of which one is stored rotated, unless the shapes show that they fit."""
    own = orientation(path)
    image = 1 if grid.path is None else orientation(grid.path)
    if own == image:
        return
    quarter = min(own, image) == 1 and max(own, image) >= 5
    if quarter and shape == grid.shape and shape[0] != shape[1]:
        return  # a quarter turn would give the other shape
    name, how = (path.name, own) if own != 1 else (grid.path.name if grid.path else "", image)
    other = "its image" if own != 1 else "its mask"
    raise DataError(
        f"{name} is stored {_stored(how)} (EXIF orientation {how}: viewers show it {turn(how)}), "
        f"{other} is not; save both upright, without that mark"
    )


def _stored(how: int) -> str:
    return "mirrored" if how in (2, 4) else "turned"


def _needs_warping(path: Path, file: Any, grid: Grid) -> bool:
    """Whether a mask must be resampled to the grid of its image; raises if that is not known."""
    shape = (file.height, file.width)
    own: Affine | None = None if file.transform.is_identity else file.transform
    if own is None or grid.transform is None:
        if shape != grid.shape:
            raise DataError(
                f"mask {path.name} is {shape[0]} x {shape[1]} pixels, its image {grid.shape[0]} x "
                f"{grid.shape[1]}; they must be equal, or both say where they lie"
            )
        for what, transform in ((f"mask {path.name}", own), ("the image", grid.transform)):
            if transform is not None and transform.e > 0 and not transform.b and not transform.d:
                raise DataError(
                    f"{what} is stored south up, and the other of the two of {path.stem} does not "
                    "say where it lies; save both north up"
                )
        return False
    same_crs = file.crs == grid.crs or not file.crs or not grid.crs
    if same_crs and shape == grid.shape and _apart(own, grid.transform, shape) <= _SAME:
        return False
    if bool(file.crs) != bool(grid.crs):
        lacks = "the mask" if grid.crs else "the image"
        raise DataError(
            f"mask {path.name} lies on another grid than its image, and {lacks} has no CRS; give "
            "both one, or save the mask on the image's grid"
        )
    return True


def _apart(one: Affine, other: Affine, shape: tuple[int, int]) -> float:
    """Return the largest distance between corners of two grids, in pixels of the second."""
    height, width = shape
    back = ~other
    distances = []
    for col, row in ((0, 0), (width, 0), (0, height), (width, height)):
        x = one.a * col + one.b * row + one.c
        y = one.d * col + one.e * row + one.f
        distances += [
            abs(back.a * x + back.b * y + back.c - col),
            abs(back.d * x + back.e * y + back.f - row),
        ]
    return float(max(distances))
