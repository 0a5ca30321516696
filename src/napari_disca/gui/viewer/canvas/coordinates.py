"""Reads and writes coordinates: of the map, latitude and longitude, or pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import pyproj
from pyproj.exceptions import ProjError

from napari_disca.core.errors import DiscaError

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
#: Degrees, minutes and seconds; the letter may come before or after.
_ANGLE = re.compile(
    r"(?P<first>[NSEWnsew])?\s*(?P<degrees>[-+]?\d+(?:\.\d+)?)\s*(?:°|º|deg|d)?\s*"
    r"(?:(?P<minutes>\d+(?:\.\d+)?)\s*(?:'|′|m)\s*)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)\s*(?:\"|″|''|s)?\s*)?(?P<last>[NSEWnsew])?"
)
_PIXEL = re.compile(
    rf"(?:px|pixels?|row(?:s|,?\s*col(?:umn)?)?)\s*:?\s*({_NUMBER})\s*[,;\s]\s*(?:col(?:umn)?s?)?\s*:?"
    rf"\s*({_NUMBER})",
    re.IGNORECASE,
)
_MAP = re.compile(
    rf"(?:E|x)\s*[:=]?\s*({_NUMBER})\s*(?:m\b)?\s*[,;\s]?\s*(?:N|y)\s*[:=]?\s*({_NUMBER})\s*(?:m\b)?",
    re.IGNORECASE,
)
_PAIR = re.compile(rf"\(?\[?\s*({_NUMBER})\s*[,;\s]\s*({_NUMBER})\s*\)?\]?")


class CoordinateError(DiscaError):
    """A text that is not a place on the image."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place on the image that a text gives.

    Attributes
    ----------
    row, col : float
        In pixels of the image; an integer is a pixel's centre.
    read_as : str
        How the text was understood.
    """

    row: float
    col: float
    read_as: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Size and georeference of an image, for `find`.

    Attributes
    ----------
    shape : (int, int)
        Height and width in pixels.
    crs : str or None
        WKT.
    pixel : callable or None
        Converts map coordinates to row and column; None without georeference.
    """

    shape: tuple[int, int]
    crs: str | None
    pixel: Callable[[float, float], tuple[float, float]] | None


def find(text: str, grid: Grid) -> Found:
    """Return the place on an image that a text gives.

    "px 120, 340" is a row and a column, "E 685120 N 3065410" are map coordinates, and whatever has
    degrees, minutes or the letters N, S, E, W after numbers is latitude and longitude. Two plain
    numbers are read in the first way that lies on the image: as map coordinates, latitude and
    longitude, or row and column.

    Raises
    ------
    CoordinateError
        If the text holds no coordinates, or they lie outside the image.
    """
    text = text.strip().replace("−", "-")
    readings = _readings(text, grid)
    if not readings:
        raise CoordinateError(
            f"'{text}' is not a place: type map coordinates (x, y), latitude and longitude "
            "(27.63, 85.52), or row and column (px 120, 340)"
        )
    for found in readings:
        height, width = grid.shape
        if -0.5 <= found.row < height - 0.5 and -0.5 <= found.col < width - 0.5:
            return found
    tried = " or as ".join(found.read_as for found in readings)
    raise CoordinateError(f"'{text}', read as {tried}, lies outside the image")


def _readings(text: str, grid: Grid) -> list[Found]:
    """Return all places that a text may mean, the likeliest first."""
    if match := _PIXEL.fullmatch(text):
        return [Found(float(match[1]), float(match[2]), "row and column")]
    if match := _MAP.fullmatch(text):
        return _of_map(float(match[1]), float(match[2]), grid)
    if match := _PAIR.fullmatch(text):
        first, second = float(match[1]), float(match[2])
        return [
            *_of_map(first, second, grid),
            *_of_degrees(first, second, grid),
            Found(first, second, "row and column"),
        ]
    angles = _angles(text)
    return _of_degrees(*angles, grid) if angles is not None else []


def _of_map(x: float, y: float, grid: Grid) -> list[Found]:
    if grid.pixel is None:
        return []
    row, col = grid.pixel(x, y)
    return [Found(row - 0.5, col - 0.5, "map coordinates")]


