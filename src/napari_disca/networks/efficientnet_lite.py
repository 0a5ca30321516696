"""Layers of EfficientNet-Lite0 (Tan & Le 2019), the encoder of `lite_unet`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.networks.fused import activated_conv

#: (blocks, kernel, stride, expansion, inputs, outputs) of each stage.
STAGES = (
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding of even inputs: more below and on the right.

    Computed as symmetric padding with a row and a column of zeros added to the kernel, which gives
    the same result without a copy of the input.
    """

    #: See `preparation.FOLDABLE`.
    folds_batchnorm: ClassVar[bool] = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``(B, C, H, W)``, H and W even where the stride is 2."""
        padding = self.kernel_size[0] // 2
        return F.conv2d(x, self.applied(), self.bias, self.stride, padding, 1, self.groups)

    def applied(self) -> Tensor:
        """Return the kernel that is applied with symmetric padding."""
        if self.stride[0] == 1:
            return self.weight
        return F.pad(self.weight, (1, 0, 1, 0)).contiguous(memory_format=torch.channels_last)


class Activated(nn.Sequential):
    """Convolution, BatchNorm and activation; one operation once the BatchNorm is folded."""

    #: See `preparation.FOLDABLE`.
    folds_batchnorm: ClassVar[bool] = True

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of what convolution and BatchNorm make of ``(B, C, H, W)``."""
        return activated(x, *self)


def activated(
    x: Tensor, convolution: nn.Module, batchnorm: nn.Module, activation: nn.Module
) -> Tensor:
    """Return the activation of what convolution and BatchNorm make of ``(B, C, H, W)``."""
    if not isinstance(batchnorm, nn.Identity):
        y: Tensor = activation(batchnorm(convolution(x)))
        return y
    assert isinstance(convolution, nn.Conv2d)
    weight = convolution.weight
    if isinstance(convolution, SameConv):
        weight = convolution.applied()
    return activated_conv(x, convolution, activation, weight, convolution.kernel_size[0] // 2)


def conv_bn_relu6(
    inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return a convolution without bias, BatchNorm and ReLU6."""
    return Activated(
        SameConv(inputs, outputs, size, stride, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """MobileNetV2's inverted residual: expansion, depthwise convolution, projection."""

    def __init__(self, inputs: int, outputs: int, expansion: int, size: int, stride: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = conv_bn_relu6(inputs, width, 1) if expansion != 1 else nn.Identity()
        self.depthwise = conv_bn_relu6(width, width, size, stride, groups=width)
        self.project = nn.Sequential(
            nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(B, outputs, H / stride, W / stride)``, plus `x` where shapes are equal."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y
