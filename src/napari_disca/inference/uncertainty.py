"""The uncertainty of a network's labels, averaged over cells of 16 x 16 pixels.

The uncertainty of a pixel is 1 minus the margin between the two best class probabilities (Scheffer
et al. 2001). It is stored as one byte for each cell of the network's grid.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView

#: Side of a cell, in pixels of the network's grid.
CELL = 16
#: Value of a cell whose uncertainty is not known, and of one all of whose pixels are certain.
UNKNOWN, SURE = 0, 1
#: Value of a cell all of whose pixels have two equally likely classes.
TORN = 255
#: Every second pixel, down and across, is evaluated: 64 of a cell.
_STEP = 2


def cells_of(window: Window) -> Window:
    """Return the cells whose first pixel lies in a window of the network's grid.

    Windows that partition the grid give windows of cells that partition all cells.
    """
    return Window.from_bounds(
        -(-window.top // CELL),
        -(-window.left // CELL),
        -(-window.bottom // CELL),
        -(-window.right // CELL),
    )


def uncertainty(
    logits: torch.Tensor, keep: Window, valid: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """Return the uncertainty of the cells of a window.

    Parameters
    ----------
    logits : (classes, height, width) tensor
        Of the window `keep`, at least two classes.
    keep : Window
        On the network's grid.
    valid : (height, width) array of bool, optional
        Where the image has data; other pixels do not count.

    Returns
    -------
    (rows, cols) array of uint8
        One value for each cell of `cells_of`: 1 where all pixels are certain, 255 where all have
        two equally likely classes, 0 where no pixel has data.
    """
    looked_at = _looked_at(keep)
    best = logits[(slice(None), *looked_at)].float().softmax(dim=0).topk(2, dim=0).values
    unsure = (1 - (best[0] - best[1])).cpu().numpy()
    found, count = _means(unsure, None if valid is None else valid[looked_at])
    values = SURE + np.rint(np.nan_to_num(found) * (TORN - SURE))
    return np.where(count > 0, values, UNKNOWN).astype(np.uint8)


def cell_share(mask: NDArray[np.bool_], keep: Window) -> NDArray[np.float32]:
    """Return the share of each cell's pixels that a mask marks, 0 to 1.

    Parameters
    ----------
    mask : (height, width) array of bool
        Of the window `keep` of the network's grid.
    keep : Window

    Returns
    -------
    (rows, cols) array of float32
    """
    return _means(mask[_looked_at(keep)].astype(np.float32), None)[0]


def mixed_uncertainty(
    some: NDArray[np.uint8], others: NDArray[np.uint8], part: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return the uncertainty of cells whose pixels two networks have predicted.

    Parameters
    ----------
    some, others : (rows, cols) array of uint8
        Uncertainties of the two networks, of `uncertainty`.
    part : (rows, cols) array of float32
        Share of each cell's pixels that the first network has predicted, 0 to 1.

    Returns
    -------
    (rows, cols) array of uint8
        Means weighted by the shares; where one of both is not known, the other.
    """
    mean = np.rint(part * some + (1 - part) * others).astype(np.uint8)
    return np.where(some == UNKNOWN, others, np.where(others == UNKNOWN, some, mean))


def with_certain_cells(
    unsure: NDArray[np.uint8],
    fixed: NDArray[np.bool_],
    window: Window,
    keep: Window,
    network_view: NetworkView,
) -> NDArray[np.uint8]:
    """Return uncertainty in which cells whose pixels the user has labelled count as certain.

    Parameters
    ----------
    unsure : (rows, cols) array of uint8
        Of `uncertainty`.
    fixed : (height, width) array of bool
        Pixels of `window`, on the image's grid, that are labelled; half a cell is enough.
    window, keep : Window
        See `on_network`.
    """
    if not fixed.any():
        return unsure
    sure = cell_share(on_network(~fixed, window, keep, network_view), keep) <= 0.5
    return np.where(sure, np.minimum(unsure, np.uint8(SURE)), unsure)


def on_network(
    mask: NDArray[np.bool_], window: Window, keep: Window, network_view: NetworkView
) -> NDArray[np.bool_]:
    """Resample a mask from the image's grid to the network's grid.

    Parameters
    ----------
    mask : (height, width) array of bool
        Of `window`, on the image's grid.
    keep : Window
        The same area on the network's grid, see `NetworkView.image_window`.

    Returns
    -------
    (keep.height, keep.width) array of bool
        For each pixel the value of the image's pixel at its centre.
    """
    if not network_view.resampled:
        return mask
    rows, cols = (
        np.clip((2 * np.arange(start, stop) + 1) * image // (2 * network) - first, 0, length - 1)
        for start, stop, image, network, first, length in (
            (
                keep.top,
                keep.bottom,
                network_view.raster.shape[0],
                network_view.shape[0],
                window.top,
                len(mask),
            ),
            (
                keep.left,
                keep.right,
                network_view.raster.shape[1],
                network_view.shape[1],
                window.left,
                mask.shape[1],
            ),
        )
    )
    return mask[np.ix_(rows, cols)]


def _looked_at(keep: Window) -> tuple[slice, slice]:
    """Slices of the pixels of a window that are evaluated, from its first cell on."""
    return slice(-keep.top % CELL, None, _STEP), slice(-keep.left % CELL, None, _STEP)


def _means(
    values: NDArray[np.float32], valid: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Means over cells, the last of which may be cut off, and the numbers of pixels in them."""
    side = CELL // _STEP
    shape = tuple(-(-length // side) * side for length in values.shape)
    padded = np.zeros((2, *shape), dtype=np.float32)
    level = padded[:, : values.shape[0], : values.shape[1]]
    level[0], level[1] = values, True
    if valid is not None:
        level *= valid
    sums, count = padded.reshape(2, shape[0] // side, side, shape[1] // side, side).sum((2, 4))
    return sums / np.maximum(count, 1), count
