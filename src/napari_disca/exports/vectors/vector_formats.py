"""Vector formats that GDAL reads and writes through pyogrio: how they are recognised."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from napari_disca.core.errors import ClickError

#: First bytes, usual ending and name of each format.
_FORMATS = (
    (b"SQLite format 3\x00", ".gpkg", "GeoPackage"),
    (b"fgb\x03fgb", ".fgb", "FlatGeobuf"),
    (b"\x00\x00\x27\x0a", ".shp", "Shapefile"),
)
#: Endings of these formats.
GIS_SUFFIXES = tuple(suffix for _, suffix, _ in _FORMATS)
#: How to install pyogrio, for messages.
INSTALL_PYOGRIO = 'install it with pip install "napari-disca[vector]"'


def has_pyogrio() -> bool:
    """Return whether pyogrio is installed."""
    return importlib.util.find_spec("pyogrio") is not None


def format_of_start(start: bytes) -> str | None:
    """Return the name of the format of a file by its first bytes; None if it has another format."""
    return next((name for magic, _, name in _FORMATS if start.startswith(magic)), None)


def format_of_suffix(path: Path) -> str | None:
    """Return the name of the format that a file's ending stands for; None for other endings."""
    return next((name for _, suffix, name in _FORMATS if suffix == path.suffix.lower()), None)


def first_bytes(path: Path, count: int) -> bytes:
    """Return the first bytes of a file, at most `count`.

    Raises
    ------
    ClickError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError) as error:
        raise ClickError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
