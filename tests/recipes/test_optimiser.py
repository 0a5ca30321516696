from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from napari_disca.recipes.optimiser import Optimiser

_LEARNING = """
import sys
import torch
from napari_disca.recipes.optimiser import Optimiser
weight = torch.nn.Parameter(torch.ones(3))
for name in ("adam", "sgd"):
    optimiser = Optimiser(name, [weight], 0.1)
    optimiser.zero_grad()
    (weight ** 2).sum().backward()
    optimiser.step()
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_it_steps_as_the_class_does(name):
    def learn(made):
        torch.manual_seed(0)
        weights = [torch.nn.Parameter(torch.randn(4)) for _ in range(3)]
        optimiser = made(weights)
        for _ in range(5):
            optimiser.zero_grad()
            (weights[0] * weights[1]).sum().sin().backward()  # the third has no gradient
            optimiser.step()
        return torch.stack([weight.detach() for weight in weights])

    kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[name]
    expected = learn(lambda weights: kind(weights, lr=0.1))
    torch.testing.assert_close(
        learn(lambda weights: Optimiser(name, weights, 0.1)), expected, rtol=0, atol=0
    )


def test_the_compiler_is_not_imported():
    """Its import takes seconds, and holds up the window."""
    run = subprocess.run(
        [sys.executable, "-c", _LEARNING], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["False"]
