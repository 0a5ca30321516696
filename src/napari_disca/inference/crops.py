"""Crops: training examples that are cut out of the image around clicks."""

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


class CropFeatures(NamedTuple):
    """Features that the pretrained network gives for a crop without clicks.

    Attributes
    ----------
    features : Features
        `Network.condensed`, on the CPU, in the precision of the forward pass.
    box : Window
        The part of the crop, relative to its corner, for which they can be decoded.
    """

    features: Features
    box: Window


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """A training example: pixels of a window, and the clicks on them.

    Attributes
    ----------
    window : Window
        On the network's grid.
    image : (bands, height, width) array of float32
        Scaled as the card says.
    guidance : (classes, height, width) array of float32
        Guidance drawn from the clicks.
    valid : (height, width) array of bool
        Where the image has data.
    rows, cols, labels : (clicks,) arrays
        The crop's own clicks: pixels relative to its corner, and their classes.
    checked_rows, checked_cols, checked_labels : (pixels,) arrays
        Pixels of checked areas, in the same way.
    features : CropFeatures or None
        Of the pretrained network, if they were computed before.
    """

    window: Window
    image: NDArray[np.float32]
    guidance: NDArray[np.float32]
    valid: NDArray[np.bool_]
    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    labels: NDArray[np.intp]
    checked_rows: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    checked_cols: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    checked_labels: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    features: CropFeatures | None = None


def cut_crops(
    network_view: NetworkView,
    clicks: Clicks,
    windows: Sequence[Window],
    checked: Clicks | None = None,
    anchors: Sequence[Window] = (),
) -> Job[list[Crop]]:
    """Job that cuts crops out of windows; every click goes into one of them.

    Parameters
    ----------
    network_view : NetworkView
    clicks : Clicks
        All clicks, on the network's grid.
    windows : sequence of Window
        On the network's grid. Where they overlap, a click goes to the one with most context
        around it, so that no click counts twice.
    checked : Clicks, optional
        Pixels of checked areas with their classes, distributed in the same way.
    anchors : sequence of Window, optional
        Windows that become crops even without clicks, if the image has data there.

    Returns
    -------
    list of Crop
        Clicks and checked pixels at which the image has no data are left out.

    Yields
    ------
    Progress
    """
    always = set(anchors)
    windows = [*windows, *sorted(always.difference(windows), key=lambda w: (w.top, w.left))]
    owned = _owned(network_view, clicks, windows)
    owned_checked = _owned(network_view, checked or Clicks(), windows)
    crops = []
    for done, (window, own, sure) in enumerate(zip(windows, owned, owned_checked, strict=True)):
        yield Progress("reading around the clicks", done, len(windows))
        is_anchor = window in always
        if own or sure or is_anchor:
            crop = _crop(network_view, clicks, window, own, sure, is_anchor=is_anchor)
            crops += [crop] if crop is not None else []
    return crops


def _crop(
    network_view: NetworkView,
    clicks: Clicks,
    window: Window,
    own: Sequence[Click],
    checked: Sequence[Click],
    *,
    is_anchor: bool,
) -> Crop | None:
    """Return the crop of a window with some of the clicks; None if none of them is on data."""
    card, valid = network_view.card, network_view.valid(window)
    rows, cols, labels = _with_data(own, window, valid)
    checked_rows, checked_cols, checked_labels = _with_data(checked, window, valid)
    if not (len(labels) or len(checked_labels) or (is_anchor and valid.any())):
        return None
    return Crop(
        window=window,
        image=network_view.read(window),
        guidance=card.guidance.draw(clicks, window, len(card.classes), network_view.shape),
        valid=valid,
        rows=rows,
        cols=cols,
        labels=labels,
        checked_rows=checked_rows,
        checked_cols=checked_cols,
        checked_labels=checked_labels,
    )


def _with_data(
    clicks: Sequence[Click], window: Window, valid: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns relative to the window's corner, and labels, of clicks on valid pixels."""
    rows, cols, labels = Clicks(tuple(clicks)).arrays()
    rows, cols = rows - window.top, cols - window.left
    on_data = valid[rows, cols]
    return rows[on_data], cols[on_data], labels[on_data]


def _owned(
    network_view: NetworkView, clicks: Clicks, windows: Sequence[Window]
) -> list[list[Click]]:
    """Clicks that go to each window."""
    owned: list[list[Click]] = [[] for _ in windows]
    sides = np.array([(w.top, w.left, w.bottom, w.right) for w in windows]).reshape(-1, 4)
    # A raster's edge does not limit the context: there is nothing beyond it.
    ends = np.hstack([sides[:, :2] <= 0, sides[:, 2:] >= network_view.shape])
    for click in clicks:
        shown = np.hstack([click.pixel - sides[:, :2], sides[:, 2:] - 1 - click.pixel])
        margins = np.where(ends, max(network_view.shape), shown).min(axis=1)
        margins[(shown < 0).any(axis=1)] = -1  # not inside
        if len(margins) and margins.max() >= 0:
            owned[int(margins.argmax())].append(click)
    return owned


def tiles_with_clicks(clicks: Clicks, tiling: Tiling) -> list[Window]:
    """Return the read windows of the tiles that keep a click, as in Lenczner et al. (2020).

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    tiling : Tiling
    """
    tiles = {tile.index: tile.read for tile in (tiling.tile_at(c.pixel) for c in clicks)}
    return [tiles[index] for index in sorted(tiles)]


def windows_around(clicks: Clicks, size: int, shape: tuple[int, int]) -> list[Window]:
    """Return square windows centred on clicks, so that each click has context in one of them.

    A click in the inner half of a window that was chosen before gets none of its own. The
    windows depend on the set of clicks, not on the order in which they were made.

    Parameters
    ----------
    clicks : Clicks
        On the network's grid.
    size : int
        Side in pixels, or the raster's side if that is smaller.
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
        # Beyond the raster's edge there is no context, so pixels at the edge count as inner.
        core = Window.from_bounds(
            top + height // 4 if top > 0 else 0,
            left + width // 4 if left > 0 else 0,
            top + height - height // 4 if top + height < shape[0] else shape[0],
            left + width - width // 4 if left + width < shape[1] else shape[1],
        )
        inner.append(core)
    return chosen
