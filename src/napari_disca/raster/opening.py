"""Opening of image files and arrays."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_disca.core.errors import RasterError, is_unicode, one_line
from napari_disca.raster.arrays import ArrayRaster
from napari_disca.raster.base import Raster
from napari_disca.raster.gdal.file_handles import CACHE
from napari_disca.raster.gdal.files import GeoRaster
from napari_disca.raster.gdal.local_files import GdalError, refuse_remote
from napari_disca.raster.gdal.orientation import orientation_notes
from napari_disca.raster.gdal.pages import PagedRaster, pages_of
from napari_disca.raster.gdal.probe import examine

_TIFF_SUFFIXES = {".tif", ".tiff"}
#: Most bytes of an image that tifffile, the fallback, reads, because it may decode all at once.
_MOST_DECODED = 2 << 30

# It logs every damaged tag, which logging's last resort would print.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_raster(source: Any, *, cache: int = CACHE) -> Raster:
    """Return the image of a file, opened for reading, or of an array.

    Parameters
    ----------
    source : str, path or array
        A local file that GDAL or tifffile reads, or an array-like (NumPy, dask, zarr) of shape
        (h, w), (h, w, bands) or (bands, h, w).
    cache : int
        Bytes of GDAL's cache of decoded blocks; few are enough for pixels that are read once.

    Raises
    ------
    RasterError
        If it is not a local file, not an image, or of a kind that cannot be used.
    """
    if not isinstance(source, (str, os.PathLike)):
        return ArrayRaster(source)
    refuse_remote(os.fspath(source))
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            raise RasterError(f"{path} is a folder; give an image file")
        if not path.is_file():
            raise RasterError(f"there is no file {path}")
    except (OSError, ValueError) as error:
        if isinstance(error, RasterError):
            raise
        raise RasterError(f"{str(source)[:100]!r} is not a file name: {one_line(error)}") from error
    if not is_unicode(path):
        # Other readers can, but would not read the georeference.
        raise RasterError(
            f"{path} has a name that is not Unicode, which GDAL cannot open; rename it"
        )
    examine(path)
    return open_here(path, cache=cache)


def open_here(path: Path, *, cache: int = CACHE) -> Raster:
    """Return the image of a file, opened without examining it in another process before.

    Parameters
    ----------
    path : Path
    cache : int
        Bytes of GDAL's cache of decoded blocks.

    Raises
    ------
    RasterError
        If it is not an image, or of a kind that cannot be used.
    """
    raster = _opened(path, cache)
    raster.notes += orientation_notes(path)
    return raster


def _opened(path: Path, cache: int) -> Raster:
    plain_tiff = path.suffix.lower() in _TIFF_SUFFIXES
    try:
        raster = GeoRaster(path, cache)
    except GdalError as error:
        fallback = _open_plain_tiff(path) if plain_tiff else None
        if fallback is None:
            raise RasterError(str(error)) from error
        return fallback
    # ImageJ writes a whole stack as one page, of which GDAL reads only the first plane.
    if plain_tiff and (raster.pages > 1 or raster.description.startswith("ImageJ=")):
        return _with_pages(path, raster, cache)
    return raster


def _with_pages(path: Path, raster: GeoRaster, cache: int) -> Raster:
    """The image of all pages that are bands of the first frame, or GDAL's image."""
    try:
        pages = pages_of(path)
    except Exception:  # tifffile raises many kinds; then only the first page is read
        pages = None
    if pages is None:
        if raster.pages > 1:
            raster.notes += (f"the file holds {raster.pages} images: the first is read",)
        return raster
    note = (
        (f"the file holds {pages.frames}: the first is read; to read another, export it",)
        if pages.frames
        else ()
    )
    found: Raster = raster
    if not pages.in_pages:
        stack = _open_plain_tiff(path)
        if stack is not None and stack.shape == raster.shape and stack.count != raster.count:
            found = stack
    elif len(pages.bands) > 1 and raster.count == 1:
        found = PagedRaster(path, raster, pages, cache)
    if found is not raster:
        found.crs, found.transform = raster.crs, raster.transform
        found.gcps, found.rpcs = raster.gcps, raster.rpcs
        raster.close()
    found.notes += note
    return found


def _open_plain_tiff(path: Path) -> ArrayRaster | None:
    """Return the image of a TIFF, read with tifffile; None if that cannot read it either."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            if series.nbytes > _MOST_DECODED:
                return None
            planar = series.axes.endswith("YX")
            # The first point in time, and the first plane in depth.
            first = tuple(0 if axis in "TZ" else slice(None) for axis in series.axes)
            pixels = np.squeeze(series.asarray()[first])
        axis: Literal["first", "last"] = "first" if planar else "last"
        return ArrayRaster(pixels, bands_axis=axis, name=path.name, path=path)
    except Exception:  # tifffile raises many kinds, imagecodecs its own; GDAL's message stands
        return None
