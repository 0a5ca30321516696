"""Clicks as GeoJSON points in map coordinates, which a GIS can show, move and add to.

A click is written as the centre of its pixel, in the CRS of the image, named in the ``crs``
member as GDAL and QGIS write and read it. Of an image that only has ground control points, the
affine transform that fits them best is used, as a GIS does to show it. Without any georeference
the coordinates are ``x = column + 0.5, y = row + 0.5``, and the member ``napari_disca`` says so.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio.warp
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError
from napari_disca.exports.frame import Frame, crs_name, crs_named
from napari_disca.raster import Raster
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json

if TYPE_CHECKING:
    # `networks` costs torch, which a reader of clicks should not pay for.
    from napari_disca.networks.card import LandClass

#: A click takes some 200 bytes. JSON made to be large in memory grows some twenty-fold.
_LARGEST_FILE = 32 * 2**20
#: RFC 7946: longitude and latitude, where nothing else is said.
_LONGITUDE_LATITUDE = "OGC:CRS84"
_PIXELS = {"coordinates": "pixels", "meaning": "x = column + 0.5, y = row + 0.5"}


def write_clicks(
    clicks: Clicks,
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write clicks as a GeoJSON collection of points.

    Parameters
    ----------
    clicks : Clicks
        Clicks on the image, oldest first.
    path : str or path
        Where to write; the file appears when it is complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        What the clicks' labels mean.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ClickError
        If a click is outside the image or its class does not exist.
    ExportError
        If the file cannot be written.
    """
    path = Path(path)
    clicks.checked(raster.shape, len(classes))
    frame = Frame.of(raster)
    features = [
        {
            "type": "Feature",
            "properties": {
                "class_id": click.label,
                "class": classes[click.label].name,
                "row": click.row,
                "col": click.col,
                "order": order,
            },
            "geometry": {"type": "Point", "coordinates": frame.position(click.row, click.col)},
        }
        for order, click in enumerate(clicks)
    ]
    collection = {"type": "FeatureCollection", "name": "clicks", **_said_of(frame)}
    text = json.dumps({**collection, "features": features}, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        # A lone surrogate in a class name has no UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return path


def read_clicks(
    path: str | os.PathLike[str], *, raster: Raster, classes: Sequence[LandClass]
) -> Clicks:
    """Read clicks from a GeoJSON collection of points.

    The geometry says which pixel is meant, since other programs may have moved the points. The
    class is ``class_id``, or else the name in ``class``, ``label`` or ``name``. Points with the
    property ``order`` come in that order, others after them in the order of the file.

    Coordinates are in the CRS of the ``crs`` member; without that member, longitude and latitude.
    Where the member is null, or the image has no CRS, they are taken for the image's own.

    Parameters
    ----------
    path : str or path
    raster : Raster
        The image they belong to.
    classes : sequence of LandClass
        Classes to choose from.

    Raises
    ------
    ClickError
        If the file is not such a collection, or a point is outside the image or of no class.
    """
    path = Path(path)
    try:
        collection = _load(path)
        points = list(_points(collection, classes))
        places = _places(collection, points, Frame.of(raster))
        clicks = []
        for point, (row, col) in zip(points, places, strict=True):
            if not (0 <= row < raster.shape[0] and 0 <= col < raster.shape[1]):
                raise ClickError(
                    f"{point.feature} at ({point.x:.10g}, {point.y:.10g}) lies outside the image "
                    f"of {raster.shape[0]} x {raster.shape[1]} pixels; remove it or open the "
                    "image it was made on"
                )
            clicks.append((point.order, Click(math.floor(row), math.floor(col), point.label)))
    except ClickError as error:
        raise ClickError(f"{path.name}: {error}") from error
    return Clicks(tuple(click for _, click in sorted(clicks, key=lambda pair: pair[0])))


def _said_of(frame: Frame) -> dict[str, Any]:
    """What a collection says about its coordinates."""
    # A null CRS stands for "unknown" (GeoJSON 2008, section 3); GDAL takes it for degrees, but
    # nothing else would make it do otherwise.
    crs = None
    if frame.crs is not None:
        crs = {"type": "name", "properties": {"name": crs_name(frame.crs)}}
    return {"crs": crs} | ({"napari_disca": _PIXELS} if frame.transform is None else {})


@dataclass(frozen=True, slots=True)
class _Point:
    """A point as the file has it; `feature` is what to call it in messages."""

    feature: str
    x: float
    y: float
    label: int
    order: float


def _load(path: Path, what: str = "clicks", shapes: str = "points") -> dict[str, Any]:
    try:
        collection = load_json(path, most_bytes=_LARGEST_FILE)
    except JsonError as error:
        raise ClickError(f"{error}; is this a file of {what}?") from error
    kind = collection.get("type") if isinstance(collection, dict) else None
    if kind != "FeatureCollection" or not isinstance(collection.get("features"), list):
        raise ClickError(
            f"is not a GeoJSON FeatureCollection but {_shown(kind or collection)}; "
            f"save the {what} as a collection of {shapes}"
        )
    return dict(collection)


def _points(collection: Mapping[str, Any], classes: Sequence[LandClass]) -> Iterator[_Point]:
    for number, feature in enumerate(collection["features"], start=1):
        called = f"feature {number}"
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        geometry = geometry if isinstance(geometry, dict) else {}
        kind = geometry.get("type")
        if kind not in ("Point", "MultiPoint"):
            raise ClickError(f"{called} is not a Point but {_shown(kind)}; clicks are points")
        properties = feature.get("properties") or {}
        if not isinstance(properties, dict):
            raise ClickError(f"the properties of {called} are {_shown(properties)}, not an object")
        positions = geometry.get("coordinates")
        for position in [positions] if kind == "Point" else _list(positions, called):
            x, y, *_ = _coordinates(position, called)
            yield _Point(called, x, y, _label(properties, classes, called), _order(properties))


def _list(value: object, called: str) -> list[Any]:
    if not isinstance(value, list):
        raise ClickError(f"the coordinates of {called} are {_shown(value)}, not a list")
    return value


def _coordinates(position: object, called: str) -> list[float]:
    values = _list(position, called)
    try:
        numbers = [float(value) for value in values if _is_number(value)]
    except OverflowError:
        numbers = []
    if len(numbers) != len(values) or len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        raise ClickError(f"{called} is at {_shown(position)}, which is not a pair of numbers")
    return numbers


def _order(properties: Mapping[str, Any]) -> float:
    order = properties.get("order")
    return order if isinstance(order, int | float) else math.inf


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _label(properties: Mapping[str, Any], classes: Sequence[LandClass], called: str) -> int:
    names = (properties.get(key) for key in ("class", "label", "name"))
    named = next((name.strip() for name in names if isinstance(name, str) and name.strip()), "")
    by_name = _class_named(named, classes)
    known = ", ".join(f"{index} {land.name}" for index, land in enumerate(classes))
    value = properties.get("class_id")
    if value is None:
        if by_name is not None:
            return by_name
        what = f"class {_shown(named)}" if named else "no class_id and no class"
        raise ClickError(f"{called} has {what}; the classes are {known}")
    try:
        # Some programs keep every attribute as text, or every number as a real one.
        label = int(value) if isinstance(value, str) or _is_number(value) else -1
        if not 0 <= label < len(classes) or label != float(value):
            raise ValueError
    except (ValueError, OverflowError):
        raise ClickError(
            f"{called} has class_id {_shown(value)}; the classes are {known}"
        ) from None
    if by_name not in (None, label):
        # Say, clicks for a network that numbers its classes in another order.
        raise ClickError(
            f"{called} has class_id {label}, which is {classes[label].name!r}, but says "
            f"{classes[by_name or 0].name!r}; correct one of them"
        )
    return label


def _class_named(name: str, classes: Sequence[LandClass]) -> int | None:
    exact = [index for index, land in enumerate(classes) if land.name.strip() == name]
    alike = [i for i, land in enumerate(classes) if land.name.strip().casefold() == name.casefold()]
    return next(iter(exact + alike), None)


def _places(
    collection: Mapping[str, Any], points: Sequence[_Point], frame: Frame
) -> list[tuple[float, float]]:
    """Fractional row and column of each point."""
    marker = collection.get("napari_disca")
    if isinstance(marker, dict) and marker.get("coordinates") == _PIXELS["coordinates"]:
        return [Frame(None, None).pixel(p.x, p.y) for p in points]
    source = _crs_of(collection)
    if source is not None and frame.transform is None and "crs" in collection:
        raise ClickError(
            f"has coordinates in {source.to_string()[:60]}, but the image has no georeference; "
            "open the image they were made on"
        )
    if source is None or frame.crs is None or source == frame.crs or not points:
        return [frame.pixel(p.x, p.y) for p in points]
    try:
        xs, ys, *_ = rasterio.warp.transform(
            source, frame.crs, [p.x for p in points], [p.y for p in points]
        )
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        raise ClickError(
            f"has coordinates in {source.to_string()[:60]}, which cannot be converted to the "
            f"image's CRS: {' '.join(str(error).split())}"
        ) from error
    for point, x, y in zip(points, xs, ys, strict=True):
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ClickError(
                f"{point.feature} at ({point.x:.10g}, {point.y:.10g}) has no place in the image's "
                f"CRS; are its coordinates in {source.to_string()[:60]}?"
            )
    return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]


def _crs_of(collection: Mapping[str, Any]) -> CRS | None:
    """CRS of a collection's coordinates; None: unknown, take the image's."""
    member = collection.get("crs", {"properties": {"name": _LONGITUDE_LATITUDE}})
    if member is None:
        return None
    properties = member.get("properties") if isinstance(member, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    try:
        return crs_named(name if isinstance(name, str) else "")
    except (RasterioError, CPLE_BaseError, ValueError) as error:
        raise ClickError(
            f"has a CRS that is not understood, {_shown(member)}; use one with an EPSG code"
        ) from error


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return repr(text if len(text) <= 60 else text[:57] + "...")
