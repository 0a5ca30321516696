"""Places of an image: their features, what the network makes of them, and what the user said.

`napari_disca.recipes.function_space` compares places that were clicked with all others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.core.tiling import Window
from napari_disca.inference.correction import FeatureSpace
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute

#: Clicks and checked pixels that are solved for; of more, those that tell most are chosen.
_MOST_POINTS = 512


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Places of an image, and what is known of them.

    Attributes
    ----------
    features : (n, d) tensor of float32
        Of `Network.similarity_features`.
    logits : (n, classes) tensor of float32
        Of the pretrained network, without clicks.
    labels : (n,) tensor of int64
        What the user said.
    noise : (n,) tensor of float32
        Variance of that.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    noise: Tensor

    def chosen(self, index: Tensor) -> Places:
        """Some of them."""
        return Places(
            self.features[index], self.logits[index], self.labels[index], self.noise[index]
        )


@dataclass(frozen=True, slots=True, eq=False)
class ImageFacts:
    """What is asked of an image once.

    Attributes
    ----------
    anchors : Places
        Their labels mean nothing.
    sample : (n, d) tensor of float32
        Features spread over the image.
    pixels : int
        Size of the image on the network's grid.
    """

    anchors: Places
    sample: Tensor
    pixels: int


def joined(parts: Sequence[Places]) -> Places:
    """All places of some."""
    return Places(
        torch.cat([part.features for part in parts]),
        torch.cat([part.logits for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.noise for part in parts]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class CropView:
    """What the pretrained network makes of a crop: features (d, h, w), logits of a box."""

    features: Tensor
    logits: Tensor
    stride: int
    box: Window

    @classmethod
    def of(cls, ready: Network, crop: Crop, compute: Compute) -> CropView:
        """View by a network that is prepared for the device."""
        with torch.inference_mode(), compute.autocast():
            if crop.features is not None:
                box = crop.features.box
                encoded = tuple(layer.to(compute.device) for layer in crop.features.features)
            else:
                image = torch.from_numpy(crop.image)[None].to(
                    compute.device, memory_format=torch.channels_last
                )
                box = Window.whole((image.shape[-2], image.shape[-1]))
                encoded = ready.features(image, None, box)
            logits = ready.decode_window(encoded, box)[0].float().cpu()
            features = ready.similarity_features(encoded)[0].float().cpu()
        return cls(features, logits, ready.similarity_stride, box)

    def places(
        self,
        rows: NDArray[np.intp],
        cols: NDArray[np.intp],
        labels: NDArray[np.intp] | None = None,
        *,
        noise: float,
    ) -> Places:
        """Places at some pixels of the crop."""
        there = torch.from_numpy(rows), torch.from_numpy(cols)
        cells = there[0] // self.stride, there[1] // self.stride
        told = np.zeros(len(rows), dtype=np.int64) if labels is None else labels.astype(np.int64)
        return Places(
            self.features[:, cells[0], cells[1]].T,
            self.logits[:, there[0] - self.box.top, there[1] - self.box.left].T,
            torch.from_numpy(told),
            torch.full((len(rows),), noise),
        )


def thinned(told: Places, space: FeatureSpace) -> Places:
    """At most `_MOST_POINTS` places: the farthest from those chosen before, in feature space."""
    if len(told.labels) <= _MOST_POINTS:
        return told
    unit = unit_features(told.features, space)
    chosen = [0]
    nearest = unit @ unit[0]
    # A place tells the more the less it looks like what was chosen; noisy ones come last.
    penalty = told.noise
    for _ in range(_MOST_POINTS - 1):
        score = nearest + penalty
        score[chosen] = math.inf
        chosen.append(int(score.argmin()))
        nearest = torch.maximum(nearest, unit @ unit[chosen[-1]])
    return told.chosen(torch.tensor(sorted(chosen)))


def unit_features(features: Tensor, space: FeatureSpace) -> Tensor:
    """Features (n, d) of places as unit vectors of a feature space, (n, d)."""
    return space.unit(features.T[None, :, :, None])[0, :, :, 0].T.contiguous()
