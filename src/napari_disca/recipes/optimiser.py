"""Adam and SGD by PyTorch's functions.

The first use of PyTorch's optimiser classes imports its compiler, which is not needed here. It
takes one to two seconds, during which the window hardly responds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd


class Optimiser:
    """Does what `torch.optim.Adam` and `torch.optim.SGD` do by default.

    Parameters
    ----------
    name : {"adam", "sgd"}
    parameters : sequence of Parameter
        Changed in place by `step`.
    rate : float
        Learning rate.
    """

    def __init__(
        self, name: Literal["adam", "sgd"], parameters: Sequence[nn.Parameter], rate: float
    ) -> None:
        self._name = name
        self._parameters = parameters
        self._rate = rate
        self._means = [torch.zeros_like(p) for p in parameters if name == "adam"]
        self._squares = [torch.zeros_like(p) for p in parameters if name == "adam"]
        self._steps = [torch.tensor(0.0) for _ in self._means]

    def zero_grad(self) -> None:
        """Remove the gradients of all parameters."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take a step with all parameters that have a gradient."""
        used = [i for i, parameter in enumerate(self._parameters) if parameter.grad is not None]
        parameters: list[Tensor] = [self._parameters[i] for i in used]
        gradients = [p.grad for p in parameters if p.grad is not None]
        if self._name == "sgd":
            sgd(
                parameters,
                gradients,
                [None] * len(used),
                lr=self._rate,
                momentum=0.0,
                dampening=0.0,
                weight_decay=0.0,
                nesterov=False,
                maximize=False,
            )
        else:
            adam(
                parameters,
                gradients,
                [self._means[i] for i in used],
                [self._squares[i] for i in used],
                [],
                [self._steps[i] for i in used],
                lr=self._rate,
                beta1=0.9,
                beta2=0.999,
                eps=1e-8,
                weight_decay=0.0,
                amsgrad=False,
                maximize=False,
            )
