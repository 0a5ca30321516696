"""Small cards and networks for tests."""

from __future__ import annotations

from typing import Any

import torch

from napari_disca.clicks import Guidance
from napari_disca.networks import Card, LandClass, Network, build_network

COLOURS = ("#d73027", "#fee090", "#7570b3", "#1b9e3e", "#2c7fb8")


def make_card(count: int = 3, **changes: Any) -> Card:
    """Card of a small network."""
    fields: dict[str, Any] = {
        "name": "for-tests",
        "architecture": "linknet",
        "classes": tuple(LandClass(f"class {i}", COLOURS[i]) for i in range(count)),
        "guidance": Guidance("cone", radius=12),
        "mean": (0.4, 0.4, 0.4),
        "std": (0.25, 0.25, 0.25),
    }
    return Card(**(fields | changes))


def make_network(card: Card | None = None, seed: int = 0) -> Network:
    """Untrained network with lively BatchNorm statistics, the same for the same seed."""
    torch.manual_seed(seed)
    network = build_network(card or make_card())
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network
