"""Reads and writes labels of napari that are not a class map: values, type and appearance.

Labels of two dimensions become a GeoTIFF, those of more a multi-page TIFF. A tag marks them as
labels, so that they open as a labels layer again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import tifffile
from numpy.typing import NDArray

from napari_disca.core.errors import ExportError, RasterError, one_line
from napari_disca.raster import quiet_opening
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, parse_json

_TAG = "NAPARI_DISCA_LABELS"


def write_plain_labels(
    values: NDArray[Any],
    path: str | os.PathLike[str],
    *,
    shown: Mapping[str, Any] | None = None,
    **where: Any,
) -> Path:
    """Write labels without changing their values or their type.

    Parameters
    ----------
    values : array of integers or bool
        Of two or more dimensions; bool is written as uint8.
    path : str or path
        The file appears when it is complete.
    shown : mapping, optional
        How the layer looks, in values that JSON can hold; `read_plain_labels` returns it.
    **where
        ``crs``, ``transform``, ``gcps`` or ``rpcs`` as rasterio takes them; only written with two
        dimensions.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the values are not labels, or the file cannot be written.
    """
    path = Path(path)
    values = np.asarray(values)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    if values.dtype.kind not in "ui" or values.ndim < 2 or values.size == 0:
        raise ExportError(
            f"labels are whole numbers on two or more axes, not {values.dtype} of shape "
            f"{values.shape}"
        )
    about = json.dumps(dict(shown or {}))
    with replacing(path) as temporary:
        try:
            if values.ndim == 2:
                _write_geotiff(values, temporary, about, where)
            else:
                tifffile.imwrite(
                    temporary, values, photometric="minisblack", metadata={_TAG: about}
                )
        except (*GDAL_ERRORS, ValueError) as error:
            raise ExportError(f"cannot write {path}: {one_line(error)}") from error
    return path


def _write_geotiff(values: NDArray[Any], path: Path, about: str, where: Mapping[str, Any]) -> None:
    with quiet_opening():
        file = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=values.shape[0],
            width=values.shape[1],
            count=1,
            dtype=values.dtype.name,
            compress="deflate",
            bigtiff="if_safer",
            **{key: value for key, value in where.items() if value is not None},
        )
    with closing(file):
        file.update_tags(**{_TAG: about})
        file.write(values, 1)


def read_plain_labels(
    path: str | os.PathLike[str],
) -> tuple[NDArray[Any], dict[str, Any]] | None:
    """Return labels that `write_plain_labels` wrote, and how the layer looked.

    Returns
    -------
    (array, dict) or None
        None if another function wrote the file.

    Raises
    ------
    RasterError
        If the file cannot be read.
    """
    try:
        with quiet_opening(), closing(rasterio.open(path)) as file:
            tags = file.tags()
            if _TAG in tags:
                return file.read(1), _about(tags[_TAG])
        description = _about(tags.get("TIFFTAG_IMAGEDESCRIPTION", ""))
        if _TAG in description:
            return np.asarray(tifffile.imread(path)), _about(str(description[_TAG]))
    except (*GDAL_ERRORS, tifffile.TiffFileError, ValueError) as error:
        raise RasterError(f"cannot open {path}: {one_line(error)}") from error
    return None


def _about(text: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except JsonError:
        return {}
    return dict(found) if isinstance(found, dict) else {}
