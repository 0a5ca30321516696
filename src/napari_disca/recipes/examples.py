"""Crops as tensors, and functions that apply networks to them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.core.tiling import Window
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute


class Example:
    """A crop as tensors on a device.

    Parameters
    ----------
    crop : Crop
    device : torch.device

    Attributes
    ----------
    image : (1, bands, h, w) tensor
    guidance : (1, classes, h, w) tensor
    valid : (h, w) tensor of bool
        Where the image has data.
    pixels : int
        Number of valid pixels.
    rows, cols, labels : (clicks,) tensors
        Pixels and classes of the clicks.
    checked_rows, checked_cols, checked_labels : (n,) tensors
        Pixels that the user has checked, and their classes.
    """

    def __init__(self, crop: Crop, device: torch.device) -> None:
        self.image = torch.from_numpy(crop.image)[None].to(
            device, memory_format=torch.channels_last
        )
        self.guidance = torch.from_numpy(crop.guidance)[None].to(
            device, memory_format=torch.channels_last
        )
        self.valid = torch.from_numpy(crop.valid).to(device)
        self.pixels = int(crop.valid.sum())
        self.rows = torch.from_numpy(crop.rows).to(device)
        self.cols = torch.from_numpy(crop.cols).to(device)
        self.labels = torch.from_numpy(crop.labels).to(device)
        self.checked_rows = torch.from_numpy(crop.checked_rows).to(device)
        self.checked_cols = torch.from_numpy(crop.checked_cols).to(device)
        self.checked_labels = torch.from_numpy(crop.checked_labels).to(device)

    def clicked(self, logits: Tensor) -> Tensor:
        """Return the logits at the clicks.

        Parameters
        ----------
        logits : (1, classes, h, w) tensor

        Returns
        -------
        (clicks, classes) tensor
        """
        return logits[0, :, self.rows, self.cols].T


def private(network: Network, compute: Compute) -> Network:
    """Return a copy of a network on the device, in evaluation mode.

    In this mode BatchNorm's statistics do not change.

    Parameters
    ----------
    network : Network
        Not changed.
    compute : Compute
    """
    copy: Network = deepcopy(network).to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return copy.eval()


def between(start: Network, end: Network, strength: float) -> Network:
    """Return a copy of `end` whose weights are ``start + strength * (end - start)``.

    Parameters
    ----------
    start, end : Network
        Of the same architecture; not changed.
    strength : float
        0 gives the weights of `start`, 1 those of `end`.
    """
    copy: Network = deepcopy(end)
    first = dict(start.named_parameters())
    with torch.no_grad():
        for name, parameter in copy.named_parameters():
            parameter.lerp_(first[name].to(parameter.device), 1.0 - strength)
    return copy


def guided(network: Network, example: Example, compute: Compute) -> Tensor:
    """Return the logits of an example with its clicks as guidance.

    Parameters
    ----------
    network : Network
        On the device.
    example : Example
    compute : Compute

    Returns
    -------
    (1, classes, h, w) tensor of float32
    """
    with compute.autocast():
        logits: Tensor = network(example.image, example.guidance)
    return logits.float()


def unguided(network: Network, examples: Sequence[Example], compute: Compute) -> Sequence[Tensor]:
    """Return the logits of examples without guidance.

    Parameters
    ----------
    network : Network
        On the device.
    examples : sequence of Example
        Of one size.
    compute : Compute

    Returns
    -------
    sequence of (1, classes, h, w) tensor of float32
        One for each example.
    """
    images = torch.cat([example.image for example in examples])
    box = Window.whole((images.shape[-2], images.shape[-1]))
    with compute.autocast():
        logits = network.decode_window(network.features(images, None, box), box)
    return torch.split(logits.float(), 1)


def right(logits: Tensor, example: Example) -> int:
    """Return the number of an example's clicks whose class has the largest logit.

    Parameters
    ----------
    logits : (1, classes, h, w) tensor
    example : Example
    """
    return int((example.clicked(logits).argmax(dim=1) == example.labels).sum())


def moved(before: Sequence[Tensor], after: Sequence[Tensor], examples: Sequence[Example]) -> float:
    """Return the share of the valid pixels whose class has changed, 0 to 1.

    Parameters
    ----------
    before, after : sequences of (1, h, w) tensors
        Classes of each example.
    examples : sequence of Example
    """
    changed = sum(
        int((old != new)[0][example.valid].sum())
        for old, new, example in zip(before, after, examples, strict=True)
    )
    return changed / max(1, sum(example.pixels for example in examples))


def with_clicks(crop: Crop, chosen: NDArray[np.bool_]) -> Crop:
    """Return a crop with some of its clicks, and all its checked pixels.

    Parameters
    ----------
    crop : Crop
    chosen : (clicks,) array of bool
    """
    return replace(crop, rows=crop.rows[chosen], cols=crop.cols[chosen], labels=crop.labels[chosen])
