"""Camera and size of a view."""

from __future__ import annotations

from typing import Any


def camera_of(viewer: Any) -> Any:
    """Camera of a viewer."""
    return viewer.scene.camera


def view_size(viewer: Any) -> tuple[float, float]:
    """Height and width of a view, one of two where there are two, in pixels of the screen."""
    height, width = viewer.canvas.viewbox_size(viewer.layers)
    return float(height), float(width)
