"""The tiles of an image, and what is read of the image for them."""

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
#: Some 10^11 pixels.
_MOST_TILES, _LONGEST_SIDE = 1 << 20, 1 << 28


def tiling_for(inputs: NetworkView) -> Tiling:
    """Tiles of the paper on the network's grid of an image.

    Raises
    ------
    RasterError
        If they are too many to keep an account of: an image that nobody has, a damaged header.
    """
    tiling = Tiling(inputs.shape, TILE_SIZE, TILE_HALO)
    # Both sides by themselves first: a grid's rows and columns are lists.
    if max(inputs.shape) > _LONGEST_SIDE or len(tiling) > _MOST_TILES:
        raise RasterError(
            f"{inputs.raster.name} has {inputs.raster.shape[0]} x {inputs.raster.shape[1]} pixels "
            f"(the network reads {inputs.shape[0]} x {inputs.shape[1]}), more than can be "
            "corrected; cut out what matters"
        )
    return tiling


def wanted_window(inputs: NetworkView, tile: Tile) -> Window:
    """Logits, on the network's grid, that decide about what a tile without clicks keeps."""
    # A pixel of the image looks at the network's pixels that it covers, and at neighbours.
    margin = 2 + math.ceil(max(inputs.factors)) if inputs.resampled else 0
    return tile.keep.grown(margin) & tile.read


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """What is read of an image for a tile.

    Attributes
    ----------
    tile : Tile
    window : Window
        The kept pixels, on the image's grid.
    valid : (height, width) array of bool
        Where they have data.
    image : (bands, h, w) array of float32, or None
        Scaled pixels of ``tile.read``; None where nothing is valid or nobody asks for them.
    """

    tile: Tile
    window: Window
    valid: NDArray[np.bool_]
    image: NDArray[np.float32] | None


def read_pixels(inputs: NetworkView, tile: Tile, *, image: bool = True) -> Pixels:
    """Read a tile; the part of the work that needs no network.

    Parameters
    ----------
    inputs : NetworkView
    tile : Tile
        On the network's grid.
    image : bool
        Whether the pixels are wanted, or only where there is data.
    """
    window = inputs.image_window(tile.keep)
    valid = inputs.image_valid(window)
    return Pixels(tile, window, valid, inputs.read(tile.read) if image and valid.any() else None)
