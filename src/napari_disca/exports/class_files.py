"""Reads and writes tables of classes: CSV, JSON, QGIS styles and colour maps.

CSV and JSON store the whole table. A style (QML) or a colour map (CLR) belongs to a saved map: it
has one row for each value of the map, so merged classes share a row.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_disca.core.errors import CardError, ClassTableError, ExportError, one_line
from napari_disca.exports.class_rows import (
    ClassRow,
    colour_of,
    file_bytes,
    file_text,
    whole_number,
)
from napari_disca.exports.class_styles import clr, qml, read_clr, read_qml
from napari_disca.session.steps.class_table import ClassEntry, ClassTable
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, parse_json

_COLUMNS = ("id", "name", "color", "key", "group", "hidden")
_YES, _NO = {"1", "true", "yes", "x"}, {"", "0", "false", "no"}


@dataclass(frozen=True, slots=True)
class LoadedClasses:
    """A table of classes as changed by a file.

    Attributes
    ----------
    table : ClassTable
    left_out : tuple of str
        Names or ids of classes in the file that the network does not have.
    unchanged : tuple of str
        Names of the network's classes that are not in the file.
    """

    table: ClassTable
    left_out: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    def describe(self, name: str) -> str:
        """Return one line for the user about classes that do not match; empty if all do.

        Parameters
        ----------
        name : str
            The file's name.
        """
        parts = []
        if self.left_out:
            parts.append(f"it also has {_few(self.left_out)}, which the network does not have")
        if self.unchanged:
            parts.append(f"it does not have {_few(self.unchanged)}, which are not changed")
        return f"{name} is loaded; {' and '.join(parts)}" if parts else ""


def write_classes(table: ClassTable, path: str | os.PathLike[str]) -> Path:
    """Write a table of classes; the ending of the file's name is the format.

    Parameters
    ----------
    table : ClassTable
        With entries.
    path : str or path
        Ends with ``.csv``, ``.json``, ``.qml`` or ``.clr``; the file appears when it is complete.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the name has another ending, or the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ExportError(
            f"{path} has the ending {path.suffix!r}, which is not a format for classes; end its "
            f"name with {', '.join(_WRITERS)}"
        )
    with replacing(path) as temporary:
        temporary.write_text(_WRITERS[suffix](table), encoding="utf-8", newline="\n")
    return path


def read_classes(path: str | os.PathLike[str], table: ClassTable) -> LoadedClasses:
    """Return a table of classes with the names, colours and order that a file gives them.

    Classes are matched by id, or by name if a CSV has no ids; the classes of a card without ids
    are numbered from 0.

    Parameters
    ----------
    path : str or path
        A CSV (``.csv``), a card (``.json``, ``.safetensors``), a QGIS style (``.qml``) or a colour
        map (``.clr``).
    table : ClassTable
        The present table, with entries. Whatever the file does not mention stays.

    Returns
    -------
    LoadedClasses

    Raises
    ------
    ClassTableError
        If the file cannot be read, has none of these classes, or has a class twice.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ClassTableError(
            f"{path.name} is not a table of classes; choose a file that ends with "
            f"{', '.join(_READERS)}"
        )
    try:
        return _merged(_READERS[suffix](path), table)
    except (ClassTableError, CardError, JsonError) as error:
        raise ClassTableError(f"{path.name}: {one_line(error)}") from error


# -------------------------------------------------------------------- into the table


def _merged(rows: Sequence[ClassRow], table: ClassTable) -> LoadedClasses:
    """Return the table with the changes of a file's rows, in the order of their keys."""
    found: dict[int, ClassRow] = {}
    left_out = []
    by_name = {entry.name.casefold(): entry.id for entry in table.entries}
    for row in rows:
        label = by_name.get((row.name or "").strip().casefold()) if row.id is None else row.id
        if label is None or label not in table.order:
            left_out.append(str(row.name if row.id is None else row.id))
        elif label in found:
            raise ClassTableError(f"it has class {label} twice; remove one of the rows")
        else:
            found[label] = row
    if not found:
        names = ", ".join(f"{entry.id} {entry.name}" for entry in table.entries)
        raise ClassTableError(f"it has none of the network's classes, {names}")
    entries = {label: _entry(table, label, row) for label, row in found.items()}
    keys = {label: row.key for label, row in found.items()}
    place = {label: i for i, label in enumerate(found)}
    order = sorted(found, key=lambda label: (keys[label] is None, keys[label] or 0, place[label]))
    unlisted = [label for label in table.order if label not in found]
    changed = ClassTable(
        tuple(entries[label] for label in order) + tuple(table.entry(label) for label in unlisted)
    )
    return LoadedClasses(
        changed.checked(len(table.entries)),
        tuple(left_out),
        tuple(table.entry(label).name for label in unlisted if not _follows(table, label)),
    )


