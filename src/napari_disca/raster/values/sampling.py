"""Samples of an image's pixels, for statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Window
from napari_disca.raster.base import Raster

#: Images up to this many pixels are sampled by an overview: every n-th pixel.
_SMALL = 16 << 20
_SIDE = 1024


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of sampled pixels.

    Attributes
    ----------
    pixels : (bands, height, width) array
        In the image's own type.
    valid : (height, width) array of bool
        Where the image has data.
    rows, cols : (height,) array, (width,) array
        Rows and columns of the pixels in the image that `Raster.overview` shows.
    """

    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]


def sample_blocks(raster: Raster, bands: Sequence[int], max_side: int = _SIDE) -> list[Block]:
    """Return rectangles of pixels that represent the whole image.

    A small image gives one overview, a larger one an even lattice of small windows, because the
    overview of a file without stored overviews decodes the whole file.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1.
    max_side : int
        Longest side of the overview in pixels.

    Raises
    ------
    RasterError
        If a band is outside the image, or the file is damaged.
    """
    if raster.shape[0] * raster.shape[1] > _SMALL:
        windows = lattice(raster.shape, 8, 128)
        masks = [raster.valid(window, bands) for window in windows]
        if np.mean([mask.mean() for mask in masks]) >= 0.01:
            return [
                Block(raster.read(window, bands), mask, *places(window, raster))
                for window, mask in zip(windows, masks, strict=True)
            ]
    return [overview_block(raster, bands, max_side)]


def overview_block(raster: Raster, bands: Sequence[int], max_side: int = _SIDE) -> Block:
    """Return every n-th pixel of the whole image.

    Raises
    ------
    RasterError
        If a band is outside the image, or the file is damaged.
    """
    pixels, valid = raster.overview(max_side, bands)
    rows, cols = (
        (2 * np.arange(count) + 1) * side // (2 * count)
        for count, side in zip(valid.shape, raster.overview_shape, strict=True)
    )
    return Block(pixels, valid, rows, cols)


def places(window: Window, raster: Raster) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of a window in the image that `Raster.overview` shows."""
    down, across = raster.origin
    rows = np.arange(window.top, window.bottom) + down
    return rows, np.arange(window.left, window.right) + across


def sample(
    raster: Raster, max_side: int = _SIDE, bands: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the pixels of `sample_blocks` side by side, and where they have data.

    Returns
    -------
    (bands, h, w) array, (h, w) array of bool
    """
    chosen = tuple(range(1, raster.count + 1)) if bands is None else tuple(bands)
    blocks = sample_blocks(raster, chosen, max_side)
    if len(blocks) == 1:
        return blocks[0].pixels, blocks[0].valid
    pixels = np.concatenate([b.pixels.reshape(len(chosen), -1) for b in blocks], axis=1)
    return pixels[:, None], np.concatenate([b.valid.ravel() for b in blocks])[None]


def lattice(shape: tuple[int, int], count: int, side: int) -> list[Window]:
    """Return at most `count` x `count` windows of `side` pixels, evenly spread."""
    height, width = min(side, shape[0]), min(side, shape[1])
    tops = sorted({round(k * (shape[0] - height) / (count - 1)) for k in range(count)})
    lefts = sorted({round(k * (shape[1] - width) / (count - 1)) for k in range(count)})
    return [Window(top, left, height, width) for top in tops for left in lefts]
