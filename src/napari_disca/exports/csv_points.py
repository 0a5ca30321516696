"""Clicks as a table: CSV with named columns.

Where a point lies is read from the first of these pairs of columns that is there, whatever the
case of their names and whatever unit stands behind them: longitude and latitude; x and y, in the
image's own coordinates; well-known text; the last two axes, as napari writes points; row and col,
in pixels.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.errors import ClickError, one_line
from napari_disca.exports.placing import Meaning, Source
from napari_disca.exports.point import PointFeature
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.georeference import crs_named

_LARGEST_FILE = 32 * 2**20
_DELIMITERS = ",;\t|"
#: A point, or a multipoint of one, with the CRS that PostGIS writes before it.
_POINT = re.compile(
    r"\s*(?:SRID\s*=\s*(?P<srid>\d{1,6})\s*;)?\s*(?:MULTI)?POINT\s*(?:ZM|Z|M)?\s*"
    r"\(\s*\(?\s*(?P<x>[-+.\deE]+)\s+(?P<y>[-+.\deE]+)[^(),]*\)?\s*\)\s*",
    re.IGNORECASE,
)
#: What may stand behind a column's name: "Easting (m)", "lat_wgs84", "lon_dd".
_BEHIND = re.compile(r"\s*[(\[].*[)\]]$|[_ ](dd|deg|degrees?|wgs_?84|wgs|m|utm)$", re.IGNORECASE)
#: How spreadsheets say which character separates cells.
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)


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
        (
            "x",
            "easting",
            "xcoord",
            "x_coord",
            "coord_x",
            "point_x",
            "pointx",
            "east",
            "utm_e",
            "utm_x",
        ),
        (
            "y",
            "northing",
            "ycoord",
            "y_coord",
            "coord_y",
            "point_y",
            "pointy",
            "north",
            "utm_n",
            "utm_y",
        ),
    ),
    # Of a stack's points the last two axes are row and column.
    *(_Pair("pixels", (f"axis-{k}",), (f"axis-{k - 1}",), centres=True) for k in (4, 3, 2, 1)),
    _Pair("pixels", ("col", "column", "pixel_x"), ("row", "line", "pixel_y")),
)
_TEXTS = ("wkt", "geometry", "geom", "the_geom", "wkt_geom")


def looks_like_csv(start: bytes) -> bool:
    """Whether a file may be a table, by its first bytes."""
    _, _, columns, _ = _header(start.decode("utf-8-sig", "replace"))
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
    text, number, columns, delimiter = _header(_text(path))
    if not columns:
        raise ClickError("is empty; its first line must name the columns")
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
    source = Source(meaning)
    if meaning == "unsaid" and positioned.column:
        source = _source_of_text(columns, rows, positioned.column)
    return _features(columns, rows, positioned.place, number + 1), source


@dataclass(frozen=True, slots=True)
class _Positioned:
    """How to read a point's place from a row."""

    place: Callable[[Mapping[str, str]], tuple[float, float] | None]
    #: The column of well-known text, if it is read from one.
    column: str = ""


def _header(text: str) -> tuple[str, int, list[str], str]:
    """Text from the names of the columns on, the number of their line, they, and what parts them.

    Empty lines, comments and Excel's ``sep=;`` may stand before them.
    """
    delimiter = ""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        said = _SEPARATOR.fullmatch(line.strip())
        if said:
            delimiter = said[1]
        elif line.strip() and not line.startswith("#"):
            delimiter = delimiter or _delimiter(line)
            return "".join(lines[number - 1 :]), number, _names(line, delimiter), delimiter
    return "", 0, [], ","


def _source_of_text(columns: Sequence[str], rows: Sequence[Sequence[str]], column: str) -> Source:
    """What PostGIS's well-known text says of its CRS."""
    at = columns.index(column)
    found = {
        match["srid"]
        for row in rows
        if at < len(row) and (match := _POINT.fullmatch(row[at][:500]))
    }
    named = found - {None, "0"}
    if not named:
        return Source("unsaid")
    if len(found) > 1:
        raise ClickError(f"has points in several CRS (SRID {', '.join(sorted(named))}); keep one")
    try:
        return Source("crs", crs_named(f"EPSG:{named.pop()}"))
    except (*GDAL_ERRORS, ValueError) as error:
        raise ClickError(f"has an SRID that is not understood: {one_line(error)}") from error


def _found(columns: Sequence[str], *, referenced: bool) -> tuple[Meaning, _Positioned] | None:
    """What the columns say of a point's place, and how to read it."""
    names = list(reversed(columns))
    lower = {_BEHIND.sub("", name.strip()).lower(): name for name in names}
    lower |= {name.strip().lower(): name for name in names}
    pairs = list(_PAIRS)
    if not referenced:
        # A table that was made in a GIS may have both.
        pairs.sort(key=lambda pair: pair.meaning != "pixels")
    found: list[tuple[Meaning, _Positioned]] = [
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


def _numbers(x: str, y: str, centres: bool) -> _Positioned:
    shift = 0.5 if centres else 0.0

    def positioned(row: Mapping[str, str]) -> tuple[float, float] | None:
        try:
            place = _number(row.get(x, "")) + shift, _number(row.get(y, "")) + shift
        except ValueError:
            return None
        return place if math.isfinite(sum(place)) else None

    return _Positioned(positioned)


def _from_text(column: str) -> _Positioned:
    def positioned(row: Mapping[str, str]) -> tuple[float, float] | None:
        match = _POINT.fullmatch(row.get(column, "")[:500])
        try:
            return (float(match["x"]), float(match["y"])) if match else None
        except ValueError:
            return None

    return _Positioned(positioned, column)


def _number(text: str) -> float:
    # A decimal comma, as many countries write it.
    return float(text.strip().replace(",", ".") if text.count(",") == 1 else text)


def _features(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    positioned: Callable[[Mapping[str, str]], tuple[float, float] | None],
    first: int,
) -> Iterator[PointFeature]:
    for number, cells in enumerate(rows, start=first):
        if not any(cell.strip() for cell in cells):
            continue
        called = f"line {number}"
        # Of columns with one name the first counts, as in looking for them.
        row = dict(reversed(list(zip(columns, cells, strict=False))))
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


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []
