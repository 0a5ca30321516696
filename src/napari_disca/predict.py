"""Network + image + clicks -> patches of a label map, tile by tile.

A tile's labels depend on its own pixels, the clicks that reach into it, and the weights, and on
nothing else. So a map that is refreshed where clicks changed equals one made from scratch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from napari_disca.canvas import NO_DATA
from napari_disca.clicks import Click, Clicks
from napari_disca.compute import Compute
from napari_disca.errors import RasterError, out_of_memory
from napari_disca.events import Note
from napari_disca.inputs import NetworkInput
from napari_disca.networks import Network
from napari_disca.tiling import Tile, Tiling, Window

#: Tiles of 512 pixels that overlap by 128, Lenczner et al. (2020), section 4.1.
TILE_SIZE, TILE_HALO = 512, 64
#: Some 10^11 pixels.
_MOST_TILES, _LONGEST_SIDE = 1 << 20, 1 << 28


def tiling_for(inputs: NetworkInput) -> Tiling:
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


@dataclass(frozen=True)
class TileClicks:
    """The clicks that reach into each tile, on the network's grid.

    Parameters
    ----------
    by_tile : mapping of int to Clicks
        Tile index -> its clicks; tiles that no click reaches are absent.
    clicks : Clicks
        All of them, in pixels of the image.
    """

    by_tile: Mapping[int, Clicks]
    clicks: Clicks = field(default_factory=Clicks)
    #: Tile index -> fingerprint of its clicks, once it was asked for.
    _digests: dict[int, str] = field(default_factory=dict, repr=False, compare=False)

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
        touched = _touched(there, inputs, tiling)
        return cls({i: guidance.relevant(there, tile.read) for i, tile in touched.items()}, clicks)

    def updated(self, clicks: Clicks, inputs: NetworkInput, tiling: Tiling) -> TileClicks:
        """`assign` of other clicks; only the tiles that a difference touches are looked at.

        So the thousandth click costs what the first one did.

        Parameters
        ----------
        clicks : Clicks
            In pixels of the image.
        """
        guidance = inputs.card.guidance
        if guidance.drawing != "cone":
            # In the authors' drawing a click can matter in tiles far from it, through others.
            return TileClicks.assign(clicks, inputs, tiling)
        gone, come, at_end = _difference(self.clicks, clicks)
        added = inputs.network_clicks(Clicks(come))
        touched = _touched(added, inputs, tiling)
        if gone:
            touched |= _touched(inputs.network_clicks(Clicks(gone)), inputs, tiling)
        # Behind the others a tile's new clicks can be put without a look at the rest.
        behind = at_end and not gone
        there = added if behind else inputs.network_clicks(clicks)
        by_tile, digests = dict(self.by_tile), dict(self._digests)
        for index, tile in touched.items():
            digests.pop(index, None)
            near = guidance.relevant(there, tile.read)
            if behind:
                near = by_tile.get(index, Clicks()).added(*near)
            if near:
                by_tile[index] = near
            else:
                by_tile.pop(index, None)
        return TileClicks(by_tile, clicks, digests)

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
        if tile.index not in self.by_tile:
            return weights
        digest = self._digests.get(tile.index)
        if digest is None:
            stacked = np.stack(self.by_tile[tile.index].arrays())
            digest = hashlib.blake2b(stacked.tobytes(), digest_size=8).hexdigest()
            self._digests[tile.index] = digest
        return f"{weights}+{digest}"


def _touched(clicks: Clicks, inputs: NetworkInput, tiling: Tiling) -> dict[int, Tile]:
    """Tiles that clicks on the network's grid reach into, by index."""
    reach = inputs.card.guidance.reach
    return {
        tile.index: tile
        for click in clicks
        for tile in tiling.touching(Window(click.row, click.col, 1, 1).grown(reach))
    }


def _difference(before: Clicks, after: Clicks) -> tuple[tuple[Click, ...], tuple[Click, ...], bool]:
    """Clicks that went, those that came, and whether these are the last ones.

    What both begin and end with is left out. That is a look at each pair, but by identity: one
    verb changes one click, and the others stay the same objects.
    """
    old, new = before.items, after.items
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] is not new[i] and old[i] != new[i]), most)
    end = next((i for i in range(most - start) if old[-1 - i] is not new[-1 - i]), most - start)
    return old[start : len(old) - end], new[start : len(new) - end], end == 0


class Predictor:
    """Turns tiles into labels with one network, device and precision.

    Where the device's memory is full it goes on on the CPU, and has a `Note` to say so. Tiles go
    one by one, so there is no smaller batch to try; what torch kept for later is given back first.

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
        self._notes: list[Note] = []

    def notes(self) -> list[Note]:
        """What the user has not been told yet."""
        told, self._notes = self._notes, []
        return told

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

    def logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
        """Logits ``(classes, height, width)`` of a window of the network's grid, on the CPU."""
        for again in (True, False):
            try:
                return self._logits(read, clicks)
            except RuntimeError as error:
                if self._compute.last_resort or not out_of_memory(error):
                    raise
                self._compute.free()
                if again:
                    continue  # others may have taken the memory for a moment
            # Not in the handler: the error holds on to the tensors of the failed attempt.
            self._move_to_cpu()
        return self._logits(read, clicks)

    def _move_to_cpu(self) -> None:
        device = self._compute.device.type
        self._compute = self._compute.on_cpu()
        self._network = deepcopy(self._network).to(self._compute.device)
        self._notes.append(Note(f"The memory of the {device} device is full: going on on the CPU"))

    @torch.inference_mode()
    def _logits(self, read: Window, clicks: Clicks) -> torch.Tensor:
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
