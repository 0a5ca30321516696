"""Masks of the pixels near clicks, where *Only here* keeps an adaptation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.network_view import NetworkView

#: What lies within so many pixels of the network's grid of a click is near it. A tile reads as
#: much around what it keeps, so it knows all the clicks that its pixels are near to.
NEAR = 64


def near_clicks(
    clicks: Clicks, tile: Tile, window: Window, inputs: NetworkView, radius: int
) -> NDArray[np.bool_]:
    """Which pixels of the image lie near clicks.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    tile : Tile
    window : Window
        What the tile keeps, on the image's grid.
    radius : int
        How far near reaches, in pixels of the network's grid.

    Returns
    -------
    (height, width) array of bool
        Of the window.
    """
    near = np.zeros(window.shape, dtype=np.bool_)
    (height, width), (rows, cols) = inputs.raster.shape, inputs.shape
    down = (np.arange(window.top, window.bottom) + 0.5) * rows / height - 0.5
    across = (np.arange(window.left, window.right) + 0.5) * cols / width - 0.5
    within = tile.keep.grown(radius + 1)
    for click in clicks:
        if click.pixel in within:
            far = (down - click.row)[:, None] ** 2 + (across - click.col)[None, :] ** 2
            near |= far <= radius**2
    return near
