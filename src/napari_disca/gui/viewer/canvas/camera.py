"""Camera and size of a viewer's view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components import Camera


def camera_of(viewer: Viewer) -> Camera:
    """Return the camera of a viewer."""
    return viewer.scene.camera


def view_size(viewer: Viewer) -> tuple[float, float]:
    """Return height and width of one view in pixels of the screen, also with two in a grid."""
    height, width = viewer.canvas.viewbox_size(viewer.layers)
    return float(height), float(width)
