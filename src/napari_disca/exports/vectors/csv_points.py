"""Reads points from a CSV table with named columns.

Positions are read from the first of these columns that the table has: longitude and latitude; x
and y, in the image's own coordinates; well-known text; the last two axes, as napari writes points;
row and col, in pixels. Upper and lower case, and a unit after the name, do not matter.
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
from napari_disca.exports.vectors.placing import Meaning, Source, named_source
from napari_disca.exports.vectors.point import PointFeature

_LARGEST_FILE = 32 * 2**20
_DELIMITERS = ",;\t|"
#: A point in well-known text, or a multipoint of one; PostGIS writes its CRS before it.
_POINT = re.compile(
    r"\s*(?:SRID\s*=\s*(?P<srid>\d{1,6})\s*;)?\s*(?:MULTI)?POINT\s*(?:ZM|Z|M)?\s*"
    r"\(\s*\(?\s*(?P<x>[-+.\deE]+)\s+(?P<y>[-+.\deE]+)[^(),]*\)?\s*\)\s*",
    re.IGNORECASE,
)
#: A unit or datum after a column's name: "Easting (m)", "lat_wgs84", "lon_dd".
_UNIT = re.compile(r"\s*[(\[].*[)\]]$|[_ ](dd|deg|degrees?|wgs_?84|wgs|m|utm)$", re.IGNORECASE)
#: A first line in which spreadsheets name the character that separates cells.
_SEPARATOR = re.compile(r"sep=(.)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two columns with the position of a point, by the names that they may have."""

    meaning: Meaning
    across: tuple[str, ...]
    down: tuple[str, ...]
    #: Whether a whole number is the centre of a pixel rather than its corner.
    centres: bool = False


_PAIRS = (
    _Pair("degrees", ("lon", "long", "longitude", "lng"), ("lat", "latitude")),
    _Pair(
        "unnamed",
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
    """Return whether a file may be a table of points, judged by its first bytes."""
    _, _, columns, _ = _header(start.decode("utf-8-sig", "replace"))
    return len(columns) > 1 and _position_columns(columns, referenced=True) is not None


def read_csv(path: Path, *, referenced: bool) -> tuple[Iterator[PointFeature], Source]:
    """Return the points of a table, and what their coordinates mean.

    Parameters
    ----------
    path : Path
    referenced : bool
        Whether the image has a georeference; if not, columns of pixels are preferred.

    Returns
    -------
    iterator of PointFeature
        One for each line that is not empty.
    Source

    Raises
    ------
    ClickError
        If the file cannot be read, is not CSV, or has no columns of positions.
    """
    text, number, columns, delimiter = _header(_text(path))
    if not columns:
        raise ClickError("is empty; its first line must name the columns")
    chosen = _position_columns(columns, referenced=referenced)
    if chosen is None:
        names = ", ".join(name[:20] for name in columns[:8])
        raise ClickError(
            f"has the columns {names}, none of which are positions; name two of them lon and lat, "
            "x and y, or row and col"
        )
    meaning, positions = chosen
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:]
    except csv.Error as error:
        raise ClickError(f"is not a CSV table: {error}") from error
    source = Source(meaning)
    if meaning == "unnamed" and positions.text_column:
        source = _source_of_text(columns, rows, positions.text_column)
    return _features(columns, rows, positions.of_row, number + 1), source


@dataclass(frozen=True, slots=True)
class _Positions:
    """Reads the position of a point from a row of the table."""

    of_row: Callable[[Mapping[str, str]], tuple[float, float] | None]
    #: The column of well-known text, if positions are read from one.
    text_column: str = ""


def _header(text: str) -> tuple[str, int, list[str], str]:
    """Find the line with the names of the columns.

    Before it there may be empty lines, comments and Excel's ``sep=;``.

    Returns
    -------
    str
        The text from this line on.
    int
        Number of this line in the file, from 1.
    list of str
        The names; empty if the file is.
    str
        The delimiter.
    """
    delimiter = ""
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        separator = _SEPARATOR.fullmatch(line.strip())
        if separator:
            delimiter = separator[1]
        elif line.strip() and not line.startswith("#"):
            delimiter = delimiter or _delimiter(line)
            return "".join(lines[number - 1 :]), number, _names(line, delimiter), delimiter
    return "", 0, [], ","


def _source_of_text(columns: Sequence[str], rows: Sequence[Sequence[str]], column: str) -> Source:
    """Return the source of positions in PostGIS's well-known text, which may have an SRID."""
    at = columns.index(column)
    srids = {
        match["srid"]
        for row in rows
        if at < len(row) and (match := _POINT.fullmatch(row[at][:500]))
    }
    codes = srids - {None, "0"}
    if not codes:
        return Source("unnamed")
    if len(srids) > 1:
        raise ClickError(
            f"has points in several CRS (SRID {', '.join(sorted(codes))}); convert all to one"
        )
    return named_source(f"EPSG:{codes.pop()}")


def _position_columns(
    columns: Sequence[str], *, referenced: bool
) -> tuple[Meaning, _Positions] | None:
    """Return what positions in the table mean, and how to read them; None if it has none."""
    names = list(reversed(columns))
    lower = {_UNIT.sub("", name.strip()).lower(): name for name in names}
    lower |= {name.strip().lower(): name for name in names}
    pairs = list(_PAIRS)
    if not referenced:
        # A table may have both, for instance one that `write_clicks` wrote and a GIS converted.
        pairs.sort(key=lambda pair: pair.meaning != "pixels")
    found: list[tuple[Meaning, _Positions]] = [
        (pair.meaning, _numbers(lower[x], lower[y], pair.centres))
        for pair in pairs
        for x in pair.across
        for y in pair.down
        if x in lower and y in lower
    ]
    texts = [_from_text(lower[name]) for name in _TEXTS if name in lower]
    if texts and (not found or (referenced and found[0][0] == "pixels")):
        return "unnamed", texts[0]
    return found[0] if found else None


def _numbers(x: str, y: str, centres: bool) -> _Positions:
    shift = 0.5 if centres else 0.0

    def of_row(row: Mapping[str, str]) -> tuple[float, float] | None:
        try:
            place = _number(row.get(x, "")) + shift, _number(row.get(y, "")) + shift
        except ValueError:
            return None
        return place if math.isfinite(sum(place)) else None

    return _Positions(of_row)


def _from_text(column: str) -> _Positions:
    def of_row(row: Mapping[str, str]) -> tuple[float, float] | None:
        match = _POINT.fullmatch(row.get(column, "")[:500])
        try:
            return (float(match["x"]), float(match["y"])) if match else None
        except ValueError:
            return None

    return _Positions(of_row, column)


def _number(text: str) -> float:
    # Many countries write a decimal comma.
    return float(text.strip().replace(",", ".") if text.count(",") == 1 else text)


def _features(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    position_of: Callable[[Mapping[str, str]], tuple[float, float] | None],
    first: int,
) -> Iterator[PointFeature]:
    for number, cells in enumerate(rows, start=first):
        if not any(cell.strip() for cell in cells):
            continue
        called = f"line {number}"
        # Of columns with equal names the first counts, as in `_position_columns`.
        row = dict(reversed(list(zip(columns, cells, strict=False))))
        position = position_of(row)
        if position is None:
            problem = f"{called} has no pair of numbers as its position"
            yield PointFeature(called, (), row, problem, "without a position")
        else:
            filled = {name: text for name, text in row.items() if text}
            yield PointFeature(called, (position,), filled)


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
