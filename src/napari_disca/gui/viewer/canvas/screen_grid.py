"""Converts between pixels of the screen and pixels of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_disca.gui.viewer.canvas.camera import camera_of, view_size

if TYPE_CHECKING:
    from napari import Viewer
    from napari.layers import Image

Floats = NDArray[np.float64]


class ScreenGrid:
    """The present mapping between canvas and image; for a single view, not for two.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
    """

    def __init__(self, viewer: Viewer, image: Image) -> None:
        camera = camera_of(viewer)
        height, width = view_size(viewer)
        centre = np.asarray(camera.center, dtype=float)[-2:]
        # The mapping is affine, so three places of the screen define it.
        screen = np.array([[0.0, 0.0], [height, 0.0], [0.0, width]])
        world = centre + (screen - [height / 2, width / 2]) / camera.zoom
        padding = np.zeros(max(0, image.ndim - 2))
        found = [image.world_to_data(np.concatenate([padding, at]))[-2:] for at in world]
        # An integer is a pixel's centre in napari, and its corner in the engine.
        corners = np.asarray(found, dtype=float) + 0.5
        self._origin: Floats = corners[0]
        self._steps: Floats = np.stack(
            [(corners[1] - corners[0]) / height, (corners[2] - corners[0]) / width], axis=1
        )
        self._back: Floats = np.linalg.inv(self._steps).astype(np.float64)

    def to_image(self, x: float, y: float) -> tuple[float, float]:
        """Return row and column of a place on the canvas; pixel (0, 0) reaches from 0 to 1."""
        row, col = self._origin + self._steps @ np.array([y, x])
        return float(row), float(col)

    def to_screen(self, places: ArrayLike) -> Floats:
        """Return the places of rows and columns on the canvas, x before y."""
        offsets = np.asarray(places, dtype=float).reshape(-1, 2) - self._origin
        return (offsets @ self._back.T)[:, ::-1]
