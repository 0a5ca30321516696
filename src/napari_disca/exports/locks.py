"""Reads and writes locked areas as polygons in map coordinates.

The coordinates are as in `napari_disca.exports.clicks`. Without a georeference they are pixel
corners, ``x = column, y = row``, and the member ``napari_disca`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_disca.annotations.areas import Area, Ring
from napari_disca.core.errors import AreaError, ClickError, OverlayError
from napari_disca.exports.vectors.geojson import (
    as_list,
    collection_source,
    corner_positions,
    geojson_feature,
    load_collection,
    position_of,
    quoted,
    write_collection,
)
from napari_disca.exports.vectors.overlay import read_overlay
from napari_disca.exports.vectors.placing import to_pixels
from napari_disca.exports.vectors.vector_formats import GIS_SUFFIXES
from napari_disca.exports.vectors.vector_layer import HOLE, RING
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame

if TYPE_CHECKING:
    from napari_disca.networks.card import LandClass

#: A person locks some hundreds in a week.
_MOST_AREAS = 10_000


def write_locks(
    areas: Sequence[Area],
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write locked areas as polygons, in GeoJSON or a GeoPackage.

    Parameters
    ----------
    areas : sequence of Area
    path : str or path
        A GeoPackage if it ends with ``.gpkg``, otherwise GeoJSON; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        Not used, because an area has no class; every format is called with it.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    frame = Frame.of(raster)
    features = [
        geojson_feature(
            "Polygon",
            [corner_positions((*ring, ring[0]), frame) for ring in area.rings],
            {"checked": True, "order": order},
        )
        for order, area in enumerate(areas)
    ]
    return write_collection(path, "checked areas", features, frame)


def read_locks(path: str | os.PathLike[str], *, raster: Raster) -> tuple[Area, ...]:
    """Return the areas in a file of polygons.

    Parameters
    ----------
    path : str or path
        GeoJSON, GeoPackage, Shapefile or FlatGeobuf. Its coordinates mean what they mean in
        `load_clicks`; of the last three formats, polygons off the image are left out.
    raster : Raster
        The image that they belong to.

    Returns
    -------
    tuple of Area
        In the order of the file.

    Raises
    ------
    AreaError
        If the file cannot be read, has other geometries than polygons or too many of them, or if
        an area contains no pixel of the image.
    """
    path = Path(path)
    if path.suffix.lower() in GIS_SUFFIXES:
        return _areas_of_layers(path, raster)
    try:
        collection = load_collection(path, "areas", "polygons")
        frame, source = Frame.of(raster), collection_source(collection)
        areas = []
        for called, rings in _polygons(collection):
            outline: list[Ring] = []
            for ring in rings:
                places = to_pixels([x for x, _ in ring], [y for _, y in ring], source, frame)
                corners = [place for place in places if place is not None]
                if len(corners) < len(places):
                    raise AreaError(f"{called} has no place in the image's CRS")
                outline.append(tuple(corners))
            try:
                areas.append(Area(tuple(outline)).checked(raster.shape))
            except AreaError as error:
                raise AreaError(f"{called}: {error}") from error
    except (ClickError, AreaError) as error:
        raise AreaError(f"{path.name}: {error}") from error
    except RecursionError as error:
        raise AreaError(f"{path.name} is nested too deeply for GeoJSON") from error
    return tuple(areas)


def _areas_of_layers(path: Path, raster: Raster) -> tuple[Area, ...]:
    """Return the polygons of a vector file that lie on the image."""
    try:
        layers = read_overlay(path, Frame.of(raster)).layers
    except OverlayError as error:
        raise AreaError(str(error)) from error
    areas = []
    for layer in layers:
        first = np.flatnonzero(layer.kinds == RING)
        if len(first) > _MOST_AREAS or layer.cut:
            raise AreaError(
                f"{path.name}: {layer.name} has more than {_MOST_AREAS} areas; merge some of them"
            )
        if set(layer.kinds.tolist()) - {RING, HOLE}:
            raise AreaError(
                f"{path.name}: {layer.name} has lines or points; keep only polygons, as areas are"
            )
        for number, (begin, end) in enumerate(pairwise((*first.tolist(), len(layer.kinds)))):
            rings = tuple(
                tuple((float(row), float(col)) for row, col in layer.places[start:stop])
                for start, stop in pairwise(layer.starts[begin : end + 1].tolist())
            )
            try:
                areas.append(Area(rings).checked(raster.shape))
            except AreaError as error:
                raise AreaError(f"{path.name}: polygon {number + 1}: {error}") from error
    return tuple(areas)


def _polygons(
    collection: Mapping[str, Any],
) -> Iterator[tuple[str, list[list[tuple[float, float]]]]]:
    """Yield each polygon's name in messages, and its rings as x and y."""
    if len(collection["features"]) > _MOST_AREAS:
        raise AreaError(
            f"has {len(collection['features'])} areas; at most {_MOST_AREAS} are read, merge some "
            "of them"
        )
    for number, feature in enumerate(collection["features"], start=1):
        called = f"feature {number}"
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        geometry = geometry if isinstance(geometry, dict) else {}
        kind = geometry.get("type")
        if kind not in ("Polygon", "MultiPolygon"):
            raise AreaError(f"{called} is not a Polygon but {quoted(kind)}; areas are polygons")
        polygons = as_list(geometry.get("coordinates"), called)
        for rings in [polygons] if kind == "Polygon" else polygons:
            corners = [
                [position_of(corner, called) for corner in as_list(ring, called)]
                for ring in as_list(rings, called)
            ]
            yield called, corners
