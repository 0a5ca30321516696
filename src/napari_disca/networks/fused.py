"""Convolution and activation in one pass over memory, where torch offers it.

oneDNN can apply an activation to a convolution's output before it is written. Only torch's compiler
uses that, through an operator without a public name; this is the one file that calls it
(`tests/networks/test_fused.py`). The result is the same to the last bit: limits of ReLU and ReLU6
are exact in every number format, so it does not matter whether a value is rounded before or after.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Names and parameters of the activations in oneDNN.
_ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
}


def activated_conv(
    x: Tensor, convolution: nn.Conv2d, activation: nn.Module, weight: Tensor, padding: int
) -> Tensor:
    """Return ``activation(conv2d(x, weight, bias))``, in one operation where that is possible.

    Parameters
    ----------
    x : (B, C, H, W) tensor
        Converted to the type of `weight`, as autocast does.
    convolution : torch.nn.Conv2d
        Gives bias, stride and groups.
    activation : torch.nn.ReLU or torch.nn.ReLU6
    weight : (outputs, C / groups, k, k) tensor
        In place of the convolution's own.
    padding : int
        Zeros on every side, in pixels.
    """
    fusable = x.device.type == "cpu" and not torch.is_grad_enabled() and is_offered()
    if not fusable or type(activation) not in _ACTIVATIONS:
        stride, groups = convolution.stride, convolution.groups
        y = F.conv2d(x, weight, convolution.bias, stride, padding, 1, groups)
        return cast(Tensor, activation(y))
    name, limits = _ACTIVATIONS[type(activation)]
    y = torch.ops.mkldnn._convolution_pointwise(
        x.to(weight.dtype),
        weight,
        convolution.bias,
        [padding, padding],
        list(convolution.stride),
        [1, 1],
        convolution.groups,
        name,
        limits,
        "",
    )
    return cast(Tensor, y)


def is_offered() -> bool:
    """Whether this build of torch has the operator."""
    # A method of torch without types.
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
