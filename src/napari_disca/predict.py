"""Network + image + clicks -> patches of a label map, tile by tile.

A tile's labels depend on its own pixels, the clicks that reach into it, and the weights, and on
nothing else. So a map that is refreshed where clicks changed equals one made from scratch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from napari_disca.canvas import NO_DATA
from napari_disca.clicks import Clicks
from napari_disca.compute import Compute
from napari_disca.inputs import NetworkInput
from napari_disca.networks import Network
from napari_disca.tiling import Tile, Tiling, Window

#: Tiles of 512 pixels that overlap by 128, Lenczner et al. (2020), section 4.1.
TILE_SIZE, TILE_HALO = 512, 64


def tiling_for(inputs: NetworkInput) -> Tiling:
    """Tiles of the paper on the network's grid of an image."""
    return Tiling(inputs.shape, TILE_SIZE, TILE_HALO)


@dataclass(frozen=True)
class TileClicks:
    """The clicks that reach into each tile, on the network's grid.

    Parameters
    ----------
    by_tile : mapping of int to Clicks
        Tile index -> its clicks; tiles that no click reaches are absent.
    """

    by_tile: Mapping[int, Clicks]

    @classmethod
    def assign(cls, clicks: Clicks, inputs: NetworkInput, tiling: Tiling) -> TileClicks:
        """Find the tiles of every click.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = inputs.card.guidance
        there = inputs.network_clicks(clicks)
        touched = {
            tile.index: tile
            for click in there
            for tile in tiling.touching(Window(click.row, click.col, 1, 1).grown(guidance.reach))
        }
        return cls({i: guidance.relevant(there, tile.read) for i, tile in touched.items()})

    def of(self, tile: Tile) -> Clicks:
        """Clicks that reach into this tile."""
        return self.by_tile.get(tile.index, Clicks())

    def state(self, weights: str, tile: Tile) -> str:
        """Fingerprint of what a tile's labels depend on besides its pixels.

        Parameters
        ----------
        weights : str
            Fingerprint of the network.
        """
        clicks = self.of(tile)
        if not clicks:
            return weights
        digest = hashlib.blake2b(np.stack(clicks.arrays()).tobytes(), digest_size=8)
        return f"{weights}+{digest.hexdigest()}"


class Predictor:
    """Turns tiles into labels with one network, device and precision.

    Parameters
    ----------
    network : Network
        Moved to the device on a copy if it is not there; the one received is left as it was.
    inputs : NetworkInput
    compute : Compute
    """

    def __init__(self, network: Network, inputs: NetworkInput, compute: Compute) -> None:
        self._network = network
        self._inputs = inputs
        self._compute = compute

    def labels(self, tile: Tile, clicks: Clicks) -> tuple[Window, NDArray[np.uint8]]:
        """Class ids of a tile.

        Parameters
        ----------
        tile : Tile
            On the network's grid.
        clicks : Clicks
            Those of `TileClicks.of`.

        Returns
        -------
        Window
            The kept pixels, on the image's grid.
        (height, width) array of uint8
            Class ids; 255 where the image has no data.
        """
        window = self._inputs.image_window(tile.keep)
        valid = self._inputs.raster.valid(window)
        labels = np.full(window.shape, NO_DATA, dtype=np.uint8)
        if valid.any():
            logits = self.logits(tile.read, clicks)
            if self._inputs.factor == 1.0:
                kept = logits[(slice(None), *tile.keep.relative_to(tile.read).slices)]
                best = kept.argmax(dim=0).to(torch.uint8).numpy()
            else:
                on_image = self._inputs.to_image(logits.numpy(), tile.read, window)
                best = on_image.argmax(axis=0).astype(np.uint8)
            labels[valid] = best[valid]
        return window, labels

    @torch.inference_mode()
    def logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
        """Logits ``(classes, height, width)`` of a window of the network's grid, on the CPU."""
        card = self._inputs.card
        image = torch.from_numpy(self._inputs.read(read))[None]
        drawn = card.guidance.draw(clicks, read, len(card.classes), self._inputs.shape)
        guidance = torch.from_numpy(drawn)[None]
        device = self._compute.device
        with self._compute.autocast():
            logits = self._network(
                image.to(device, memory_format=torch.channels_last),
                guidance.to(device, memory_format=torch.channels_last),
            )
        result: torch.Tensor = logits[0].float().cpu()
        return result
