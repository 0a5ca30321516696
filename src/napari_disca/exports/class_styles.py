"""Styles of a map by its values: QGIS's ``.qml`` and colour maps, ``.clr``."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from napari_disca.core.errors import ClassTableError
from napari_disca.exports.class_rows import ClassRow, colour_of, file_text, whole_number
from napari_disca.session.class_table import ClassEntry, ClassTable


def _saved(table: ClassTable) -> list[ClassEntry]:
    """Rows of the map that is saved, in the order in which they are shown."""
    legend = table.legend
    return [
        replace(entry, name=legend[entry.id].name, color=legend[entry.id].color)
        for entry in table.entries
        if table.target(entry) == entry.id
    ]


def qml(table: ClassTable) -> str:
    """A raster's style has to hold the whole palette: QGIS takes it instead of the file's."""
    root = ElementTree.Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = ElementTree.SubElement(root, "pipe")
    about = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1"}
    renderer = ElementTree.SubElement(pipe, "rasterrenderer", about)
    ElementTree.SubElement(renderer, "rasterTransparency")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for entry in _saved(table):
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
    """Classes of a raster's style."""
    text = file_text(path)
    if "<!ENTITY" in text:
        raise ClassTableError("it defines entities, which no style needs")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ClassTableError(f"it is no style of QGIS: {error}") from error
    items = root.findall(".//paletteEntry") or root.findall(".//colorrampshader/item")
    if not items:
        raise ClassTableError(
            "it is no style of a raster by values; in QGIS choose 'Paletted/Unique values'"
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
    """ESRI's form, which has no names: with more columns it would not be read there."""
    lines = [
        " ".join(str(int(entry.color[i : i + 2], 16)) for i in (1, 3, 5)) for entry in _saved(table)
    ]
    ids = [entry.id for entry in _saved(table)]
    return "".join(f"{label} {line}\n" for label, line in zip(ids, lines, strict=True))


def read_clr(path: Path) -> list[ClassRow]:
    """ESRI's ``value red green blue``, and QGIS's, which has opacity and a name after them."""
    rows = []
    for number, line in enumerate(file_text(path).splitlines(), start=1):
        parts = re.split(r"[\s,:;]+", line.strip(), maxsplit=5)
        if not parts[0] or parts[0].startswith(("#", "//", "INTERPOLATION", "nv")):
            continue
        if len(parts) < 4:
            raise ClassTableError(f"line {number} is not 'value red green blue': {line[:60]!r}")
        rgb = [whole_number(part, number) for part in parts[1:4]]
        if not all(0 <= part <= 255 for part in rgb):
            raise ClassTableError(f"line {number}: red, green and blue are 0 to 255")
        opacity = parts[4] if len(parts) > 4 else ""
        named = parts[5] if opacity.isdigit() and len(parts) > 5 else ""
        name = named if opacity.isdigit() else " ".join(parts[4:])
        color = "#{:02x}{:02x}{:02x}".format(*rgb)
        hidden = opacity == "0" if opacity.isdigit() else None
        rows.append(ClassRow(whole_number(parts[0], number), name or None, color, None, hidden))
    return rows
