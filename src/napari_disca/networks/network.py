"""`Network`, the base class of all architectures: image and guidance in, logits out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.errors import CardError
from napari_disca.core.tiling import Window
from napari_disca.networks.card import Card

#: Tensors that `Network.encode` returns and `Network.decode` reads.
Features: TypeAlias = tuple[Tensor, ...]


class Network(nn.Module):
    """A segmentation network that reads an image and guidance drawn from clicks.

    Subclasses implement `encode` and `decode` for inputs whose sides are multiples of `multiple`;
    `forward` standardises, pads and crops inputs of any size.

    Parameters
    ----------
    card : Card
        What the network predicts and reads.
    """

    #: Inputs are padded to a multiple of this.
    multiple: int = 32
    #: Names of the modules that `encode` uses and `decode` does not; empty where that is not known.
    #: As long as their weights stay the same, so do the features of a tile without clicks.
    encoder_modules: ClassVar[tuple[str, ...]] = ()
    #: Whether the encoder is never trained and never reads clicks. `guided` then adds clicks to the
    #: features of `encode_clickless`, so that an image is encoded only once.
    encoder_is_frozen: ClassVar[bool] = False
    #: Whether clicks may change labels only to classes that were clicked where the map was wrong.
    #: Tiles with clicks are then also predicted without them, for which a frozen encoder does not
    #: run again.
    clicks_only_correct: ClassVar[bool] = False
    #: Whether `condensed` is implemented, which is useful with a frozen encoder.
    condenses: ClassVar[bool] = False
    #: Mean and standard deviation of each scaled band with which the encoder was pretrained; None:
    #: those of the training images are used.
    statistics: ClassVar[tuple[float, float] | None] = None

    #: The measured `similarity_stride`.
    _stride: int | None = None

    @property
    def similarity_stride(self) -> int:
        """Pixels of the padded input per cell of `similarity_features`, along each axis.

        `build_network` measures it by encoding a small image of zeros. It has no meaning for a
        network that does not name its encoder.
        """
        if not self.encoder_modules:
            return self.multiple
        if self._stride is None:
            side = 4 * self.multiple
            with torch.inference_mode():
                image = self.mean.new_zeros(1, len(self.card.bands), side, side)
                cells = self.similarity_features(self.encode_clickless(image)).shape[-1]
            self._stride = side // cells
        return self._stride

    @property
    def similarity_groups(self) -> tuple[int, ...]:
        """Channels of each stage in `similarity_features`; empty if there is only one stage."""
        return ()

    mean: Tensor
    std: Tensor

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        # They are in the card, so they are not saved with the weights.
        self.register_buffer("mean", torch.tensor(card.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(card.std).view(1, -1, 1, 1), persistent=False)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; layers may not have the name of one that `Network` uses itself.

        Raises
        ------
        CardError
            If a layer has such a name, for instance ``features``: torch would find the method.
        """
        if isinstance(value, nn.Module | nn.Parameter) and (
            hasattr(Network, name) or name in Network.__annotations__ or name == "card"
        ):
            raise CardError(
                f"{type(self).__name__} calls a layer {name!r}, which is a name that every network "
                "uses for something else; give it another name"
            )
        super().__setattr__(name, value)

    @abstractmethod
    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Return the features of a batch.

        Parameters
        ----------
        image : (B, bands, H, W) tensor
            Standardised; `H` and `W` are multiples of `multiple`.
        guidance : (B, classes, H, W) tensor
            Of `Guidance.draw`. Zero in tiles without clicks, whose features therefore depend on
            the encoder and the pixels alone.
        """

    @abstractmethod
    def decode(self, features: Features) -> Tensor:
        """Return logits ``(B, classes, H, W)`` from the features of `encode`."""

    def encode_clickless(self, image: Tensor) -> Features:
        """Return features of a batch without clicks; a subclass may skip the guidance's part."""
        batch, _, height, width = image.shape
        return self.encode(image, image.new_zeros(batch, len(self.card.classes), height, width))

    def guided(self, features: Features, guidance: Tensor) -> Features:
        """Add clicks to features of a tile without clicks; the encoder is not run.

        Parameters
        ----------
        features : Features
            Of `encode_clickless`, before or after `trimmed`.
        guidance : (B, classes, H, W) tensor
            Of the padded input.

        Returns
        -------
        Features
            Those of `encode`; features that were not trimmed before still have to be.

        Raises
        ------
        TypeError
            If clicks enter this architecture's encoder (`encoder_is_frozen` is False).
        """
        raise TypeError(f"clicks enter the encoder of a {self.card.architecture}; run `encode`")

    def similarity_features(self, features: Features) -> Tensor:
        """Return the features in which pixels of a tile are compared.

        Parameters
        ----------
        features : Features
            Of `encode` or `encode_clickless`, before or after `trimmed`.

        Returns
        -------
        (B, d, H', W') tensor
            On a grid that covers the padded input. By default the deepest features.
        """
        return features[-1]

    def condensed(self, features: Features, keep: Window) -> Features:
        """Return small tensors from which a window's logits and similarity features follow.

        `decode_window`, for the same window, and `similarity_features` accept them instead of a
        tile's features, and then take almost no time. `guided` and `decode_described` need the
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
        """Return pretrained weights of the encoder, from an installed package.

        Parameters
        ----------
        name : str
            Name of the data set of the pretraining, for instance ``"imagenet"``.

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
        """Return the parts of `encode`'s features that `decode_window` needs for a window.

        By default all of them; a subclass cuts off what only the halo needs. To trim features
        again for the same window changes nothing.
        """
        return features

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Return logits ``(B, classes, keep.height, keep.width)`` from trimmed features."""
        return self.decode(features)[(..., *keep.slices)]

    def decode_described(
        self, features: Features, keep: Window, describe: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return logits of a window, and a function of the features they are computed from.

        Parameters
        ----------
        features : Features
            Trimmed.
        keep : Window
        describe : callable
            Maps ``(B, d, H', W')`` features to ``(B, n, H', W')`` values. Its features are by
            default the logits themselves; a subclass passes the last ones before the logits.

        Returns
        -------
        (B, classes, keep.height, keep.width) tensor
        (B, n, keep.height, keep.width) tensor
        """
        logits = self.decode_window(features, keep)
        return logits, describe(logits)

    def features(self, image: Tensor, guidance: Tensor | None, keep: Window) -> Features:
        """Return the features from which `decode_window` computes logits of a part of the input.

        Parameters
        ----------
        image : (B, bands, H, W) tensor
            Scaled as the card says, not yet standardised.
        guidance : (B, classes, H, W) tensor, optional
            None if there are no clicks.
        keep : Window
            The part of the input, relative to its top-left corner.
        """
        pixels = self.standardised(image)
        encoded = (
            self.encode_clickless(pixels)
            if guidance is None
            else self.encode(pixels, self.padded(guidance))
        )
        return self.trimmed(encoded, keep)

    def with_clicks(self, features: Features, guidance: Tensor, keep: Window) -> Features:
        """Return `features` of tiles without clicks with clicks added; needs a frozen encoder.

        Parameters
        ----------
        features : Features
            Of `features` without guidance, for the same window.
        guidance : (B, classes, H, W) tensor
        keep : Window
        """
        return self.trimmed(self.guided(features, self.padded(guidance)), keep)

    def forward(self, image: Tensor, guidance: Tensor) -> Tensor:
        """Return logits of a batch of any height and width.

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
        """Standardise scaled pixels, then pad them, as the encoder reads them."""
        return self.padded((image - self.mean) / self.std)

    def padded(self, x: Tensor) -> Tensor:
        """Pad with zeros (the mean; no clicks) below and right to a multiple of `multiple`."""
        bottom, right = (-x.shape[-2] % self.multiple, -x.shape[-1] % self.multiple)
        return F.pad(x, (0, right, 0, bottom)) if bottom or right else x


def features_around(
    window: Window, shape: Sequence[int], stride: int, margin: int
) -> tuple[slice, slice]:
    """Return the rows and columns of features that the logits of a window depend on.

    Parameters
    ----------
    window : Window
        In pixels of the input.
    shape : (int, int)
        Height and width of the features.
    stride : int
        Pixels of the input for one cell of the features.
    margin : int
        Cells around the window that its logits depend on.
    """
    spans = ((window.top, window.bottom, shape[0]), (window.left, window.right, shape[1]))
    rows, cols = (
        slice(max(0, low // stride - margin), min(length, -(-high // stride) + margin))
        for low, high, length in spans
    )
    return rows, cols
