"""Writes GeoJSON features as the layer of a GeoPackage."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ExportError, one_line
from napari_disca.exports.vectors.vector_formats import INSTALL_PYOGRIO, has_pyogrio
from napari_disca.raster.georeference import Frame
from napari_disca.storage.atomic import replacing

#: Codes of geometries in well-known binary (OGC 06-103r4).
_KINDS = {"Point": 1, "LineString": 2, "Polygon": 3, "MultiPolygon": 6}


def write_geopackage(
    path: Path, name: str, features: Sequence[Mapping[str, Any]], frame: Frame
) -> Path:
    """Write features as the only layer of a GeoPackage; the file appears when it is complete.

    Parameters
    ----------
    path : Path
    name : str
        Of the layer.
    features : sequence of mapping
        GeoJSON features in the coordinates of `frame`: points, lines, polygons or multipolygons.
    frame : Frame

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the file cannot be written, or pyogrio is not installed.
    """
    if not has_pyogrio():
        raise ExportError(
            f"cannot write {path}: a GeoPackage needs pyogrio; {INSTALL_PYOGRIO}, or save as "
            ".geojson"
        )
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import write

    kinds = {feature["geometry"]["type"] for feature in features}
    names, columns, masks = _columns([feature["properties"] for feature in features])
    shapes = np.empty(len(features), dtype=object)
    shapes[:] = [_binary(feature["geometry"]) for feature in features]
    with replacing(path) as temporary, warnings.catch_warnings():
        # pyogrio warns of a missing CRS, which an image without georeference does not have.
        warnings.simplefilter("ignore")
        try:
            write(
                temporary,
                shapes,
                columns,
                names,
                field_mask=masks,
                layer=name,
                geometry_type=kinds.pop() if len(kinds) == 1 else "Unknown",
                crs=frame.crs.to_wkt() if frame.crs is not None else None,
                driver="GPKG",
            )
        except (DataSourceError, DataLayerError) as error:
            raise ExportError(f"cannot write {path}: {one_line(error)}") from error
    return path


def _columns(
    properties: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[NDArray[Any]], list[NDArray[np.bool_] | None]]:
    """Return the names of all properties, their values, and masks of missing values.

    A column of one numeric type, or of bool, keeps it; all others are text, in which None is
    missing without a mask.
    """
    names = list(dict.fromkeys(name for values in properties for name in values))
    columns: list[NDArray[Any]] = []
    masks: list[NDArray[np.bool_] | None] = []
    for name in names:
        values = [feature.get(name) for feature in properties]
        missing = np.array([value is None for value in values], dtype=bool)
        types = {type(value) for value in values if value is not None}
        kind = next((kind for kind in (bool, int, float) if types == {kind}), None)
        if kind is None:
            text = [None if value is None else _text(value) for value in values]
            column = np.empty(len(values), dtype=object)
            column[:] = text
            masks.append(None)
        else:
            column = np.array([kind() if value is None else value for value in values], dtype=kind)
            masks.append(missing if missing.any() else None)
        columns.append(column)
    return names, columns, masks


def _text(value: object) -> str:
    # A class name may have a lone surrogate, which UTF-8 cannot encode.
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _binary(geometry: Mapping[str, Any]) -> bytes:
    """Return a GeoJSON geometry as well-known binary."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    head = struct.pack("<BI", 1, _KINDS[kind])
    if kind == "Point":
        return head + _positions([coordinates])
    if kind == "LineString":
        return head + struct.pack("<I", len(coordinates)) + _positions(coordinates)
    if kind == "Polygon":
        rings = [struct.pack("<I", len(ring)) + _positions(ring) for ring in coordinates]
        return head + struct.pack("<I", len(rings)) + b"".join(rings)
    parts = [_binary({"type": "Polygon", "coordinates": part}) for part in coordinates]
    return head + struct.pack("<I", len(parts)) + b"".join(parts)


def _positions(positions: Sequence[Sequence[float]]) -> bytes:
    return np.asarray(positions, dtype="<f8").tobytes()
