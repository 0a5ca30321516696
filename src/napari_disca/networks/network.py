"""The `Network` every architecture is: image and guidance in, logits out."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.networks.card import Card

#: What `Network.encode` hands to `Network.decode`.
Features: TypeAlias = tuple[Tensor, ...]


class Network(nn.Module):
    """A segmentation network that reads clicks beside the image.

    Subclasses implement `encode` and `decode` for inputs whose sides are multiples of `multiple`;
    `forward` standardises, pads, and crops.

    Parameters
    ----------
    card : Card
        What the network is for.
    """

    #: Inputs are padded to a multiple of this.
    multiple: int = 32

    mean: Tensor
    std: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        # Known from the card, so they are not saved again with the weights.
        self.register_buffer("mean", torch.tensor(card.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, -1, 1, 1), persistent=False)

    @abstractmethod
    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Features of a batch.

        Parameters
        ----------
        image : (B, bands, H, W) tensor
            Standardised; `H` and `W` are multiples of `multiple`.
        guidance : (B, classes, H, W) tensor
            As `Guidance.draw` makes it. Zero in tiles without clicks, whose features therefore
            stay the same as long as the encoder does.
        """

    @abstractmethod
    def decode(self, features: Features) -> Tensor:
        """Logits ``(B, classes, H, W)`` from `encode`'s features."""

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        """Logits of a batch of any height and width.

        Parameters
        ----------
        image : (B, bands, H, W) tensor
            Scaled as the card says, not yet standardised.
        guidance : (B, classes, H, W) tensor

        Returns
        -------
        (B, classes, H, W) tensor
        """
        height, width = image.shape[-2:]
        features = self.encode(self._padded((image - self.mean) / self.std), self._padded(guidance))
        return self.decode(features)[..., :height, :width]

    def _padded(self, x: Tensor) -> Tensor:
        """Zeros (the mean; no clicks) below and right, up to a multiple of `multiple`."""
        bottom, right = (-x.shape[-2] % self.multiple, -x.shape[-1] % self.multiple)
        return F.pad(x, (0, right, 0, bottom)) if bottom or right else x
