"""Draws the crops of a training step, and runs the network on them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.networks import Card, Features, Network
from napari_disca.training.augment import random_crop
from napari_disca.training.plan import LabelledImage, TrainingPlan

#: Least labelled share of a crop, and how often another is drawn instead.
_KNOWN, _TRIES = 0.1, 10


class CropSampler:
    """Draws the crops of a step; the same crops for the same step and seed.

    Parameters
    ----------
    images : sequence of LabelledImage
    card : Card
        The card, whose mean fills pixels without data.
    plan : TrainingPlan
    """

    def __init__(self, images: Sequence[LabelledImage], card: Card, plan: TrainingPlan) -> None:
        self._images = images
        self._plan = plan
        self._mean = np.array(card.mean, dtype=np.float32)
        # Large images are drawn more often, but less than in proportion to their area: places vary
        # more between images than within one.
        weights = np.array([item.weight * math.sqrt(item.labels.size) for item in images])
        self._chance = weights / weights.sum()

    def batch(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return pixels ``(B, bands, size, size)`` and labels ``(B, size, size)`` of a step."""
        rng = np.random.default_rng([self._plan.seed, step])
        crops = [self._crop(rng) for _ in range(self._plan.batch)]
        return np.stack([c[0] for c in crops]), np.stack([c[1] for c in crops])

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        for _ in range(_TRIES):
            item = self._images[rng.choice(len(self._images), p=self._chance)]
            crop = random_crop(
                item.image, item.labels, self._plan.size, rng, self._plan.augmentation, self._mean
            )
            if (crop[1] != IGNORE).mean() > _KNOWN:
                break
        return crop


class EncodedBatch:
    """A batch of crops with its network; a frozen encoder runs once for it.

    Parameters
    ----------
    network : Network
    image : (B, bands, H, W) tensor
        Scaled, not yet standardised.
    bfloat16 : bool
        Use bfloat16 autocast.
    """

    def __init__(self, network: Network, image: Tensor, *, bfloat16: bool) -> None:
        self._network, self._image, self._bfloat16 = network, image, bfloat16
        self._features: Features | None = None
        if network.encoder_is_frozen:
            with torch.no_grad(), self._autocast():
                self._features = network.encode_clickless(network.standardised(image))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._image.device.type, torch.bfloat16, enabled=self._bfloat16)

    def logits(self, guidance: Tensor | None, indices: Sequence[int] | None = None) -> Tensor:
        """Return the logits of crops, with gradients where they are enabled.

        Parameters
        ----------
        guidance : (n, classes, H, W) tensor or None
            The guidance; None without clicks.
        indices : sequence of int, optional
            Indices of n crops; all by default.
        """
        chosen = slice(None) if indices is None else list(indices)
        with self._autocast():
            if self._features is not None:
                features = tuple(layer[chosen] for layer in self._features)
                if guidance is not None:
                    drawn = self._network.padded(guidance.to(self._image.device))
                    features = self._network.guided(features, drawn)
                height, width = self._image.shape[-2:]
                return self._network.decode(features)[..., :height, :width]
            image = self._image[chosen]
            if guidance is None:
                classes = len(self._network.card.classes)
                guidance = image.new_zeros(len(image), classes, *image.shape[-2:])
            logits: Tensor = self._network(image, guidance.to(image.device))
            return logits

    def predict(
        self, indices: Sequence[int], guidance: NDArray[np.float32] | None
    ) -> NDArray[np.uint8]:
        """Return the labels ``(n, H, W)`` of crops, without gradients."""
        drawn = None if guidance is None else torch.from_numpy(guidance)
        with torch.no_grad():
            logits = self.logits(drawn, indices)
        labels: NDArray[np.uint8] = logits.argmax(dim=1).byte().cpu().numpy()
        return labels
