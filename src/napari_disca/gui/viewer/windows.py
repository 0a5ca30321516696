"""The windows that are open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# napari tells which window is in front, and has no public list of the others.
from napari._qt.qt_main_window import _QtMainWindow


def open_layers() -> Iterator[Any]:
    """Layers of all open napari windows."""
    for window in _QtMainWindow._instances:
        yield from window._qt_viewer.viewer.layers
