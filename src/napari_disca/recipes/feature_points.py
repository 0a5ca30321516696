"""Points of an image in the feature space of a network: their features, logits and labels.

`napari_disca.recipes.function_space` compares points that were clicked with all others.
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

#: Clicks and checked pixels that the recipe solves for, at most; `thinned` chooses them.
_MOST_POINTS = 512


@dataclass(frozen=True, slots=True, eq=False)
class FeaturePoints:
    """Points of an image with their observations.

    Attributes
    ----------
    features : (n, d) tensor of float32
        From `Network.similarity_features`.
    logits : (n, classes) tensor of float32
        Of the pretrained network, without guidance.
    labels : (n,) tensor of int64
        Classes that the user has given.
    noise : (n,) tensor of float32
        Variance of the observations.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    noise: Tensor

    def chosen(self, index: Tensor) -> FeaturePoints:
        """Return some of the points.

        Parameters
        ----------
        index : (m,) tensor of int64 or (n,) tensor of bool
        """
        return FeaturePoints(
            self.features[index], self.logits[index], self.labels[index], self.noise[index]
        )


@dataclass(frozen=True, slots=True, eq=False)
class ImageFacts:
    """Facts about an image that do not depend on the clicks.

    Attributes
    ----------
    anchors : FeaturePoints
        Their labels have no meaning.
    sample : (n, d) tensor of float32
        Features of points that are spread over the image.
    pixels : int
        Number of pixels of the image on the network's grid.
    """

    anchors: FeaturePoints
    sample: Tensor
    pixels: int


def joined(parts: Sequence[FeaturePoints]) -> FeaturePoints:
    """Return the points of several objects in one."""
    return FeaturePoints(
        torch.cat([part.features for part in parts]),
        torch.cat([part.logits for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.noise for part in parts]),
    )


@dataclass(frozen=True, slots=True, eq=False)
class CropView:
    """Features and logits of a crop by the pretrained network.

    Attributes
    ----------
    features : (d, rows, cols) tensor
        From `Network.similarity_features`, one cell for every `stride` pixels.
    logits : (classes, h, w) tensor
        Of the pixels in `box`.
    stride : int
    box : Window
        A window of the crop.
    """

    features: Tensor
    logits: Tensor
    stride: int
    box: Window

    @classmethod
    def of(cls, ready: Network, crop: Crop, compute: Compute) -> CropView:
        """Return the view of a crop.

        Parameters
        ----------
        ready : Network
            From `prepared`, on the device.
        crop : Crop
        compute : Compute
        """
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

    def points(
        self,
        rows: NDArray[np.intp],
        cols: NDArray[np.intp],
        labels: NDArray[np.intp] | None = None,
        *,
        noise: float,
    ) -> FeaturePoints:
        """Return points at pixels of the crop.

        Parameters
        ----------
        rows, cols : (n,) arrays
            Pixels in `box`.
        labels : (n,) array, optional
            Classes that the user has given; 0 by default.
        noise : float
            Variance of all observations.
        """
        row, col = torch.from_numpy(rows), torch.from_numpy(cols)
        given = np.zeros(len(rows), dtype=np.int64) if labels is None else labels.astype(np.int64)
        return FeaturePoints(
            self.features[:, row // self.stride, col // self.stride].T,
            self.logits[:, row - self.box.top, col - self.box.left].T,
            torch.from_numpy(given),
            torch.full((len(rows),), noise),
        )


def thinned(points: FeaturePoints, space: FeatureSpace) -> FeaturePoints:
    """Return at most 512 of the points: each the farthest from those chosen before it.

    Parameters
    ----------
    points : FeaturePoints
    space : FeatureSpace
        In which the distance is measured.
    """
    if len(points.labels) <= _MOST_POINTS:
        return points
    unit = unit_features(points.features, space)
    chosen = [0]
    nearest = unit @ unit[0]
    for _ in range(_MOST_POINTS - 1):
        # The noise is added, so that noisy points come last.
        score = nearest + points.noise
        score[chosen] = math.inf
        chosen.append(int(score.argmin()))
        nearest = torch.maximum(nearest, unit @ unit[chosen[-1]])
    return points.chosen(torch.tensor(sorted(chosen)))


def unit_features(features: Tensor, space: FeatureSpace) -> Tensor:
    """Return the features of points as unit vectors of a feature space.

    Parameters
    ----------
    features : (n, d) tensor
    space : FeatureSpace

    Returns
    -------
    (n, d) tensor
    """
    return space.unit(features.T[None, :, :, None])[0, :, :, 0].T.contiguous()
