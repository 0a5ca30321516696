"""What is cut out around the clicks for learning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.clicks import Clicks
from napari_disca.inputs import NetworkInput
from napari_disca.tiling import Tiling, Window


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A small training example: pixels, and the clicks on them.

    Attributes
    ----------
    window : Window
        On the network's grid.
    image : (bands, height, width) array of float32
        Scaled as the card says.
    guidance : (classes, height, width) array of float32
        The clicks as the network would see them in DISIR mode.
    valid : (height, width) array of bool
    rows, cols, labels : (clicks,) arrays
        Clicked pixels, counted from the crop's corner, and their classes.
    """

    window: Window
    image: NDArray[np.float32]
    guidance: NDArray[np.float32]
    valid: NDArray[np.bool_]
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    labels: NDArray[np.intp]


def cut(inputs: NetworkInput, clicks: Clicks, window: Window) -> Crop:
    """Crop of one window.

    Parameters
    ----------
    inputs : NetworkInput
    clicks : Clicks
        All clicks, on the network's grid.
    window : Window
        On the network's grid.
    """
    card = inputs.card
    rows, cols, labels = clicks.inside(window).arrays()
    return Crop(
        window=window,
        image=inputs.read(window),
        guidance=card.guidance.draw(clicks, window, len(card.classes), inputs.shape),
        valid=inputs.valid(window),
        rows=rows - window.top,
        cols=cols - window.left,
        labels=labels,
    )


def tiles_with_clicks(clicks: Clicks, tiling: Tiling) -> list[Window]:
    """Return windows of the tiles that keep a click, as in the paper.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    tiling : Tiling
    """
    tiles = {tile.index: tile.read for tile in (tiling.keeping(c.pixel) for c in clicks)}
    return [tiles[index] for index in sorted(tiles)]


def windows_around(clicks: Clicks, size: int, shape: tuple[int, int]) -> list[Window]:
    """Square windows centred on clicks until each click has enough context.

    A click that lies in the inner half of a window already chosen needs none of its own. The
    windows depend on the set of clicks, not on the order in which they were made.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    size : int
        Side in pixels; smaller where the raster is.
    shape : (int, int)
        The raster's height and width.
    """
    height, width = min(size, shape[0]), min(size, shape[1])
    chosen: list[Window] = []
    inner: list[Window] = []
    for row, col in sorted(click.pixel for click in clicks):
        if any((row, col) in window for window in inner):
            continue
        top = min(max(0, row - height // 2), shape[0] - height)
        left = min(max(0, col - width // 2), shape[1] - width)
        window = Window(top, left, height, width)
        chosen.append(window)
        # What is at the raster's border has no more context to give: it counts as inner.
        core = Window.from_bounds(
            top + height // 4 if top > 0 else 0,
            left + width // 4 if left > 0 else 0,
            top + height - height // 4 if top + height < shape[0] else shape[0],
            left + width - width // 4 if left + width < shape[1] else shape[1],
        )
        inner.append(core)
    return chosen
