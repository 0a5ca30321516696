"""Small cards and networks for tests."""

from __future__ import annotations

from typing import Any

import torch

from napari_disca.annotations.guidance import Guidance
from napari_disca.networks import ARCHITECTURES, Card, LandClass, Network, build_network

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


class Tiny(Network):
    """A network of some hundred weights, for tests that ask a network thousands of times."""

    multiple = 4

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        classes = len(card.classes)
        self.first = torch.nn.Conv2d(len(card.bands) + classes, 8, 5, padding=2)
        self.norm = torch.nn.BatchNorm2d(8)
        self.last = torch.nn.Conv2d(8, classes, 3, padding=1)

    def encode(self, image, guidance):
        return (torch.relu(self.norm(self.first(torch.cat([image, guidance], dim=1)))),)

    def decode(self, features):
        return self.last(features[0])


def make_tiny_network(seed: int = 0) -> Network:
    """Network of the architecture ``"tiny"``, which is known from then on."""
    ARCHITECTURES["tiny"] = Tiny
    return make_network(make_card(architecture="tiny"), seed)
