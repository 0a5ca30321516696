"""Which pixels an adapted network counts for: those whose features resemble a click's.

A network that has learned from ten clicks is reliable at pixels that look like one of them, and
less so elsewhere. With phi(x) the last features of the adapted network at pixel x, and clicks c_i
of classes y_i::

    S_k(x) = max over clicks with y_i = k of cos(phi(x), phi(c_i))

the prediction k of the adapted network counts at x if S_k(x) is at least a threshold. Elsewhere
the pretrained network's prediction from the image and the clicks is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute


@dataclass(frozen=True, slots=True, eq=False)
class FeatureSimilarity:
    """Features of the clicks that a network has learned from, and a threshold of similarity.

    Attributes
    ----------
    features : (clicks, d) tensor of float32
        Unit vectors phi(c_i), on the CPU.
    labels : (clicks,) tensor of int64
        Classes y_i.
    classes : int
        Number of the network's classes.
    least : float
        Threshold, a cosine.
    """

    features: Tensor
    labels: Tensor
    classes: int
    least: float

    def closest(self, features: Tensor) -> Tensor:
        """Return the similarity of pixels to the clicks of each class: S_k(x).

        Parameters
        ----------
        features : (B, d, h, w) tensor
            Last features of the adapted network.

        Returns
        -------
        (B, classes, h, w) tensor of float32
            Cosines; -1 for a class without clicks.
        """
        # In float32: half precision is too coarse to compare with a threshold near 1.
        with torch.autocast(features.device.type, enabled=False):
            return self._closest(_unit(features))

    def _closest(self, unit: Tensor) -> Tensor:
        closest = unit.new_full((len(unit), self.classes, *unit.shape[-2:]), -1.0)
        for label in sorted(set(self.labels.tolist())):
            clicks = self.features[self.labels == label].to(unit.device)
            # A few at a time: every click takes a map in memory.
            for some in torch.split(clicks, _TOGETHER):
                cosines = F.conv2d(unit, some[:, :, None, None]).amax(dim=1)
                closest[:, label] = torch.maximum(closest[:, label], cosines)
        return closest

    def counts(self, logits: Tensor, closest: Tensor) -> Tensor:
        """Return at which pixels the prediction of the adapted network counts.

        Parameters
        ----------
        logits : (B, classes, h, w) tensor
            Of the adapted network.
        closest : (B, classes, h, w) tensor
            Similarities, of `closest`.

        Returns
        -------
        (B, 1, h, w) tensor of bool
        """
        return closest.gather(1, logits.argmax(dim=1, keepdim=True)) >= self.least


def learned_similarity(
    network: Network, crops: Sequence[Crop], least: float, compute: Compute
) -> Job[FeatureSimilarity]:
    """Job that computes the adapted network's features at the clicks of crops.

    Parameters
    ----------
    network : Network
        The adapted network on the CPU; it is not changed.
    crops : sequence of Crop
    least : float
        Threshold, a cosine.
    compute : Compute
    """
    ready = prepared(network, compute.device, compute.dtype)
    seen = []
    for done, crop in enumerate(crops):
        yield Progress("comparing features", done, len(crops))
        image = torch.from_numpy(crop.image)[None].to(
            compute.device, memory_format=torch.channels_last
        )
        box = Window.whole((image.shape[-2], image.shape[-1]))
        with torch.inference_mode(), compute.autocast():
            _, features = ready.decode_described(ready.features(image, None, box), box, _unit)
        rows, cols = torch.from_numpy(crop.rows), torch.from_numpy(crop.cols)
        seen.append(features[0].cpu()[:, rows, cols].T)
    labels = torch.from_numpy(np.concatenate([crop.labels for crop in crops]))
    return FeatureSimilarity(_unit(torch.cat(seen)), labels, len(network.card.classes), least)


#: Clicks that pixels are compared with at once.
_TOGETHER = 64


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features.float(), dim=1)
