"""What GeoJSON files of clicks, areas, strokes and reviews have in common."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_disca.annotations.areas import Ring
from napari_disca.core.errors import ClickError
from napari_disca.exports.geopackage import write_geopackage
from napari_disca.exports.placing import Source
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.georeference import Frame, crs_name, crs_named
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

#: A click takes some 200 bytes. JSON made to be large in memory grows some twenty-fold.
LARGEST_FILE = 32 * 2**20
_PIXELS = {"coordinates": "pixels", "meaning": "x = column + 0.5, y = row + 0.5"}


def georeference_members(frame: Frame) -> dict[str, Any]:
    """Members of a collection that say what its coordinates mean."""
    # A null CRS stands for "unknown" (GeoJSON 2008, section 3); GDAL takes it for degrees, but
    # nothing else would make it do otherwise.
    crs = None
    if frame.crs is not None:
        crs = {"type": "name", "properties": {"name": crs_name(frame.crs)}}
    return {"crs": crs} | ({"napari_disca": _PIXELS} if frame.transform is None else {})


def corner_positions(ring: Ring, frame: Frame) -> list[Any]:
    """Positions of the corners of a closed ring, in map coordinates."""
    # A position is that of a pixel's centre, a corner lies half a pixel before it.
    return frame.outline([(row - 0.5, col - 0.5) for row, col in ring])


def write_collection(
    path: str | os.PathLike[str], name: str, features: Sequence[Mapping[str, Any]], frame: Frame
) -> Path:
    """Write features as a collection; the file appears when it is complete.

    Parameters
    ----------
    path : str or path
        Its ending decides: ``.gpkg`` is a GeoPackage, all else GeoJSON.
    name : str
        What a GIS calls the layer.
    features : sequence of mapping
        GeoJSON features in the coordinates of `frame`.
    frame : Frame

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".gpkg":
        return write_geopackage(path, name, features, frame)
    collection = {"type": "FeatureCollection", "name": name, **georeference_members(frame)}
    text = json.dumps({**collection, "features": features}, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        # A lone surrogate in a class name has no UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return path


def load_collection(path: Path, what: str, shapes: str) -> dict[str, Any]:
    """Feature collection of a file.

    Parameters
    ----------
    path : Path
    what, shapes : str
        What it should hold, for messages: ``"clicks"``, ``"points"``.

    Raises
    ------
    ClickError
        If it holds something else.
    """
    try:
        collection = load_json(path, most_bytes=LARGEST_FILE)
    except JsonError as error:
        raise ClickError(f"{error}; is this a file of {what}?") from error
    kind = collection.get("type") if isinstance(collection, dict) else None
    if kind != "FeatureCollection" or not isinstance(collection.get("features"), list):
        raise ClickError(
            f"is not a GeoJSON FeatureCollection but {shown(kind or collection)}; "
            f"save the {what} as a collection of {shapes}"
        )
    return dict(collection)


def collection_source(collection: Mapping[str, Any]) -> Source:
    """What the coordinates of a collection mean.

    Raises
    ------
    ClickError
        If its CRS is not understood.
    """
    marker = collection.get("napari_disca")
    if isinstance(marker, dict) and marker.get("coordinates") == _PIXELS["coordinates"]:
        return Source("pixels")
    if "crs" not in collection:
        return Source("degrees")
    member = collection["crs"]
    if member is None:
        return Source("own")
    properties = member.get("properties") if isinstance(member, dict) else {"name": member}
    properties = properties if isinstance(properties, dict) else {}
    name = properties.get("name")
    if isinstance(code := properties.get("code"), int | str):  # as it was before GeoJSON 2008
        name = f"EPSG:{code}"
    try:
        return Source("crs", crs_named(name if isinstance(name, str) else ""))
    except (*GDAL_ERRORS, ValueError) as error:
        raise ClickError(
            f"has a CRS that is not understood, {shown(member)}; use one with an EPSG code"
        ) from error


def as_list(value: object, called: str) -> list[Any]:
    """Return coordinates that are a list.

    Raises
    ------
    ClickError
        If they are not.
    """
    if not isinstance(value, list):
        raise ClickError(f"the coordinates of {called} are {shown(value)}, not a list")
    return value


def position_of(position: object, called: str) -> tuple[float, float]:
    """X and y of a GeoJSON position; what comes after them is left out.

    Raises
    ------
    ClickError
        If it is none.
    """
    values = as_list(position, called)
    try:
        numbers = [float(value) for value in values if is_number(value)]
    except OverflowError:
        numbers = []
    if len(numbers) != len(values) or len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        raise ClickError(f"{called} is at {shown(position)}, which is not a pair of numbers")
    return numbers[0], numbers[1]


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """Value of a file, short and in quotes, for a message."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 60 else text[:57] + "...")
