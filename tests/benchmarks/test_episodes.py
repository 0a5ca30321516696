"""The study of a kernel that is learned on episodes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from episodes import Episode, Kernel, judged, learned, soft_loss


@pytest.fixture
def episode():
    """400 places of two kinds, all taken for the first; one click on the second kind."""
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(400) % 2
    features = torch.randn(6, 400, generator=generator) * 0.2
    features[0] += 2.0 * kind - 1
    first = torch.tensor([[2.0], [0.0]]).repeat(1, 400)
    return Episode(
        features=features,
        first=first,
        guided=first,
        truth=kind.to(torch.uint8),
        cells=torch.tensor([1]),
        labels=torch.tensor([1]),
        clicked=first[:, [1]].T,
        anchors=torch.arange(0, 400, 8),
    )


def test_a_click_brings_places_that_look_like_it(episode):
    labels = Kernel(6)(episode).argmax(0)
    assert (labels[1::2] == 1).float().mean() > 0.8
    assert (labels[::2] == 0).float().mean() > 0.8
    assert judged(Kernel(6), [episode]).startswith("+")


def test_a_click_that_confirms_changes_nothing(episode):
    confirming = replace(episode, labels=torch.tensor([0]))
    assert torch.equal(Kernel(6)(confirming), confirming.guided)


@pytest.mark.parametrize("options", [{}, {"weighted": True, "directions": 2}])
def test_learning_lowers_the_loss_of_its_own_episodes(episode, options):
    torch.manual_seed(0)
    kernel = Kernel(6, **options)
    before = float(soft_loss(kernel(episode), episode.truth).detach())
    after = float(soft_loss(learned(kernel, [episode], 10)(episode), episode.truth).detach())
    assert after < before
