"""The pretrained network's condensed features of crops, cached since the map was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.composition import Source
from napari_disca.inference.crops import Crop, CropFeatures
from napari_disca.inference.tile_batch import Batch, Tools
from napari_disca.inference.tiles import Pixels, wanted_window
from napari_disca.networks.compute import Compute


def with_crop_features(
    crops: Sequence[Crop], source: Source, tiling: Tiling, compute: Compute, tools: Tools
) -> Job[list[Crop]]:
    """Job that adds a network's condensed features to the crops that are whole tiles.

    Other crops are returned as they are, and so are all crops if the network has no condensed
    features (`Network.condenses`). Cached features are not computed again.

    Parameters
    ----------
    crops : sequence of Crop
    source : Source
        The pretrained network.
    tiling : Tiling
    compute : Compute
    tools : Tools

    Yields
    ------
    Progress

    Returns
    -------
    list of Crop
    """
    found = []
    for done, crop in enumerate(crops):
        yield Progress("comparing features", done, len(crops))
        tile = _tile_of(crop.window, tiling)
        if tile.read != crop.window or not source.network.condenses:
            found.append(crop)
            continue
        box = wanted_window(tools.network_view, tile).relative_to(tile.read)
        rows, cols = (
            np.concatenate(both)
            for both in ((crop.rows, crop.checked_rows), (crop.cols, crop.checked_cols))
        )
        is_cached_window = all(
            (row, col) in box for row, col in zip(rows.tolist(), cols.tolist(), strict=True)
        )
        if not is_cached_window:  # a click in the halo, beyond the window that is cached
            box = Window.whole(tile.read.shape)
        # Only the tile's index and its read window are used, so the mask may be anything.
        pixels = Pixels(tile, crop.window, np.ones((1, 1), dtype=np.bool_), crop.image)
        with torch.inference_mode(), compute.autocast():
            batch = Batch([(pixels, Clicks())], box, False, compute, tools, is_cached_window)
            features = batch.condensed(source)
        seen = CropFeatures(tuple(layer[:1].cpu() for layer in features), box)
        found.append(replace(crop, features=seen))
    return found


def _tile_of(window: Window, tiling: Tiling) -> Tile:
    """Tile whose read window this is, if there is one; otherwise some other tile."""
    sides = (window.top, window.bottom), (window.left, window.right)
    # A tile keeps its middle, and at the image's edge also what lies at the edge.
    row, col = (
        0 if low <= 0 else (length - 1 if high >= length else (low + high) // 2)
        for (low, high), length in zip(sides, tiling.shape, strict=True)
    )
    return tiling.tile_at((row, col))
