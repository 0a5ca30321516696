"""Opening image files with GDAL: from this computer only, and without warnings."""

from __future__ import annotations

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from napari_disca.core.errors import RasterError
from napari_disca.raster.gdal_errors import GDAL_ERRORS, reason

#: GDAL's defaults would let a VRT that came by mail fetch its pixels from the network, and would
#: read a PNG that is cut short as whatever was in memory.
GDAL_OPTIONS = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}", "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
_NETWORK_DRIVERS = {"DAAS", "EEDA", "EEDAI", "GTI", "HTTP", "NGW", "OGCAPI", "PLMOSAIC"} | {
    *("PostGISRaster", "STACIT", "STACTA", "TileDB", "WCS", "WMS", "WMTS")
}
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://|/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)", re.I)
_VRT_SOURCE = re.compile(rb"<Source(?:Filename|Dataset)[^>]*>\s*([^<]+)", re.I)

# What GDAL has to say arrives in exceptions; logging's last resort would print it a second time.
logging.getLogger("rasterio").addHandler(logging.NullHandler())

# `warnings.catch_warnings` swaps a process-wide list: one opening at a time. A thread that opens a
# file while it opens another must not wait for itself.
_opening = threading.RLock()


class GdalError(RasterError):
    """GDAL cannot make an image of a file; another reader may."""


@contextmanager
def quiet_opening() -> Iterator[None]:
    """Open a file of rasterio's without its warning: an image without georeference is fine."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_local(path: Path, page: int | None = None) -> Any:
    """Open a file with GDAL's drivers that fetch nothing from elsewhere.

    Parameters
    ----------
    path : Path
    page : int, optional
        Of a TIFF file, from 1; by default what GDAL shows.

    Returns
    -------
    rasterio.io.DatasetReader

    Raises
    ------
    GdalError
        If GDAL cannot.
    """
    try:
        with quiet_opening():
            # `rasterio.open` takes one driver; the class behind it, a list of allowed ones.
            # The whole path: GDAL takes "NETCDF:a.tif" for something else than a file.
            name = (f"GTIFF_DIR:{page}:" if page else "") + os.fspath(path.absolute())
            return DatasetReader(name, driver=_local_drivers())
    except (*GDAL_ERRORS, ValueError, TypeError) as error:
        raise GdalError(
            f"{path} cannot be opened as an image: {reason(error)}; "
            "expected a GeoTIFF or another raster format"
        ) from error


def refuse_remote(source: str) -> None:
    """Refuse a name that leads to the network.

    Raises
    ------
    RasterError
        If it does.
    """
    if _REMOTE.match(source.strip()):
        raise RasterError(
            f"{source} is not on this computer; images are read from local files only, "
            "download it first"
        )


def refuse_remote_sources(path: Path) -> None:
    """Refuse a VRT that names sources on the network.

    Raises
    ------
    RasterError
        If it does, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4096)
            if b"<VRTDataset" not in start:
                return
            text = start + file.read(64 << 20)
    except OSError as error:
        raise RasterError(f"{path} cannot be read: {error.strerror or error}") from error
    for match in _VRT_SOURCE.finditer(text):
        source = match[1].decode(errors="replace").strip()
        if _REMOTE.search(source):
            raise RasterError(
                f"{path} refers to {source}, which is not on this computer; download it first"
            )


@lru_cache(maxsize=1)
def _local_drivers() -> list[str]:
    """Names of GDAL's drivers that do not fetch anything from elsewhere."""
    with rasterio.Env() as env:
        return [name for name in env.drivers() if name not in _NETWORK_DRIVERS]
