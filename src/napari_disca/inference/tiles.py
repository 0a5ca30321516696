"""The tiles of an image, and the pixels that are read for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.network_view import NetworkView

#: Tiles of 512 pixels that overlap by 128, Lenczner et al. (2020), section 4.1.
TILE_SIZE, TILE_HALO = 512, 64
#: Limits that allow images of some 10^11 pixels.
_MOST_TILES, _LONGEST_SIDE = 1 << 20, 1 << 28


def tiling_for(network_view: NetworkView) -> Tiling:
    """Return the tiles of an image on the network's grid, as in Lenczner et al. (2020).

    Raises
    ------
    RasterError
        If there are too many, as a damaged header may say.
    """
    tiling = Tiling(network_view.shape, TILE_SIZE, TILE_HALO)
    # Each side first: a tiling lists its rows and columns.
    if max(network_view.shape) > _LONGEST_SIDE or len(tiling) > _MOST_TILES:
        (height, width), (rows, cols) = network_view.raster.shape, network_view.shape
        raise RasterError(
            f"{network_view.raster.name} has {height} x {width} pixels (the network reads "
            f"{rows} x {cols}), more than can be corrected; cut out the part that matters"
        )
    return tiling


def wanted_window(network_view: NetworkView, tile: Tile) -> Window:
    """Return the window of logits that the kept pixels of a tile without clicks depend on."""
    # A pixel of the image is resampled from the network's pixels it covers and neighbours.
    margin = 2 + math.ceil(max(network_view.factors)) if network_view.resampled else 0
    return tile.keep.grown(margin) & tile.read


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Pixels of a tile that are read from an image.

    Attributes
    ----------
    tile : Tile
    window : Window
        The kept pixels, on the image's grid.
    valid : (height, width) array of bool
        Where they have data.
    image : (bands, h, w) array of float32, or None
        Scaled pixels of ``tile.read``; None where nothing is valid or they were not wanted.
    """

    tile: Tile
    window: Window
    valid: NDArray[np.bool_]
    image: NDArray[np.float32] | None


def read_pixels(network_view: NetworkView, tile: Tile, *, image: bool = True) -> Pixels:
    """Return the pixels of a tile, which is the part of a prediction that needs no network.

    Parameters
    ----------
    network_view : NetworkView
    tile : Tile
        On the network's grid.
    image : bool
        Whether to read scaled pixels, too, and not only where there is data.
    """
    window = network_view.image_window(tile.keep)
    valid = network_view.image_valid(window)
    return Pixels(
        tile, window, valid, network_view.read(tile.read) if image and valid.any() else None
    )
