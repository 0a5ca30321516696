"""Functions that files of clicks, areas, strokes and reviews share: GeoJSON and its coordinates."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_disca.annotations.areas import Ring
from napari_disca.core.errors import ClickError
from napari_disca.exports.vectors.geopackage import write_geopackage
from napari_disca.exports.vectors.placing import Source, named_source
from napari_disca.raster.georeference import Frame, crs_name
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

#: Bytes. A click takes about 200; parsed JSON can take twenty times the memory of its text.
LARGEST_FILE = 32 * 2**20
_PIXELS = {"coordinates": "pixels", "meaning": "x = column + 0.5, y = row + 0.5"}


def georeference_members(frame: Frame) -> dict[str, Any]:
    """Return the members of a collection that say what its coordinates mean."""
    # A null CRS means "unknown" (GeoJSON 2008, section 3). GDAL takes it for degrees, but it does
    # so without the member, too.
    crs = None
    if frame.crs is not None:
        crs = {"type": "name", "properties": {"name": crs_name(frame.crs)}}
    return {"crs": crs} | ({"napari_disca": _PIXELS} if frame.transform is None else {})


def corner_positions(ring: Ring, frame: Frame) -> list[Any]:
    """Return the map coordinates of a ring of pixel corners; longitudes stay together.

    Parameters
    ----------
    ring : Ring
        Rows and columns, in which whole numbers are pixel corners.
    frame : Frame
        Of the image.
    """
    # `Frame.outline` takes positions of which whole numbers are pixel centres.
    return frame.outline([(row - 0.5, col - 0.5) for row, col in ring])


def geojson_feature(
    kind: str, coordinates: object, properties: Mapping[str, object]
) -> dict[str, Any]:
    """Return a GeoJSON feature.

    Parameters
    ----------
    kind : str
        Of its geometry: ``"Polygon"``.
    coordinates : object
        Of its geometry.
    properties : mapping
    """
    return {
        "type": "Feature",
        "properties": dict(properties),
        "geometry": {"type": kind, "coordinates": coordinates},
    }


def write_collection(
    path: str | os.PathLike[str], name: str, features: Sequence[Mapping[str, Any]], frame: Frame
) -> Path:
    """Write features as GeoJSON or as a GeoPackage; the file appears when it is complete.

    Parameters
    ----------
    path : str or path
        A GeoPackage if it ends with ``.gpkg``, otherwise GeoJSON.
    name : str
        Name of the layer in a GIS.
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
        # A class name may have a lone surrogate, which UTF-8 cannot encode.
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return path


def load_collection(path: Path, what: str, shapes: str) -> dict[str, Any]:
    """Return the feature collection in a file.

    Parameters
    ----------
    path : Path
    what, shapes : str
        Expected content and geometries, for messages: ``"clicks"`` and ``"points"``.

    Raises
    ------
    ClickError
        If the file cannot be read, or is not a feature collection.
    """
    try:
        collection = load_json(path, most_bytes=LARGEST_FILE)
    except JsonError as error:
        raise ClickError(f"{error}; is this a file of {what}?") from error
    kind = collection.get("type") if isinstance(collection, dict) else None
    if kind != "FeatureCollection" or not isinstance(collection.get("features"), list):
        raise ClickError(
            f"is not a GeoJSON FeatureCollection but {quoted(kind or collection)}; "
            f"save the {what} as a collection of {shapes}"
        )
    return dict(collection)


def collection_source(collection: Mapping[str, Any]) -> Source:
    """Return what the coordinates of a collection mean.

    Raises
    ------
    ClickError
        If its CRS is unknown.
    """
    marker = collection.get("napari_disca")
    if isinstance(marker, dict) and marker.get("coordinates") == _PIXELS["coordinates"]:
        return Source("pixels")
    if "crs" not in collection:
        return Source("degrees")
    member = collection["crs"]
    if member is None:
        return Source("unknown")
    properties = member.get("properties") if isinstance(member, dict) else {"name": member}
    properties = properties if isinstance(properties, dict) else {}
    name = properties.get("name")
    if isinstance(code := properties.get("code"), int | str):  # in drafts before GeoJSON 2008
        name = f"EPSG:{code}"
    return named_source(name if isinstance(name, str) else json.dumps(member))


def as_list(value: object, called: str) -> list[Any]:
    """Return coordinates of a feature if they are a list.

    Parameters
    ----------
    value : object
    called : str
        The feature's name in messages.

    Raises
    ------
    ClickError
        If they are not a list.
    """
    if not isinstance(value, list):
        raise ClickError(f"the coordinates of {called} are {quoted(value)}, not a list")
    return value


def position_of(position: object, called: str) -> tuple[float, float]:
    """Return x and y of a GeoJSON position, which may have further numbers.

    Parameters
    ----------
    position : object
    called : str
        The feature's name in messages.

    Raises
    ------
    ClickError
        If it is not a list of two or more finite numbers.
    """
    values = as_list(position, called)
    try:
        numbers = [float(value) for value in values if is_number(value)]
    except OverflowError:
        numbers = []
    if len(numbers) != len(values) or len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        raise ClickError(f"{called} has the position {quoted(position)}, not a pair of numbers")
    return numbers[0], numbers[1]


def is_number(value: object) -> bool:
    """Return whether a value of JSON is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def quoted(value: object) -> str:
    """Return a value of a file, shortened and in quotes, for a message."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 60 else text[:57] + "...")
