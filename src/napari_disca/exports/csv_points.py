"""Clicks as a table: CSV with named columns.

Where a point lies is read from the first of these pairs of columns that is there, whatever the
case of their names: longitude and latitude; x and y, in the image's own coordinates; well-known
text; axis-0 and axis-1, as napari writes points; row and col, in pixels.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import ClickError
from napari_disca.exports.placing import Meaning, Source
from napari_disca.exports.point import PointFeature

_LARGEST_FILE = 32 * 2**20
_DELIMITERS = ",;\t|"
_POINT = re.compile(
    r"\s*POINT\s*(?:ZM|Z|M)?\s*"
    r"\(\s*(?P<x>[-+.\deE]+)\s+(?P<y>[-+.\deE]+)[^()]*\)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two columns that say where a point lies."""

    meaning: Meaning
    across: tuple[str, ...]
    down: tuple[str, ...]
    #: Whether a whole number is the centre of a pixel rather than its corner.
    centres: bool = False


_PAIRS = (
    _Pair("degrees", ("lon", "long", "longitude", "lng"), ("lat", "latitude")),
    _Pair(
        "unsaid",
        ("x", "easting", "xcoord", "x_coord", "coord_x", "point_x", "pointx", "east"),
        ("y", "northing", "ycoord", "y_coord", "coord_y", "point_y", "pointy", "north"),
    ),
    _Pair("pixels", ("axis-1",), ("axis-0",), centres=True),
    _Pair("pixels", ("col", "column", "pixel_x"), ("row", "line", "pixel_y")),
)
_TEXTS = ("wkt", "geometry", "geom", "the_geom", "wkt_geom")


def looks_like_csv(start: bytes) -> bool:
    """Whether a file may be a table, by its first bytes."""
    try:
        columns = _names(start.decode("utf-8-sig", "replace").splitlines()[0])
    except IndexError:
        return False
    return len(columns) > 1 and _found(columns, referenced=True) is not None


def read_csv(path: Path, *, referenced: bool) -> tuple[Iterator[PointFeature], Source]:
    """Read the points of a table.

    Parameters
    ----------
    path : Path
    referenced : bool
        Whether the image has a georeference; if not, pixels are preferred.

    Raises
    ------
    ClickError
        If it cannot be read, or no columns say where the points lie.
    """
    text = _text(path)
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise ClickError("is empty; its first line must name the columns")
    delimiter = _delimiter(lines[0])
    columns = _names(lines[0])
    place = _found(columns, referenced=referenced)
    if place is None:
        named = ", ".join(name[:20] for name in columns[:8])
        raise ClickError(
            f"has the columns {named}, which do not say where the points lie; name two of them "
            "lon and lat, x and y, or row and col"
        )
    meaning, positioned = place
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]
    except csv.Error as error:
        raise ClickError(f"is no table of values separated by commas: {error}") from error
    return _features(columns, rows, positioned), Source(meaning)


_Position = Callable[[Mapping[str, str]], tuple[float, float] | None]


def _found(columns: Sequence[str], *, referenced: bool) -> tuple[Meaning, _Position] | None:
    """What the columns say of a point's place, and how to read it."""
    lower = {name.strip().lower(): name for name in reversed(columns)}
    pairs = list(_PAIRS)
    if not referenced:
        # A table that was made in a GIS may have both.
        pairs.sort(key=lambda pair: pair.meaning != "pixels")
    found: list[tuple[Meaning, _Position]] = [
        (pair.meaning, _numbers(lower[x], lower[y], pair.centres))
        for pair in pairs
        for x in pair.across
        for y in pair.down
        if x in lower and y in lower
    ]
    texts = [_from_text(lower[name]) for name in _TEXTS if name in lower]
    if texts and (not found or (referenced and found[0][0] == "pixels")):
        return "unsaid", texts[0]
    return found[0] if found else None


def _numbers(x: str, y: str, centres: bool) -> _Position:
    shift = 0.5 if centres else 0.0

    def positioned(row: Mapping[str, str]) -> tuple[float, float] | None:
        try:
            place = _number(row.get(x, "")) + shift, _number(row.get(y, "")) + shift
        except ValueError:
            return None
        return place if math.isfinite(sum(place)) else None

    return positioned


def _from_text(column: str) -> _Position:
    def positioned(row: Mapping[str, str]) -> tuple[float, float] | None:
        match = _POINT.fullmatch(row.get(column, "")[:500])
        try:
            return (float(match["x"]), float(match["y"])) if match else None
        except ValueError:
            return None

    return positioned


def _number(text: str) -> float:
    # A decimal comma, as many countries write it.
    return float(text.strip().replace(",", ".") if text.count(",") == 1 else text)


def _features(
    columns: Sequence[str], rows: Sequence[Sequence[str]], positioned: _Position
) -> Iterator[PointFeature]:
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        called = f"line {number}"
        row = dict(zip(columns, cells, strict=False))
        place = positioned(row)
        if place is None:
            problem = f"{called} has no two numbers that say where it lies"
            yield PointFeature(called, (), row, problem, "without a place")
        else:
            yield PointFeature(called, (place,), {name: text for name, text in row.items() if text})


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        raise ClickError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _LARGEST_FILE:
        raise ClickError(f"has more than {_LARGEST_FILE >> 20} MB; save the points alone")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")  # what spreadsheets on Windows write


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count)


def _names(line: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=_delimiter(line)), [])
    except csv.Error:
        return []
