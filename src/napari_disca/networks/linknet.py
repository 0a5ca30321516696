"""LinkNet with a ResNet encoder, which reads guidance as additional bands.

Chaurasia & Culurciello (2017), "LinkNet: Exploiting encoder representations for efficient
semantic segmentation"; He et al. (2016) for the encoder. Lenczner et al. (2020) use this family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.tiling import Window
from napari_disca.networks.card import Card
from napari_disca.networks.network import Features, Network, features_around

_BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
_WIDTHS = (64, 128, 256, 512)
#: Margin in rows at stride 4 around the window whose logits are wanted. Cut features make logits
#: wrong up to 5 pixels from the cut (1 row at stride 2 in the last `_Up`, 2 rows after the head's
#: first convolution); 2 rows at stride 4 are 8 pixels.
_MARGIN = 2


def _conv_bn(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> list[nn.Module]:
    padding = size // 2
    return [
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class _Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_bn(inputs, outputs, stride=stride),
            nn.ReLU(inplace=True),
            *_conv_bn(outputs, outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*_conv_bn(inputs, outputs, 1, stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class _Up(nn.Sequential):
    """LinkNet's decoder block: 1 x 1 convolution, upsampling by 2, 1 x 1 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        narrow = inputs // 4
        super().__init__(
            *_conv_bn(inputs, narrow, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(narrow, narrow, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(narrow),
            nn.ReLU(inplace=True),
            *_conv_bn(narrow, outputs, 1),
            nn.ReLU(inplace=True),
        )


class LinkNet(Network):
    """LinkNet whose first convolution reads the image bands and one guidance map per class.

    Parameters
    ----------
    card : Card
    encoder : {"resnet18", "resnet34"}
    """

    encoder_modules = ("stem", "pool", "stages")

    def __init__(self, card: Card, encoder: Literal["resnet18", "resnet34"] = "resnet18") -> None:
        super().__init__(card)
        inputs, classes = len(card.bands) + len(card.classes), len(card.classes)
        self.stem = nn.Sequential(*_conv_bn(inputs, 64, 7, stride=2), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        stages, width = [], 64
        for index, (outputs, blocks) in enumerate(zip(_WIDTHS, _BLOCKS[encoder], strict=True)):
            layers = [_Residual(width, outputs, stride=1 if index == 0 else 2)]
            layers += [_Residual(outputs, outputs, stride=1) for _ in range(blocks - 1)]
            stages.append(nn.Sequential(*layers))
            width = outputs
        self.stages = nn.ModuleList(stages)
        self.ups = nn.ModuleList([_Up(512, 256), _Up(256, 128), _Up(128, 64), _Up(64, 64)])
        self.head = nn.Sequential(
            *_conv_bn(64, 32),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, classes, 4, stride=2, padding=1),
        )

    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Return features of the stem and of the four stages, finest first."""
        return self._stages(self.stem(torch.cat([image, guidance.to(image.dtype)], dim=1)))

    def encode_clickless(self, image: Tensor) -> Features:
        """Return `encode` with zero guidance, without computing the guidance's part of the stem."""
        first = self.stem[0]
        assert isinstance(first, nn.Conv2d)
        weight = first.weight[:, : image.shape[1]].contiguous(memory_format=torch.channels_last)
        stem = F.conv2d(image, weight, first.bias, first.stride, first.padding)
        return self._stages(self.stem[1:](stem))

    def _stages(self, stem: Tensor) -> Features:
        features = [stem]
        x = self.pool(stem)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features)

    @property
    def similarity_stride(self) -> int:
        """See `Network.similarity_stride`."""
        return 8

    @property
    def similarity_groups(self) -> tuple[int, ...]:
        """Numbers of channels at strides 8 and 16."""
        return _WIDTHS[1], _WIDTHS[2]

    def similarity_features(self, features: Features) -> Tensor:
        """Features of strides 8 and 16 at stride 8: ``(B, 384, H / 8, W / 8)``."""
        fine, coarse = features[2], features[3]
        return torch.cat([fine, F.interpolate(coarse, scale_factor=2, mode="bilinear")], dim=1)

    def decode(self, features: Features) -> Tensor:
        """Return logits at the input's size."""
        stem, *deeper = features
        logits: Tensor = self.head(self.ups[-1](self._up(deeper)) + stem)
        return logits

    def trimmed(self, features: Features, keep: Window) -> Features:
        """Return features; the stem's, the largest, are cut to what the last layers need."""
        stem, *deeper = features
        if stem.shape[-2:] != (2 * deeper[0].shape[-2], 2 * deeper[0].shape[-1]):
            return features  # cut before
        rows, cols = features_around(keep, deeper[0].shape[-2:], 4, _MARGIN)
        cut = stem[..., 2 * rows.start : 2 * rows.stop, 2 * cols.start : 2 * cols.stop]
        return (cut.contiguous(memory_format=torch.channels_last), *deeper)

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Return logits of a window; the last layers are run for it alone."""
        x, window = self._before_head(features, keep)
        logits: Tensor = self.head(x)
        return logits[(..., *window.slices)]

    def decode_described(
        self, features: Features, keep: Window, describe: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return logits of a window, and a function of the 32 features before the last layer."""
        x, window = self._before_head(features, keep)
        last = self.head[:-1](x)
        logits = self.head[-1](last)
        # The last layer upsamples by 2 around the same centres as bilinear interpolation.
        described = F.interpolate(describe(last), scale_factor=2, mode="bilinear")
        return logits[(..., *window.slices)], described[(..., *window.slices)]

    def _before_head(self, features: Features, keep: Window) -> tuple[Tensor, Window]:
        """Input of the head for a window, and the window's place in the head's output."""
        stem, *deeper = features
        x = self._up(deeper)
        rows, cols = features_around(keep, x.shape[-2:], 4, _MARGIN)
        x = x[..., rows, cols].contiguous(memory_format=torch.channels_last)
        top, left = keep.top - 4 * rows.start, keep.left - 4 * cols.start
        return self.ups[-1](x) + stem, Window(top, left, keep.height, keep.width)

    def _up(self, deeper: list[Tensor]) -> Tensor:
        """Return the output of the decoder at stride 4."""
        x = deeper[-1]
        for up, skip in zip(self.ups[:-1], reversed(deeper[:-1]), strict=True):
            x = up(x) + skip
        return x
