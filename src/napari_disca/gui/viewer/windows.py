"""The windows that are open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def scene_kept(viewer: Any) -> Iterator[None]:
    """Layers that are hidden or shown within leave napari's scene as it is.

    For each, napari makes all overlays anew, and the programs of the graphics card with them, which
    takes longer than to draw the frame. Only the grid needs that: there it is done as ever.
    """
    viewer = unwrapped(viewer)
    canvases = [
        window._qt_viewer.canvas
        for window in _QtMainWindow._instances
        if window._qt_viewer.viewer is viewer and not viewer.canvas.grid.enabled
    ]
    kept = [canvas for canvas in canvases if not canvas._pause_scene_graph]
    for canvas in kept:
        canvas._pause_scene_graph = True
    try:
        yield
    finally:
        for canvas in kept:
            canvas._pause_scene_graph = False
