"""The `Network` every architecture is: image and guidance in, logits out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.errors import CardError
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
    #: Names of the modules that see the image and that `decode` does not use; empty where that is
    #: not known. What they say of a tile without clicks stays the same as long as they do.
    encoder_modules: ClassVar[tuple[str, ...]] = ()
    #: Whether the encoder never learns and never sees clicks: then `guided` adds clicks to what
    #: `encode_clickless` gave, and an image is encoded once, whatever is clicked or learned.
    encoder_is_frozen: ClassVar[bool] = False
    #: Whether clicks may change a map only to classes that were clicked where it was wrong. Without
    #: clicks an image is then looked at once more in tiles that have some; with a frozen encoder
    #: that costs the decoder alone.
    clicks_only_correct: ClassVar[bool] = False
    #: Whether `condensed` is implemented: it pays where the encoder is frozen.
    condenses: ClassVar[bool] = False
    #: Mean and standard deviation of each scaled band that the architecture asks for, because its
    #: encoder was trained with them elsewhere; None: those of the training images.
    statistics: ClassVar[tuple[float, float] | None] = None

    @property
    def similarity_stride(self) -> int:
        """Pixels of the padded input, each way, for one cell of `similarity_features`."""
        return self.multiple

    @property
    def similarity_groups(self) -> tuple[int, ...]:
        """Channels of each stage in `similarity_features`; empty where there is but one stage."""
        return ()

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

    def guided(self, features: Features, guidance: Tensor) -> Features:
        """Add clicks to features of a tile without clicks; the encoder is not run.

        Parameters
        ----------
        features : Features
            Of `encode_clickless`, trimmed or not.
        guidance : (B, classes, H, W) tensor
            Of the padded input.

        Returns
        -------
        Features
            As `encode` gives them; those that were not trimmed yet still have to be.

        Raises
        ------
        TypeError
            If clicks enter this architecture's encoder (`encoder_is_frozen` is False).
        """
        raise TypeError(f"clicks enter the encoder of a {self.card.architecture}; run `encode`")

    def similarity_features(self, features: Features) -> Tensor:
        """Those features of a tile by which one tells what looks alike.

        Parameters
        ----------
        features : Features
            Of `encode` or `encode_clickless`, trimmed or not.

        Returns
        -------
        (B, d, H', W') tensor
            On a grid that covers the padded input. By default the deepest features.
        """
        return features[-1]

    def condensed(self, features: Features, keep: Window) -> Features:
        """Small tensors from which a window's logits and the similarity features are computed.

        `decode_window`, for the same window, and `similarity_features` accept them instead of a
        tile's features, and cost almost nothing then. `guided` and `decode_described` need the
        features themselves.

        Parameters
        ----------
        features : Features
            Of `features` without guidance, for the same window.
        keep : Window
        """
        raise NotImplementedError(f"a {self.card.architecture} does not condense its features")

    @classmethod
    def pretrained(cls, name: str) -> dict[str, Tensor]:
        """Weights of the encoder that were learned elsewhere and come in an installed package.

        Parameters
        ----------
        name : str
            Of the data they were learned from, for instance ``"imagenet"``.

        Returns
        -------
        dict of str to Tensor
            A part of the state dict.

        Raises
        ------
        CardError
            If the architecture has none of this name, or the package is missing.
        """
        raise CardError(
            f"{cls.__name__} has no encoder weights {name!r}; leave --encoder-weights out, or "
            "choose the architecture lite-unet"
        )

    def trimmed(self, features: Features, keep: Window) -> Features:
        """Those parts of `encode`'s features that `decode_window` needs for a window.

        A subclass may cut off what is kept from other tiles. Trimming trimmed features again for
        the same window changes nothing.
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
        pixels = self.standardised(image)
        encoded = (
            self.encode_clickless(pixels)
            if guidance is None
            else self.encode(pixels, self.padded(guidance))
        )
        return self.trimmed(encoded, keep)

    def with_clicks(self, features: Features, guidance: Tensor, keep: Window) -> Features:
        """`features` of tiles without clicks, with clicks added; only with a frozen encoder.

        Parameters
        ----------
        features : Features
            Of `features` without guidance, for the same window.
        guidance : (B, classes, H, W) tensor
        keep : Window
        """
        return self.trimmed(self.guided(features, self.padded(guidance)), keep)

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
        features = self.encode(self.standardised(image), self.padded(guidance))
        return self.decode(features)[..., :height, :width]

    def standardised(self, image: Tensor) -> Tensor:
        """Scaled pixels as the encoder reads them: standardised, then padded."""
        return self.padded((image - self.mean) / self.std)

    def padded(self, x: Tensor) -> Tensor:
        """Zeros (the mean; no clicks) below and right, up to a multiple of `multiple`."""
        bottom, right = (-x.shape[-2] % self.multiple, -x.shape[-1] % self.multiple)
        return F.pad(x, (0, right, 0, bottom)) if bottom or right else x
