"""What is cut out around the clicks for learning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Features


class Seen(NamedTuple):
    """What a network makes of a crop without clicks.

    Attributes
    ----------
    features : Features
        `Network.condensed`, on the CPU, in the precision of the forward pass.
    box : Window
        The part, counted from the crop's corner, that has logits.
    """

    features: Features
    box: Window


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
    seen : Seen or None
        What the pretrained network makes of it, where that is at hand.
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
    seen: Seen | None = None


def cut(
    inputs: NetworkView,
    clicks: Clicks,
    windows: Sequence[Window],
    kept: Clicks | None = None,
    anchors: Sequence[Window] = (),
) -> Job[list[Crop]]:
    """Job that returns crops of some windows; every click belongs to one of them.

    Parameters
    ----------
    inputs : NetworkView
    clicks : Clicks
        All clicks, on the network's grid.
    windows : sequence of Window
        On the network's grid. Where they overlap a click goes to the one that shows most around
        it, so that no click counts twice.
    kept : Clicks, optional
        Pixels of checked areas with their classes, shared out in the same way.
    anchors : sequence of Window, optional
        Windows that are wanted without clicks, too, where the image has data.

    Returns
    -------
    list of Crop
        Without clicks and checked pixels where the image has no data: there is nothing to see.

    Yields
    ------
    Progress
    """
    card = inputs.card
    always = set(anchors)
    windows = [*windows, *sorted(always.difference(windows), key=lambda w: (w.top, w.left))]
    owned = _owned(inputs, clicks, windows)
    checked = _owned(inputs, kept or Clicks(), windows)
    crops = []
    for done, (window, own, sure) in enumerate(zip(windows, owned, checked, strict=True)):
        yield Progress("reading what is around the clicks", done, len(windows))
        if not own and not sure and window not in always:
            continue
        valid = inputs.valid(window)
        rows, cols, labels = _with_data(own, window, valid)
        kept_rows, kept_cols, kept_labels = _with_data(sure, window, valid)
        if not len(labels) and not len(kept_labels) and not (window in always and valid.any()):
            continue
        crops.append(
            Crop(
                window=window,
                image=inputs.read(window),
                guidance=card.guidance.draw(clicks, window, len(card.classes), inputs.shape),
                valid=valid,
                rows=rows,
                cols=cols,
                labels=labels,
                kept_rows=kept_rows,
                kept_cols=kept_cols,
                kept_labels=kept_labels,
            )
        )
    return crops


def _with_data(
    clicks: Sequence[Click], window: Window, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns from the window's corner, and labels, of the clicks on valid pixels."""
    rows, cols, labels = Clicks(tuple(clicks)).arrays()
    rows, cols = rows - window.top, cols - window.left
    known = valid[rows, cols]
    return rows[known], cols[known], labels[known]


def _owned(inputs: NetworkView, clicks: Clicks, windows: Sequence[Window]) -> list[list[Click]]:
    """Clicks of each window."""
    owned: list[list[Click]] = [[] for _ in windows]
    sides = np.array([(w.top, w.left, w.bottom, w.right) for w in windows]).reshape(-1, 4)
    # At the raster's border there is nothing more to show.
    ends = np.hstack([sides[:, :2] <= 0, sides[:, 2:] >= inputs.shape])
    for click in clicks:
        shown = np.hstack([click.pixel - sides[:, :2], sides[:, 2:] - 1 - click.pixel])
        margins = np.where(ends, max(inputs.shape), shown).min(axis=1)
        margins[(shown < 0).any(axis=1)] = -1  # not inside
        if len(margins) and margins.max() >= 0:
            owned[int(margins.argmax())].append(click)
    return owned


def tiles_with_clicks(clicks: Clicks, tiling: Tiling) -> list[Window]:
    """Return windows of the tiles that keep a click, as in the paper.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    tiling : Tiling
    """
    tiles = {tile.index: tile.read for tile in (tiling.tile_at(c.pixel) for c in clicks)}
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
        inner = [window for window in inner if window.bottom > row]  # no other click is above
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
