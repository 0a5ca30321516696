"""Batches of tiles: their pixels and guidance on the device, and cached outputs of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.shared_cache import SharedCache
from napari_disca.core.tiling import Window
from napari_disca.inference.composition import Decode, Source, logits_of
from napari_disca.inference.features import FeatureCache, to_half
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.prepared_networks import PreparedNetworks
from napari_disca.inference.tile_clicks import clicks_digest
from napari_disca.inference.tiles import Pixels
from napari_disca.networks import Features, Network
from napari_disca.networks.compute import Compute

#: Most pixels whose class is remembered.
_SEEN = 4096
#: Side of the window around a click that a network reads to predict the click's pixel.
_AROUND = 256
#: A tile, and the clicks that reach into it.
TileInput: TypeAlias = tuple[Pixels, Clicks]


@dataclass(frozen=True)
class Tools:
    """The view of an image and the caches that batches of its tiles share.

    Attributes
    ----------
    network_view : NetworkView
    networks : PreparedNetworks
    features : FeatureCache or None
        Features of tiles without clicks, of sources with a fingerprint of their encoder.
    condensed : FeatureCache or None
        Condensed features of tiles without clicks, of sources with a fingerprint of their
        weights. They are a fifth as large as features.
    logits : FeatureCache or None
        Outputs for tiles with clicks, of sources with a name. The next click in the tile needs
        some of them again, and so does a second map.
    seen : SharedCache
        Predicted classes of single pixels by network, for `Batch.corrected_classes`.
    """

    network_view: NetworkView
    networks: PreparedNetworks = field(default_factory=PreparedNetworks)
    features: FeatureCache | None = None
    condensed: FeatureCache | None = None
    logits: FeatureCache | None = None
    seen: SharedCache[tuple[int, str, int, int], int] = field(
        default_factory=lambda: SharedCache(_SEEN), repr=False, compare=False
    )


@dataclass(frozen=True)
class Batch:
    """Tiles with the same `Predictor.batch_key`, at most `Compute.batch` of them; a `TileBatch`.

    A batch is always filled up to its size with zeros; see `Compute.batch`.

    Parameters
    ----------
    asked : sequence of (Pixels, Clicks)
    box : Window
        Window of each tile that is decoded, relative to its read window.
    clicked : bool
        Whether the tiles have clicks.
    compute : Compute
    tools : Tools
    usual : bool
        Whether `box` is the window of tiles without clicks; only then features are cached.
    """

    asked: Sequence[TileInput]
    box: Window
    clicked: bool
    compute: Compute
    tools: Tools
    usual: bool = True

    def run(
        self,
        source: Source,
        *,
        guided: bool,
        decode: Decode = logits_of,
        condensed: bool = False,
    ) -> tuple[Tensor, ...]:
        """Return a network's outputs for the tiles; see `TileBatch`."""
        condensed = condensed or decode is logits_of
        if self.clicked:
            return self._cached_logits(source, guided, decode, condensed)
        network = self.tools.networks.get(source.network, self.compute)
        features = self._features(source, network, guided=False, condensed=condensed)
        return decode(network, features, self.box)

    def _features(
        self, source: Source, network: Network, *, guided: bool, condensed: bool
    ) -> Features:
        """Features of all tiles, from the cache if they can be cached.

        Features that can be cached are always rounded to half precision, so that a map does not
        depend on what is in the cache.
        """
        if condensed and not guided and source.encoder and network.condenses:
            return self.condensed(source)
        plain = source.encoder and (not guided or network.encoder_is_frozen)
        if not plain:
            guidance = self._guidance if guided else None
            return network.features(self._images, guidance, self.box)
        found = self._cached_features(
            self.tools.features, source.encoder, partial(_encoded, network)
        )
        return network.with_clicks(found, self._guidance, self.box) if guided else found

    def condensed(self, source: Source) -> Features:
        """Condensed features of all tiles without clicks; see `Network.condensed`."""
        network = self.tools.networks.get(source.network, self.compute)

        def made(part: Batch) -> Features:
            features = part._features(source, network, guided=False, condensed=False)
            return network.condensed(features, part.box)

        return self._cached_features(
            self.tools.condensed if source.weights else None, source.weights, made
        )

    def corrected_classes(self, source: Source, plain: Tensor) -> Tensor:
        """Return the classes that the clicks of each tile correct the map to; see `TileBatch`.

        The pixel of a click outside the decoded window is predicted from a window around it,
        which is the same for all tiles that the click reaches into.
        """
        corrected = torch.zeros(plain.shape[:2], dtype=torch.bool)
        best = plain.argmax(dim=1).cpu()
        for i, (pixels, clicks) in enumerate(self.asked):
            box = self.box.placed_in(pixels.tile.read)
            for click in clicks:
                if click.pixel in box:
                    said = int(best[i, click.row - box.top, click.col - box.left])
                else:
                    said = self._class_at(source, click.pixel)
                if said != click.label:
                    corrected[i, click.label] = True
        return corrected.to(plain.device)

    def _class_at(self, source: Source, pixel: tuple[int, int]) -> int:
        """Class that a network predicts for a pixel from a window around it, without clicks."""
        key = id(source.network), source.name, *pixel
        label = self.tools.seen.get(key)
        if label is None:
            network_view = self.tools.network_view
            window = Window(pixel[0] - _AROUND // 2, pixel[1] - _AROUND // 2, _AROUND, _AROUND)
            window = window & Window.whole(network_view.shape)
            image = torch.from_numpy(network_view.read(window))[None].to(
                self.compute.device, memory_format=torch.channels_last
            )
            network = self.tools.networks.get(source.network, self.compute)
            at = Window(pixel[0] - window.top, pixel[1] - window.left, 1, 1)
            logits = network.decode_window(network.features(image, None, at), at)
            label = int(logits[0, :, 0, 0].argmax())
            self.tools.seen.put(key, label)
        return label

    def _cached_logits(
        self, source: Source, guided: bool, decode: Decode, condensed: bool
    ) -> tuple[Tensor, ...]:
        """Outputs for tiles with clicks, from the cache if it has those of all tiles."""
        cache = self.tools.logits if source.name else None
        box = self.box
        # The decoded window is part of the key, because it depends on the clicks, too.
        part = f"{source.name}@{box.top},{box.left},{box.bottom},{box.right}"
        keys = [
            (f"{part}+{clicks_digest(clicks)}" if guided else part, pixels.tile.index)
            for pixels, clicks in self.asked
        ]
        if cache is not None:
            cached = [found for key in keys if (found := cache.get(key)) is not None]
            if len(cached) == len(self.asked):
                parts = zip(*cached, strict=True)
                return tuple(torch.cat(part).to(self.compute.device) for part in parts)
        network = self.tools.networks.get(source.network, self.compute)
        features = self._features(source, network, guided=guided, condensed=condensed)
        said = tuple(part[: len(self.asked)] for part in decode(network, features, box))
        if cache is not None:
            for i, key in enumerate(keys):
                cache.put(key, tuple(part[i : i + 1].cpu() for part in said))
        return said

    def _cached_features(
        self, cache: FeatureCache | None, name: str, make: Callable[[Batch], Features]
    ) -> Features:
        """Features of tiles without clicks in half precision; computed only where not cached."""
        if cache is None or not self.usual:
            found = to_half(make(self), self.compute.dtype)
            return tuple(
                layer.to(self.compute.dtype, memory_format=torch.channels_last) for layer in found
            )
        keys = [(name, pixels.tile.index) for pixels, _ in self.asked]
        by_key = {key: features for key in keys if (features := cache.get(key)) is not None}
        missing = [one for key, one in zip(keys, self.asked, strict=True) if key not in by_key]
        if missing:
            made = to_half(make(replace(self, asked=missing)), self.compute.dtype)
            for i, (pixels, _) in enumerate(missing):
                features = tuple(layer[i : i + 1].cpu() for layer in made)
                by_key[name, pixels.tile.index] = features
                cache.put((name, pixels.tile.index), features)
        one = [by_key[key] for key in keys]
        one += [one[-1]] * (self.compute.batch - len(one))
        # Always the same memory format: a convolution may round differently in another.
        return tuple(
            torch.cat(parts).to(
                self.compute.device, self.compute.dtype, memory_format=torch.channels_last
            )
            for parts in zip(*one, strict=True)
        )

    @cached_property
    def _images(self) -> Tensor:
        return self._images_of(self.asked)

    def _images_of(self, asked: Sequence[TileInput]) -> Tensor:
        """Scaled pixels of tiles as a batch on the device."""
        images = [
            self.tools.network_view.read(pixels.tile.read) if pixels.image is None else pixels.image
            for pixels, _ in asked
        ]
        return _filled(images, self.compute)

    @cached_property
    def _guidance(self) -> Tensor:
        network_view = self.tools.network_view
        card, shape = network_view.card, network_view.shape
        drawn = [
            card.guidance.draw(clicks, pixels.tile.read, len(card.classes), shape)
            for pixels, clicks in self.asked
        ]
        return _filled(drawn, self.compute)


def _encoded(network: Network, part: Batch) -> Features:
    return network.features(part._images, None, part.box)


def _filled(arrays: Sequence[NDArray[np.float32]], compute: Compute) -> Tensor:
    """Arrays as a channels-last batch of constant size, which is filled up with zeros."""
    if compute.batch == 1:
        stacked = torch.from_numpy(arrays[0])[None]
    else:
        stacked = torch.zeros(compute.batch, *arrays[0].shape)
        for i, array in enumerate(arrays):
            stacked[i] = torch.from_numpy(array)
    return stacked.to(compute.device, memory_format=torch.channels_last)
