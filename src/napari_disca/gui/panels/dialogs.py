"""Asking for file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QInputDialog, QWidget

from napari_disca.exports import CLICK_SUFFIXES, ClassColumns, Content, exports_of


def labels_file(parent: QWidget, raster: Any, name: str) -> Path | None:
    """Where to save a map; None if the user thinks better of it."""
    start = Path(raster.path or "labels.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        f"Save the {name} map",
        str(start.with_name(f"{start.stem}_{name.lower()}{_usual('labels')}")),
        file_filter("labels"),
    )
    return _ending(file, _usual("labels"))


def clicks_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save the clicks."""
    start = Path(raster.path or "clicks.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the clicks",
        str(start.with_name(f"{start.stem}_clicks{_usual('clicks')}")),
        file_filter("clicks"),
    )
    return _ending(file, _usual("clicks"))


def clicks_to_load(parent: QWidget, raster: Any) -> Path | None:
    """Which clicks to add."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(
        parent, "Load clicks", start, _filter("Clicks", CLICK_SUFFIXES)
    )
    return Path(file) if file else None


def class_column(parent: QWidget, file: Path, found: ClassColumns) -> str | None:
    """Which column of a file of clicks says the class; None if the user thinks better of it."""
    at = found.columns.index(found.usual) if found.usual in found.columns else 0
    chosen, agreed = QInputDialog.getItem(
        parent,
        "Load clicks",
        f"Column of {file.name} that says the class, by name or by number:",
        list(found.columns),
        at,
        False,
    )
    return chosen if agreed else None


def areas_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save the locked areas."""
    start = Path(raster.path or "areas.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the areas",
        str(start.with_name(f"{start.stem}_areas{_usual('areas')}")),
        file_filter("areas"),
    )
    return _ending(file, _usual("areas"))


def strokes_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save what was drawn."""
    start = Path(raster.path or "strokes.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the strokes",
        str(start.with_name(f"{start.stem}_strokes{_usual('strokes')}")),
        file_filter("strokes"),
    )
    return _ending(file, _usual("strokes"))


def review_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save what was seen and judged."""
    start = Path(raster.path or "review.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the review",
        str(start.with_name(f"{start.stem}_review{_usual('review')}")),
        file_filter("review"),
    )
    return _ending(file, _usual("review"))


def areas_to_load(parent: QWidget, raster: Any) -> Path | None:
    """Which areas to lock."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(parent, "Load areas", start, "GeoJSON (*.geojson *.json)")
    return Path(file) if file else None


def classes_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save the table of classes."""
    start = Path(raster.path or "classes.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        "Save the classes",
        str(start.with_name(f"{start.stem}_classes{_usual('classes')}")),
        file_filter("classes"),
    )
    return _ending(file, _usual("classes"))


def classes_to_load(parent: QWidget, raster: Any) -> Path | None:
    """Which table of classes to take."""
    from napari_disca.exports.class_files import CLASS_SUFFIXES_IN

    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(
        parent, "Load classes", start, _filter("Classes", CLASS_SUFFIXES_IN)
    )
    return Path(file) if file else None


def file_filter(content: Content) -> str:
    """Formats of a content as a file dialog wants them, the usual one first."""
    return ";;".join(_filter(export.title, export.suffixes) for export in exports_of(content))


def _filter(title: str, suffixes: tuple[str, ...]) -> str:
    return f"{title} ({' '.join(f'*{suffix}' for suffix in suffixes)})"


def _usual(content: Content) -> str:
    return exports_of(content)[0].suffixes[0]


def _ending(file: str, suffix: str) -> Path | None:
    if not file:
        return None
    path = Path(file)
    return path if path.suffix else path.with_suffix(suffix)