def _follows(table: ClassTable, label: int) -> bool:
    """Return whether a class is merged into another one, so that a style has no row for it."""
    return table.target(table.entry(label)) != label


def _entry(table: ClassTable, label: int, row: ClassRow) -> ClassEntry:
    entry = table.entry(label)
    # In a style, merged classes have the name of their group.
    common = row.group is None and row.name == entry.group
    changes: dict[str, Any] = {
        "name": None if common or row.name is None else row.name.strip(),
        "color": row.color,
        "group": None if row.group is None else row.group.strip(),
        "hidden": row.hidden,
    }
    return replace(entry, **{key: value for key, value in changes.items() if value is not None})


# -------------------------------------------------------------------- CSV


def _csv(table: ClassTable) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for key, entry in enumerate(table.entries, start=1):
        hidden = "yes" if entry.hidden else ""
        writer.writerow([entry.id, entry.name, entry.color, key, entry.group, hidden])
    return text.getvalue()


def _read_csv(path: Path) -> list[ClassRow]:
    text = file_text(path)
    head = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=head.count)
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise ClassTableError(f"it is not a CSV table: {error}") from error
    names = [name.strip().casefold() for name in lines[0]] if lines else []
    names = ["color" if name == "colour" else name for name in names]
    if "id" not in names and "name" not in names:
        raise ClassTableError(
            f"its first line has neither 'id' nor 'name'; write {','.join(_COLUMNS)}"
        )
    return [_csv_row(dict(zip(names, line, strict=False)), k) for k, line in _filled(lines[1:])]


def _filled(lines: Iterable[list[str]]) -> Iterable[tuple[int, list[str]]]:
    """Return the lines that are not empty, with their numbers in the file."""
    return [(k, line) for k, line in enumerate(lines, start=2) if any(c.strip() for c in line)]


def _csv_row(cells: dict[str, str], line: int) -> ClassRow:
    hidden = cells.get("hidden")
    if hidden is not None and hidden.strip().casefold() not in _YES | _NO:
        raise ClassTableError(f"line {line}: hidden is {hidden[:40]!r}; write yes or no")
    label = whole_number(cells["id"], line) if "id" in cells else None
    key = cells.get("key", "").strip()
    return ClassRow(
        label,
        cells.get("name") or None,
        colour_of(cells["color"], line) if cells.get("color", "").strip() else None,
        cells.get("group"),
        None if hidden is None else hidden.strip().casefold() in _YES,
        whole_number(key, line) if key else None,
    )


# -------------------------------------------------------------------- cards


def _json(table: ClassTable) -> str:
    classes = [
        {
            "id": entry.id,
            "name": entry.name,
            "color": entry.color,
            **({"group": entry.group} if entry.group else {}),
            **({"hidden": True} if entry.hidden else {}),
        }
        for entry in table.entries
    ]
    return json.dumps({"classes": classes}, ensure_ascii=False, indent=1) + "\n"


def _read_json(path: Path) -> list[ClassRow]:
    value = parse_json(file_bytes(path))
    classes = value.get("classes") if isinstance(value, dict) else value
    if not isinstance(classes, list) or not all(isinstance(land, dict) for land in classes):
        raise ClassTableError('it has no list of classes, like {"classes": [{"name": "road"}]}')
    return [_json_row(land, place) for place, land in enumerate(classes)]


def _json_row(land: dict[str, Any], place: int) -> ClassRow:
    name, group, hidden = land.get("name"), land.get("group", ""), land.get("hidden", False)
    texts = all(text is None or isinstance(text, str) for text in (name, group, land.get("color")))
    if not texts or not isinstance(hidden, bool):
        raise ClassTableError(
            f"class {place} is {str(land)[:80]}; name, color and group are texts, hidden is true "
            "or false"
        )
    label = land.get("id", place)
    if type(label) is not int:
        raise ClassTableError(f"class {place} has the id {str(label)[:40]!r}, not a whole number")
    color = land.get("color")
    return ClassRow(label, name, None if color is None else colour_of(color, place), group, hidden)


def _read_network(path: Path) -> list[ClassRow]:
    from napari_disca.networks import read_card

    classes = read_card(path).classes
    return [ClassRow(i, land.name, land.color, "", False) for i, land in enumerate(classes)]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


_WRITERS: dict[str, Callable[[ClassTable], str]] = {
    ".csv": _csv,
    ".qml": qml,
    ".clr": clr,
    ".json": _json,
}
_READERS: dict[str, Callable[[Path], list[ClassRow]]] = {
    ".csv": _read_csv,
    ".qml": read_qml,
    ".clr": read_clr,
    ".json": _read_json,
    ".safetensors": _read_network,
}
#: Endings that tables of classes are written with, and read with.
CLASS_SUFFIXES_OUT, CLASS_SUFFIXES_IN = tuple(_WRITERS), tuple(_READERS)
