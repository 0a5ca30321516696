"""What is cut out around the clicks for learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_disca.clicks import Click, Clicks
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
        The crop's own clicks: pixels counted from its corner, and their classes.
    kept_rows, kept_cols, kept_labels : (pixels,) arrays
        Pixels whose class the user has checked, as well.
    """

    window: Window
    image: NDArray[np.float32]
    guidance: NDArray[np.float32]
    valid: NDArray[np.bool_]
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    labels: NDArray[np.intp]
    kept_rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    kept_cols: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    kept_labels: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))


def cut(
    inputs: NetworkInput, clicks: Clicks, windows: Sequence[Window], kept: Clicks | None = None
) -> list[Crop]:
    """Crops of some windows; every click belongs to one of them.

    Parameters
    ----------
    inputs : NetworkInput
    clicks : Clicks
        All clicks, on the network's grid.
    windows : sequence of Window
        On the network's grid. Where they overlap a click goes to the one that shows most around
        it, so that no click counts twice.
    kept : Clicks, optional
        Pixels of checked areas with their classes, shared out in the same way.
    """
    card = inputs.card
    owned = _owned(inputs, clicks, windows)
    checked = _owned(inputs, kept or Clicks(), windows)
    crops = []
    for window, own, sure in zip(windows, owned, checked, strict=True):
        if not own and not sure:
            continue
        rows, cols, labels = Clicks(tuple(own)).arrays()
        kept_rows, kept_cols, kept_labels = Clicks(tuple(sure)).arrays()
        crops.append(
            Crop(
                window=window,
                image=inputs.read(window),
                guidance=card.guidance.draw(clicks, window, len(card.classes), inputs.shape),
                valid=inputs.valid(window),
                rows=rows - window.top,
                cols=cols - window.left,
                labels=labels,
                kept_rows=kept_rows - window.top,
                kept_cols=kept_cols - window.left,
                kept_labels=kept_labels,
            )
        )
    return crops


def _owned(inputs: NetworkInput, clicks: Clicks, windows: Sequence[Window]) -> list[list[Click]]:
    """Clicks of each window."""
    owned: list[list[Click]] = [[] for _ in windows]
    for click in clicks:
        margins = [_margin(window, click, inputs.shape) for window in windows]
        if margins and max(margins) >= 0:
            owned[margins.index(max(margins))].append(click)
    return owned


def _margin(window: Window, click: Click, shape: tuple[int, int]) -> int:
    """Pixels shown around a click on its closest side that goes on; -1 if it is not inside."""
    if click.pixel not in window:
        return -1
    beyond = max(shape)  # at the raster's border there is nothing more to show
    return min(
        click.row - window.top if window.top > 0 else beyond,
        window.bottom - 1 - click.row if window.bottom < shape[0] else beyond,
        click.col - window.left if window.left > 0 else beyond,
        window.right - 1 - click.col if window.right < shape[1] else beyond,
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
