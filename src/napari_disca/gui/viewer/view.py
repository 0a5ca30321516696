"""Camera and size of a view, of any napari version."""

from __future__ import annotations

from typing import Any


def camera_of(viewer: Any) -> Any:
    """Camera of a viewer of any napari version."""
    return getattr(viewer, "scene", viewer).camera


def view_size(viewer: Any) -> tuple[float, float]:
    """Height and width of a view, one of two where there are two, in pixels of the screen."""
    canvas = getattr(viewer, "canvas", None)
    if canvas is None:  # napari before 0.9 tells nobody
        return 600, 800
    height, width = canvas.viewbox_size(viewer.layers)
    return float(height), float(width)
