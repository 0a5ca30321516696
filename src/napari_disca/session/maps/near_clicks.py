"""Mask of the pixels near clicks, where *Only here* keeps an adaptation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.network_view import NetworkView

#: Largest distance to a near click in pixels of the network's grid: the halo of tiles, so that a
#: tile knows all clicks near its pixels.
NEAR = 64


def near_clicks(
    clicks: Clicks, tile: Tile, window: Window, network_view: NetworkView, radius: int
) -> NDArray[np.bool_]:
    """Return which pixels of a window lie near clicks.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    tile : Tile
    window : Window
        Kept window of the tile, on the image's grid.
    radius : int
        Largest distance to a click, in pixels of the network's grid.

    Returns
    -------
    (height, width) array of bool
        Of the window.
    """
    near = np.zeros(window.shape, dtype=np.bool_)
    (height, width), (rows, cols) = network_view.raster.shape, network_view.shape
    down = (np.arange(window.top, window.bottom) + 0.5) * rows / height - 0.5
    across = (np.arange(window.left, window.right) + 0.5) * cols / width - 0.5
    within = tile.keep.grown(radius + 1)
    for click in clicks:
        if click.pixel in within:
            far = (down - click.row)[:, None] ** 2 + (across - click.col)[None, :] ** 2
            near |= far <= radius**2
    return near
