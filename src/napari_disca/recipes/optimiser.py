"""Optimisers by PyTorch's functions.

The first use of one of its classes imports PyTorch's compiler, which nobody asked for here: one
to two seconds of an adaptation, for most of which the window would not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.sgd import sgd


class Optimiser:
    """Steps down the gradient: what `torch.optim.Adam` and `torch.optim.SGD` do by default.

    Parameters
    ----------
    name : {"adam", "sgd"}
    parameters : sequence of Parameter
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
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Take a step with the gradients that there are."""
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
