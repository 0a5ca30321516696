"""The candidates of the study keep what every recipe promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from candidates import (
    CANDIDATES,
    PLAIN,
    Agreement,
    Budget,
    CrossValidated,
    PartWay,
    Polyak,
    RidgeHead,
    recalibrated,
)
from problem import Problem

from builders import make_card, make_tiny_network
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import Guidance
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import finish
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import Delta, Network, fingerprint
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca, crops_for
from napari_disca.scenes import Scene

CLICKS = Clicks((Click(10, 12, 0), Click(30, 70, 1), Click(90, 20, 2), Click(80, 85, 1)))
#: Those that are made here, not taken from the package.
OURS = [name for name, recipe in CANDIDATES.items() if type(recipe).__module__ == "candidates"]


class Small(Network):
    """A network of some hundred weights that ends as LinkNet does."""

    multiple = 4

    def __init__(self, card):
        super().__init__(card)
        bands, classes = len(card.bands), len(card.classes)
        self.first = torch.nn.Conv2d(bands + classes, 8, 5, stride=2, padding=2)
        self.norm = torch.nn.BatchNorm2d(8)
        self.second = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.again = torch.nn.BatchNorm2d(8)
        self.last = torch.nn.ConvTranspose2d(8, classes, 4, stride=2, padding=1)

    def encode(self, image, guidance):
        return (torch.relu(self.norm(self.first(torch.cat([image, guidance], dim=1)))),)

    def decode(self, features):
        return self.last(torch.relu(self.again(self.second(features[0]))))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Small(make_card(guidance=Guidance("cone", radius=12))).eval()


@pytest.fixture
def crops(network):
    image = Scene((96, 96), seed=3, ground_resolution=1.0).image()
    network_view = NetworkView(open_raster(image), network.card)
    return finish(crops_for(PLAIN, network_view, CLICKS, tiling_for(network_view)))


@pytest.fixture
def problem(network, crops, compute):
    return Problem(network, crops, compute, seed=0)


def adapted(recipe, network, crops, compute, seed=0):
    return finish(recipe.adapt(network, crops, compute=compute, seed=seed))


@pytest.mark.parametrize("name", OURS)
def test_adapts_the_same_for_one_seed_and_leaves_theta0(name, network, crops, compute):
    before, recipe = fingerprint(network), CANDIDATES[name]
    flags = [p.requires_grad for p in network.parameters()]
    first = adapted(recipe, network, crops, compute, seed=3)
    assert fingerprint(network) == before
    assert [p.requires_grad for p in network.parameters()] == flags
    assert all(p.grad is None for p in network.parameters())
    assert first.clicks == len(CLICKS)
    assert first.note
    # What is kept of an adaptation is a delta; BatchNorm's statistics stay.
    delta = Delta.between(first.network, network)
    assert delta.fits(network)
    assert not any("running" in changed for changed in delta.tensors)
    assert not first.network.training
    second = adapted(recipe, network, crops, compute, seed=3)
    assert fingerprint(second.network) == fingerprint(first.network)


@pytest.mark.parametrize("name", OURS)
def test_no_clicks_teach_nothing(name, network, compute):
    assert adapted(CANDIDATES[name], network, [], compute).network is network


def test_names_are_of_different_recipes():
    described = [repr(recipe) for recipe in CANDIDATES.values()]
    # "default" may be what a candidate is, once one has won.
    assert len(set(described)) >= len(described) - 1


def test_half_way_is_half_of_every_change(network, crops, compute):
    learning = Disca(passes=2, rate=1e-3)
    full = adapted(learning, network, crops, compute).network
    half = adapted(PartWay(of=learning), network, crops, compute).network
    ends = zip(network.parameters(), half.parameters(), full.parameters(), strict=True)
    for start, middle, end in ends:
        torch.testing.assert_close(middle, (start + end) / 2)


def test_strength_is_zero_where_held_out_clicks_gain_too_little(network, crops, compute):
    learning = Disca(passes=2, rate=1e-3)
    never = CrossValidated(of=learning, least=1e9)
    assert "strength 0 " in adapted(never, network, crops, compute).note
    always = CrossValidated(of=learning, least=-1e9, price=-1e9)
    assert "strength 0 " not in adapted(always, network, crops, compute).note


def test_clicks_are_held_out_by_place_not_by_order(network, compute, crops):
    first = Problem(network, crops, compute, seed=0)
    half = first.halves()
    assert half.sum() == 2
    trained = [label for crop in first.crops_with(half) for label in crop.labels]
    lost = [label for crop in first.crops_with(~half) for label in crop.labels]
    # Sorted by row: classes 0, 1, 1, 2.
    assert sorted(trained) == [0, 1]
    assert sorted(lost) == [1, 2]


def test_gradients_of_equal_clicks_agree(network, crops, compute):
    twice = [
        replace(c, rows=c.rows[[0, 0]], cols=c.cols[[0, 0]], labels=c.labels[[0, 0]])
        for c in crops[:1]
    ]
    problem = Problem(network, twice, compute, seed=0)
    strength, _, why = finish(Agreement().chosen(problem))
    assert strength == 1.0
    assert "1.00" in why


@pytest.mark.parametrize(
    "recipe",
    [
        Budget(rate=0.1, moved=0.01),
        Budget(rate=1.0, moved=0.01, passes=1),  # which is the last one, too
        Polyak(moved=0.01, margin=9.0),
    ],
)
def test_the_map_moves_no_more_than_the_budget(recipe, network, crops, compute):
    assert adapted(recipe, network, crops, compute).moved <= 0.01


def test_the_closed_form_head_is_exact(problem, network, crops, compute):
    """With next to no weight on the rest, every click gets the margin it asks for."""
    recipe = RidgeHead(weight=1e-9, margin=2.0)
    result = adapted(recipe, network, crops, compute)
    assert result.right_after == len(CLICKS)
    changed = set(Delta.between(result.network, network).tensors)
    assert changed == {"last.weight", "last.bias"}
    # What asks for nothing changes nothing.
    content = RidgeHead(margin=-1e9)
    assert adapted(content, network, crops, compute).moved == 0


def test_the_whole_image_statistics_normalise_the_image(problem):
    """With a share of 1 every layer's output has the shift as mean and the scale as deviation."""
    network = recalibrated(problem, 1.0)
    seen = {}
    layers = {n: m for n, m in network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.clone()}))
    (example,) = problem.examples
    with torch.no_grad():
        network(example.image, torch.zeros_like(example.guidance))
    original = dict(problem.network.named_parameters())
    for name in layers:
        mean, spread = seen[name].mean((0, 2, 3)), seen[name].std((0, 2, 3))
        torch.testing.assert_close(mean, original[f"{name}.bias"], atol=1e-3, rtol=0.0)
        wanted = original[f"{name}.weight"].abs()
        torch.testing.assert_close(spread, wanted, atol=1e-2, rtol=1e-2)


def test_a_share_of_nothing_changes_nothing(problem, network):
    (example,) = problem.examples
    zero = torch.zeros_like(example.guidance)
    with torch.no_grad():
        np.testing.assert_allclose(
            recalibrated(problem, 0.0)(example.image, zero),
            network.eval()(example.image, zero),
            atol=1e-4,
        )


def test_networks_without_what_a_candidate_needs_are_refused(crops, compute):
    with pytest.raises(RecipeError, match="transposed convolution"):
        adapted(RidgeHead(), make_tiny_network(), crops, compute)
