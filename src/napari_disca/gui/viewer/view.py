"""Camera and size of a view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari import Viewer


def camera_of(viewer: Viewer) -> Any:
    """Camera of a viewer."""
    return viewer.scene.camera


def view_size(viewer: Viewer) -> tuple[float, float]:
    """Height and width of a view, one of two where there are two, in pixels of the screen."""
    height, width = viewer.canvas.viewbox_size(viewer.layers)
    return float(height), float(width)
