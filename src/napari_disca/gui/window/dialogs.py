"""Dialogs that ask for file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QInputDialog, QMessageBox, QWidget

from napari_disca.exports import ClassColumns, Content, exports_of
from napari_disca.raster import Raster


def file_to_save(
    parent: QWidget, raster: Raster, content: Content, which: str, title: str
) -> Path | None:
    """Ask where to save a file; return None if the user cancels.

    Parameters
    ----------
    parent : QWidget
    raster : Raster
    content : str
        What is saved, which decides the formats.
    which : str
        Ending of the proposed name, after the image's name.
    title : str
        Of the dialog.
    """
    start = Path(raster.path or f"{content}.tif")
    formats = {_filter(export.title, export.suffixes): export for export in exports_of(content)}
    usual = exports_of(content)[0]
    proposed = start.with_name(f"{start.stem}_{which}{usual.suffixes[0]}")
    file, chosen = QFileDialog.getSaveFileName(parent, title, str(proposed), file_filter(content))
    if not file:
        return None
    path = Path(file)
    if path.suffix:
        return path
    path = path.with_name(path.name + formats.get(chosen, usual).suffixes[0])
    # The dialog has asked about the name without ending.
    return None if path.exists() and not _may_overwrite(parent, path) else path


def _may_overwrite(parent: QWidget, path: Path) -> bool:
    answer = QMessageBox.question(
        parent,
        "Save",
        f"{path.name} exists already. Replace it?",
        QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
        QMessageBox.StandardButton.No,
    )
    return bool(answer == QMessageBox.StandardButton.Yes)


def file_to_load(
    parent: QWidget, raster: Raster | None, title: str, formats: str, suffixes: Sequence[str]
) -> Path | None:
    """Ask which file to load, first in the image's folder; return None if the user cancels."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    file, _ = QFileDialog.getOpenFileName(parent, title, start, _filter(formats, suffixes))
    return Path(file) if file else None


def files_to_load(
    parent: QWidget, raster: Raster | None, title: str, formats: str, suffixes: Sequence[str]
) -> list[Path]:
    """Ask which files to load, first in the image's folder; return none if the user cancels."""
    start = str(raster.path.parent) if raster is not None and raster.path else ""
    files, _ = QFileDialog.getOpenFileNames(parent, title, start, _filter(formats, suffixes))
    return [Path(file) for file in files]


def class_column(parent: QWidget, file: Path, found: ClassColumns) -> str | None:
    """Ask which column of a file of clicks holds the class; return None if the user cancels."""
    at = found.columns.index(found.usual) if found.usual in found.columns else 0
    chosen, agreed = QInputDialog.getItem(
        parent,
        "Load clicks",
        f"Column of {file.name} that holds the class, by name or by number:",
        list(found.columns),
        at,
        False,
    )
    return chosen if agreed else None


def file_filter(content: Content) -> str:
    """Return the formats of a content as the filter of a file dialog, the usual one first."""
    return ";;".join(_filter(export.title, export.suffixes) for export in exports_of(content))


def _filter(title: str, suffixes: Sequence[str]) -> str:
    return f"{title} ({' '.join(f'*{suffix}' for suffix in suffixes)})"
