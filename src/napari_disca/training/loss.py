"""The loss of a training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.training.plan import LabelledImage


def segmentation_loss(
    logits: Tensor,
    target: Tensor,
    weights: Tensor,
    focus: Tensor | None = None,
    right: Tensor | None = None,
) -> Tensor:
    """Return weighted cross-entropy plus soft Dice over the classes present, ignoring 255.

    Parameters
    ----------
    logits : (B, classes, H, W) tensor
    target : (B, H, W) tensor of int64
    weights : (classes,) tensor
    focus : (B, H, W) tensor of bool, optional
        Regions of the clicks; their own mean cross-entropy is added, since they are small and
        would have no weight otherwise.
    right : (B, H, W) tensor of bool, optional
        Pixels that clicks should leave as they are; half of their own mean cross-entropy is
        added.
    """
    labelled = target != IGNORE
    if not labelled.any():
        return logits.sum() * 0.0
    entropy = F.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    probability = logits.softmax(dim=1) * labelled[:, None]
    truth = F.one_hot(torch.where(labelled, target, 0), logits.shape[1]).permute(0, 3, 1, 2)
    truth = truth * labelled[:, None]
    both = (probability * truth).sum(dim=(0, 2, 3))
    total = (probability + truth).sum(dim=(0, 2, 3))
    dice = 1 - (2 * both + 1) / (total + 1)
    present = truth.sum(dim=(0, 2, 3)) > 0
    loss = entropy + dice[present].mean()
    if focus is not None and (focus := focus & labelled).any():
        pixels = logits.permute(0, 2, 3, 1)[focus]
        loss = loss + F.cross_entropy(pixels, target[focus])
    if right is not None and (right := right & labelled).any():
        pixels = logits.permute(0, 2, 3, 1)[right]
        loss = loss + 0.5 * F.cross_entropy(pixels, target[right])
    return loss


def class_weights(images: Sequence[LabelledImage], classes: int) -> Tensor:
    """Return the inverse square root of each class's share, mean 1, at most 4 times the smallest.

    Raises
    ------
    DataError
        If the labels hold an id that is not a class.
    """
    counts = np.zeros(classes)
    for item in images:
        found = np.bincount(item.labels.ravel(), minlength=256)
        unknown = [int(v) for v in np.flatnonzero(found[classes:IGNORE]) + classes]
        if unknown:
            raise DataError(
                f"the masks hold value {unknown[0]}, but the classes are 0 to {classes - 1} "
                "and 255 (ignore); map the values or name more classes"
            )
        counts += found[:classes] * item.weight
    weights = 1 / np.sqrt(np.maximum(counts / counts.sum(), 1e-3))
    weights = np.minimum(weights, 4 * weights.min())
    return torch.from_numpy(weights / weights.mean()).float()
