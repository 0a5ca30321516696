"""Opening of image files with GDAL, from this computer only and without warnings."""

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
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS, reason

#: With GDAL's defaults a VRT could fetch its pixels from the network, and a truncated PNG would be
#: read with uninitialized memory.
GDAL_OPTIONS = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}", "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
_NETWORK_DRIVERS = {"DAAS", "EEDA", "EEDAI", "GTI", "HTTP", "NGW", "OGCAPI", "PLMOSAIC"} | {
    *("PostGISRaster", "STACIT", "STACTA", "TileDB", "WCS", "WMS", "WMTS")
}
_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://|/vsi(curl|s3|gs|az|adls|oss|swift|hdfs|webhdfs)", re.I)
_VRT_SOURCE = re.compile(rb"<Source(?:Filename|Dataset)[^>]*>\s*([^<]+)", re.I)

# GDAL's messages are in exceptions; logging's last resort would print them a second time.
logging.getLogger("rasterio").addHandler(logging.NullHandler())

# `warnings.catch_warnings` changes a process-wide list, so one file is opened at a time. Reentrant,
# because opening a file may open another.
_opening = threading.RLock()


class GdalError(RasterError):
    """GDAL cannot read a file as an image; another reader may."""


@contextmanager
def quiet_opening() -> Iterator[None]:
    """Context that ignores rasterio's warning about images without georeference."""
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def open_local(path: Path, page: int | None = None) -> Any:
    """Open a file with those of GDAL's drivers that do not use the network.

    Parameters
    ----------
    path : Path
    page : int, optional
        Page of a TIFF file, from 1; by default GDAL's choice.

    Returns
    -------
    rasterio.io.DatasetReader

    Raises
    ------
    GdalError
        If GDAL cannot open it.
    """
    try:
        with quiet_opening():
            # `rasterio.open` takes one driver, but its class takes a list of allowed ones.
            # The absolute path, because GDAL does not take "NETCDF:a.tif" for a file name.
            name = (f"GTIFF_DIR:{page}:" if page else "") + os.fspath(path.absolute())
            return DatasetReader(name, driver=_local_drivers())
    except (*GDAL_ERRORS, ValueError, TypeError) as error:
        said = reason(error).replace(f"'{name}' ", "")  # named already
        raise GdalError(
            f"{path} cannot be opened as an image: {said}; "
            "expected a GeoTIFF or another raster format"
        ) from error


def refuse_remote(source: str) -> None:
    """Raise an error if a name refers to the network.

    Raises
    ------
    RasterError
        If it refers to the network.
    """
    if _REMOTE.match(source.strip()):
        raise RasterError(
            f"{source} is not on this computer; images are read from local files only, "
            "download it first"
        )


def refuse_remote_sources(path: Path) -> None:
    """Raise an error if a VRT has sources on the network.

    Raises
    ------
    RasterError
        If it has such sources, or cannot be read.
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
    """Names of GDAL's drivers that do not use the network."""
    with rasterio.Env() as env:
        return [name for name in env.drivers() if name not in _NETWORK_DRIVERS]
