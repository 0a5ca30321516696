"""The `Network` every architecture is: image and guidance in, logits out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.tiling import Window
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
    #: Names of the modules that `encode` uses and `decode` does not; empty where that is not known.
    encoder_modules: ClassVar[tuple[str, ...]] = ()

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

    def encode_clickless(self, image: Tensor) -> Features:
        """Features of a batch without clicks; a subclass may spare itself the zeros."""
        batch, _, height, width = image.shape
        return self.encode(image, image.new_zeros(batch, len(self.card.classes), height, width))

    def trimmed(self, features: Features, keep: Window) -> Features:
        """Those parts of `encode`'s features that `decode_window` needs for a window.

        A subclass may cut off what is kept from other tiles.
        """
        return features

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Logits ``(B, classes, keep.height, keep.width)`` from trimmed features."""
        return self.decode(features)[(..., *keep.slices)]

    def decode_described(
        self, features: Features, keep: Window, describe: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Logits of a window, and what a function makes of the features that they come from.

        Parameters
        ----------
        features : Features
            Trimmed.
        keep : Window
        describe : callable
            ``(B, d, H', W')`` features to ``(B, n, H', W')`` values. By default the features are
            the logits themselves; a subclass gives the last ones before them.

        Returns
        -------
        (B, classes, keep.height, keep.width) tensor
        (B, n, keep.height, keep.width) tensor
        """
        logits = self.decode_window(features, keep)
        return logits, describe(logits)

    def features(self, image: Tensor, guidance: Tensor | None, keep: Window) -> Features:
        """Features from which `decode_window` makes the logits of a part of the input.

        Parameters
        ----------
        image : (B, bands, H, W) tensor
            Scaled as the card says, not yet standardised.
        guidance : (B, classes, H, W) tensor, optional
            None: there are no clicks.
        keep : Window
            What of the input is wanted, counted from its corner.
        """
        padded = self._padded((image - self.mean) / self.std)
        encoded = (
            self.encode_clickless(padded)
            if guidance is None
            else self.encode(padded, self._padded(guidance))
        )
        return self.trimmed(encoded, keep)

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
