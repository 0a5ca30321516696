"""Asking for file names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QFileDialog, QWidget

_GEOJSON = "GeoJSON (*.geojson *.json)"


def labels_file(parent: QWidget, raster: Any, name: str) -> Path | None:
    """Where to save a map; None if the user thinks better of it."""
    start = Path(raster.path or "labels.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent,
        f"Save the {name} map",
        str(start.with_name(f"{start.stem}_{name.lower()}.tif")),
        "GeoTIFF (*.tif *.tiff)",
    )
    return _ending(file, ".tif")


def clicks_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save the clicks."""
    start = Path(raster.path or "clicks.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent, "Save the clicks", str(start.with_name(f"{start.stem}_clicks.geojson")), _GEOJSON
    )
    return _ending(file, ".geojson")


def clicks_to_load(parent: QWidget, raster: Any) -> Path | None:
    """Which clicks to add."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(parent, "Load clicks", start, _clicks_filter())
    return Path(file) if file else None


def _clicks_filter() -> str:
    from napari_disca.exports import CLICK_SUFFIXES

    return f"Clicks ({' '.join(f'*{suffix}' for suffix in CLICK_SUFFIXES)})"


def areas_file(parent: QWidget, raster: Any) -> Path | None:
    """Where to save the locked areas."""
    start = Path(raster.path or "areas.tif")
    file, _ = QFileDialog.getSaveFileName(
        parent, "Save the areas", str(start.with_name(f"{start.stem}_areas.geojson")), _GEOJSON
    )
    return _ending(file, ".geojson")


def areas_to_load(parent: QWidget, raster: Any) -> Path | None:
    """Which areas to lock."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(parent, "Load areas", start, _GEOJSON)
    return Path(file) if file else None


def _ending(file: str, suffix: str) -> Path | None:
    if not file:
        return None
    path = Path(file)
    return path if path.suffix else path.with_suffix(suffix)
