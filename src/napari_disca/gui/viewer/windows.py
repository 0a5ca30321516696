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


def unwrapped(viewer: Any) -> Any:
    """The viewer itself: panels get it in a proxy of napari's, each in another."""
    return getattr(viewer, "__wrapped__", viewer)


def is_open(viewer: Any) -> bool:
    """Whether a viewer's window has not been closed."""
    viewer = unwrapped(viewer)
    return any(window._qt_viewer.viewer is viewer for window in _QtMainWindow._instances)
