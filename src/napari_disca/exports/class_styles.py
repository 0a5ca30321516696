"""Reads and writes styles of a label map: QGIS's ``.qml``, and colour maps, ``.clr``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from napari_disca.core.errors import ClassTableError
from napari_disca.exports.class_rows import ClassRow, colour_of, file_text, whole_number
from napari_disca.session.steps.class_table import ClassEntry, ClassTable


def _map_entries(table: ClassTable) -> list[ClassEntry]:
    """Return the entries of a saved map's values, in the order of the legend."""
    saved = table.saved_classes
    return [
        replace(entry, name=saved[entry.id].name, color=saved[entry.id].color)
        for entry in table.entries
        if table.target(entry) == entry.id
    ]


def qml(table: ClassTable) -> str:
    """Return a table of classes as a QGIS style.

    It has the whole palette, because QGIS uses it instead of the one in the map's file.
    """
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    about = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1"}
    renderer = ElementTree.SubElement(pipe, "rasterrenderer", about)
    ElementTree.SubElement(renderer, "rasterTransparency")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for entry in _map_entries(table):
        ElementTree.SubElement(
            palette,
            "paletteEntry",
            value=str(entry.id),
            color=entry.color,
            alpha="0" if entry.hidden else "255",
            label="".join(c if c.isprintable() else " " for c in entry.name),
        )
    ElementTree.SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return text + "\n"


def read_qml(path: Path) -> list[ClassRow]:
    """Return the classes in the QGIS style of a raster.

    Raises
    ------
    ClassTableError
        If the file cannot be read, or is not the style of a raster by values.
    """
    text = file_text(path)
    if "<!ENTITY" in text:  # nested ones can fill the memory
        raise ClassTableError("it defines XML entities; save the style again in QGIS")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ClassTableError(f"it is not a QGIS style: {error}") from error
    items = root.findall(".//paletteEntry") or root.findall(".//colorrampshader/item")
    if not items:
        raise ClassTableError(
            "it is not the style of a raster by values; in QGIS choose 'Paletted/Unique values'"
        )
    return [
        ClassRow(
            whole_number(item.get("value", ""), k),
            item.get("label") or None,
            colour_of(item.get("color", ""), k),
            None,
            item.get("alpha", "255") == "0",
        )
        for k, item in enumerate(items, start=1)
    ]


def clr(table: ClassTable) -> str:
    """Return a table of classes as a colour map: a line ``value red green blue`` for each class.

    It has no names, because ESRI's programs do not read lines with more columns.
    """
    lines = []
    for entry in _map_entries(table):
        red, green, blue = bytes.fromhex(entry.color[1:])
        lines.append(f"{entry.id} {red} {green} {blue}\n")
    return "".join(lines)


def read_clr(path: Path) -> list[ClassRow]:
    """Return the classes in a colour map.

    ESRI writes lines ``value red green blue``; QGIS adds opacity and a name.

    Raises
    ------
    ClassTableError
        If the file cannot be read, or a line is different.
    """
    rows = []
    for number, line in enumerate(file_text(path).splitlines(), start=1):
        parts = re.split(r"[\s,:;]+", line.strip(), maxsplit=5)
        if not parts[0] or parts[0].startswith(("#", "//", "INTERPOLATION", "nv")):
            continue
        if len(parts) < 4:
            raise ClassTableError(f"line {number} is not 'value red green blue': {line[:60]!r}")
        rgb = [whole_number(part, number) for part in parts[1:4]]
        if not all(0 <= part <= 255 for part in rgb):
            raise ClassTableError(
                f"line {number}: red, green and blue are {rgb}; they must be 0 to 255"
            )
        opacity = parts[4] if len(parts) > 4 else ""
        named = parts[5] if opacity.isdigit() and len(parts) > 5 else ""
        name = named if opacity.isdigit() else " ".join(parts[4:])
        color = "#{:02x}{:02x}{:02x}".format(*rgb)
        hidden = opacity == "0" if opacity.isdigit() else None
        rows.append(ClassRow(whole_number(parts[0], number), name or None, color, None, hidden))
    return rows
