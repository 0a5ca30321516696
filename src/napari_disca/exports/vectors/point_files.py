"""Reads files of points: GeoJSON, CSV, GeoPackage, Shapefile or FlatGeobuf.

The first bytes of a file say which format it has, or else its name. Features are returned as they
are: `napari_disca.exports.vectors.placing` converts their coordinates, and
`napari_disca.exports.vectors.click_classes` finds their classes.
"""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_disca.core.child_process import answer_of_script, can_start_python
from napari_disca.core.errors import ClickError, one_line
from napari_disca.exports.vectors import vector_process
from napari_disca.exports.vectors.csv_points import looks_like_csv, read_csv
from napari_disca.exports.vectors.geojson import (
    LARGEST_FILE,
    as_list,
    collection_source,
    load_collection,
    position_of,
    quoted,
)
from napari_disca.exports.vectors.placing import Source, named_source
from napari_disca.exports.vectors.point import PointFeature
from napari_disca.exports.vectors.vector_formats import (
    GIS_SUFFIXES,
    INSTALL_PYOGRIO,
    first_bytes,
    format_of_start,
    format_of_suffix,
    has_pyogrio,
)
from napari_disca.storage.jsonfile import JsonError, parse_json

#: Endings of files of clicks, for dialogs.
CLICK_SUFFIXES = (".geojson", ".json", *GIS_SUFFIXES, ".csv")
_FORMATS = "GeoJSON, GeoPackage (.gpkg), Shapefile (.shp), FlatGeobuf (.fgb) and CSV"


@dataclass(frozen=True, slots=True)
class PointFile:
    """Features of a file, and what their coordinates mean.

    Attributes
    ----------
    features : tuple of PointFeature
        In the order of the file.
    source : Source
    """

    features: tuple[PointFeature, ...]
    source: Source


def read_points(path: Path, *, referenced: bool) -> PointFile:
    """Return the features of a file of points.

    Parameters
    ----------
    path : Path
    referenced : bool
        Whether the image has a georeference. If it has none, and a CSV has columns of map
        coordinates and of pixels, the pixels are read.

    Returns
    -------
    PointFile
        Also the features that cannot be clicks, with the reason.

    Raises
    ------
    ClickError
        If the file cannot be read, or has another format.
    """
    start = first_bytes(path, 4096)
    kind = format_of_start(start) or format_of_suffix(path)
    if kind is not None:
        return _vector(path, kind)
    if path.suffix.lower() in (".csv", ".tsv", ".txt") or looks_like_csv(start):
        lines, source = read_csv(path, referenced=referenced)
        return PointFile(tuple(lines), source)
    if path.suffix.lower() not in (".geojson", ".json", "") and start.strip()[:1] not in (
        b"{",
        b"[",
    ):
        raise ClickError(f"is not a file of clicks; {_FORMATS} are read")
    collection = load_collection(path, "clicks", "points")
    features = list(_geojson_features(collection["features"]))
    return PointFile(tuple(features), collection_source(collection))


def _geojson_features(features: list[Any]) -> Iterator[PointFeature]:
    for number, feature in enumerate(features, start=1):
        called = f"feature {number}"
        given = feature if isinstance(feature, dict) else {}
        geometry = given.get("geometry")
        geometry = geometry if isinstance(geometry, dict) else {}
        kind = geometry.get("type")
        properties = given.get("properties") or {}
        if kind not in ("Point", "MultiPoint"):
            yield _not_a_point(called, kind)
            continue
        try:
            if not isinstance(properties, dict):
                raise ClickError(
                    f"the properties of {called} are {quoted(properties)}, not an object"
                )
            given_positions = geometry.get("coordinates")
            positions = [given_positions] if kind == "Point" else as_list(given_positions, called)
            if not positions or positions == [[]]:
                raise ClickError(f"{called} is an empty {kind}")
            places = tuple(position_of(position, called) for position in positions)
        except ClickError as error:
            yield PointFeature(called, (), {}, str(error), "damaged")
            continue
        yield PointFeature(called, places, properties)


def _not_a_point(called: str, kind: object) -> PointFeature:
    """Return a feature that cannot be a click, because its geometry is of another kind."""
    problem = f"{called} is not a Point but {quoted(kind or None)}; clicks are points"
    group = f"{kind[:40]}s" if isinstance(kind, str) and kind else "without a geometry"
    return PointFeature(called, (), {}, problem, group)


# -------------------------------------------------------------------- pyogrio


def _vector(path: Path, kind: str) -> PointFile:
    if not has_pyogrio():
        raise ClickError(
            f"is a {kind}, which needs pyogrio; {INSTALL_PYOGRIO}, or save the points as GeoJSON"
        )
    answer = _answer(path, kind)
    if isinstance(answer.get("error"), str):
        raise ClickError(f"cannot be read as a {kind}: {one_line(ValueError(answer['error']))}")
    source = named_source(answer["crs"]) if answer.get("crs") else Source("unnamed")
    features = answer.get("features")
    return PointFile(
        tuple(_vector_features(features if isinstance(features, list) else [])), source
    )


def _vector_features(features: list[Any]) -> Iterator[PointFeature]:
    for number, (kind, positions, properties) in enumerate(features, start=1):
        called = f"feature {number}"
        if kind not in ("Point", "MultiPoint"):
            yield _not_a_point(called, kind)
            continue
        places = tuple((float(x), float(y)) for x, y in positions if x is not None)
        if not places or not all(math.isfinite(x + y) for x, y in places):
            yield PointFeature(called, (), {}, f"{called} is an empty {kind}", "damaged")
            continue
        yield PointFeature(called, places, properties)


def _answer(path: Path, kind: str) -> Mapping[str, Any]:
    """Return what `vector_process` answers about a file."""
    if not can_start_python():
        return vector_process.read(path)
    try:
        written = answer_of_script(
            vector_process.__file__, os.fspath(path.absolute()), seconds=vector_process.HANG
        )
    except subprocess.TimeoutExpired:
        raise ClickError(
            f"hangs the program that reads a {kind}; the file is damaged, get it again"
        ) from None
    except OSError as error:
        raise ClickError(f"cannot be read: {error.strerror or error}") from error
    if len(written) > 4 * LARGEST_FILE:
        raise ClickError("is far larger than a file of clicks; save the points alone")
    try:
        answer = parse_json(written)
    except JsonError:
        answer = None
    if not isinstance(answer, dict):
        raise ClickError(
            f"is unreadable: it ends the program that reads a {kind}; the file is damaged, "
            "get it again"
        )
    return answer