def _of_degrees(latitude: float, longitude: float, grid: Grid) -> list[Found]:
    if grid.crs is None or grid.pixel is None or abs(latitude) > 90 or abs(longitude) > 360:
        return []
    point = from_degrees(grid.crs, latitude, longitude)
    # A place that the CRS does not cover is understood, but lies on no image in it.
    row, col = grid.pixel(*point) if point is not None else (math.nan, math.nan)
    return [Found(row - 0.5, col - 0.5, "latitude and longitude")]


def _angles(text: str) -> tuple[float, float] | None:
    """Return latitude and longitude of two angles; with letters, in either order."""
    parts = _split(text)
    if parts is None:
        return None
    matches = [_ANGLE.fullmatch(part) for part in parts]
    values: dict[str, float] = {}
    for axis, match in zip(("latitude", "longitude"), matches, strict=True):
        if match is None or (match["first"] and match["last"]):
            return None
        letter = (match["first"] or match["last"] or "").upper()
        degrees = abs(float(match["degrees"]))
        degrees += float(match["minutes"] or 0) / 60 + float(match["seconds"] or 0) / 3600
        negative = match["degrees"].startswith("-") or letter in ("S", "W")
        said = {"": axis, "N": "latitude", "S": "latitude"}.get(letter, "longitude")
        values[said] = -degrees if negative else degrees
    return (values["latitude"], values["longitude"]) if len(values) == 2 else None


def _split(text: str) -> tuple[str, str] | None:
    """Return two angles of a text, split at the comma, after the first letter, or in the middle."""
    for pattern in (
        r"(.+?)\s*[,;]\s*(.+)",
        r"(.*?\d.*?[NSEWnsew])\s+(.+)",
        r"([NSEWnsew].*?)\s+([NSEWnsew].*)",
        r"(\S+)\s+(\S+)",
    ):
        if match := re.fullmatch(pattern, text):
            return match[1].strip(), match[2].strip()
    return None


@lru_cache(maxsize=16)
def _to_degrees(crs: str) -> pyproj.Transformer | None:
    """Return the transformer to latitude and longitude, WGS 84 or the planet's own."""
    try:
        system = pyproj.CRS.from_user_input(crs)
        target: pyproj.CRS | str = "EPSG:4326"
        if system.ellipsoid is not None and system.ellipsoid.semi_major_metre < 6.3e6:
            target = system.geodetic_crs or target
        return pyproj.Transformer.from_crs(system, target, always_xy=True)
    except (ProjError, ValueError, RuntimeError):
        return None


def degrees(crs: str, x: float, y: float) -> tuple[float, float] | None:
    """Return latitude and longitude of map coordinates; None where they have none."""
    transformer = _to_degrees(crs)
    if transformer is None:
        return None
    try:
        longitude, latitude = transformer.transform(x, y, errcheck=True)
    except (ProjError, ValueError):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 else None


def from_degrees(crs: str, latitude: float, longitude: float) -> tuple[float, float] | None:
    """Return the map coordinates of a latitude and longitude; None where they have none."""
    transformer = _to_degrees(crs)
    if transformer is None:
        return None
    try:
        x, y = transformer.transform(longitude, latitude, errcheck=True, direction="INVERSE")
    except (ProjError, ValueError):
        return None
    return x, y


def map_text(crs: str, x: float, y: float) -> str:
    """Return map coordinates as text: "E 685,120.3  N 3,065,410.9"; degrees have more digits."""
    if _is_geographic(crs):
        return f"{y:.6f}°, {x:.6f}°"
    return f"E {x:,.1f}  N {y:,.1f}"


def degrees_text(latitude: float, longitude: float) -> str:
    """Return latitude and longitude as text, with six decimals, which are a tenth of a metre."""
    return f"{latitude:.6f}°, {longitude:.6f}°"


@lru_cache(maxsize=16)
def _is_geographic(crs: str) -> bool:
    try:
        return bool(pyproj.CRS.from_user_input(crs).is_geographic)
    except (ProjError, ValueError, RuntimeError):
        return False
