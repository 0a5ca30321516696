"""The default recipe: as far as held-out clicks agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from builders import make_network
from napari_disca.clicks import Click, Clicks
from napari_disca.errors import RecipeError
from napari_disca.events import finish
from napari_disca.inputs import NetworkInput
from napari_disca.networks import fingerprint
from napari_disca.predict import Predictor, tiling_for
from napari_disca.raster import open_raster
from napari_disca.recipes import RECIPES, Automatic, crops_for
from napari_disca.recipes.automatic import _decided
from napari_disca.session import Session
from napari_disca.tiling import Window

QUICK = Automatic(passes=4, rate=3e-2, crop_size=64)


@pytest.fixture
def inputs(image, network):
    return NetworkInput(open_raster(image), network.card)


def run(recipe, inputs, network, compute, clicks, seed=0):
    crops = finish(crops_for(recipe, inputs, clicks, tiling_for(inputs)))
    return finish(recipe.adapt(network, crops, compute=compute, seed=seed))


def unguided(inputs, network, compute):
    whole = Window.whole(inputs.shape)
    return Predictor(network, inputs, compute).logits(whole, Clicks()).numpy()


def systematic(inputs, network, compute, count=8):
    """Clicks that say everywhere the same: the second likeliest class should win."""
    logits = unguided(inputs, network, compute)
    ranks = logits.argsort(axis=0)
    (most, _), *_ = sorted(
        zip(*np.unique(ranks[-1] * 10 + ranks[-2], return_counts=True), strict=True),
        key=lambda found: -found[1],
    )
    rows, cols = np.nonzero(ranks[-1] * 10 + ranks[-2] == most)
    chosen = np.linspace(0, len(rows) - 1, count).astype(int)
    return Clicks(tuple(Click(int(rows[i]), int(cols[i]), int(most % 10)) for i in chosen))


def contradicting(inputs):
    """Neighbours of one colour, each with another class."""
    spots = [(8, 8), (40, 40), (72, 88), (120, 152)]
    return Clicks(
        tuple(Click(r + 2 * k, c, k % 3) for r, c in spots for k in range(3)),
    )


def test_systematic_errors_are_learned(inputs, network, compute):
    with torch.no_grad():
        network.head[-1].weight.mul_(20.0)  # a network that is sure of what it says
    clicks = systematic(inputs, network, compute)
    result = run(QUICK, inputs, network, compute, clicks)
    assert result.note.startswith("adapted")
    assert "held-out clicks agree" in result.note
    assert result.right_after > result.right_before
    assert fingerprint(result.network) != fingerprint(network)


def test_clicks_that_contradict_each_other_leave_the_network_alone(inputs, network, compute):
    result = run(QUICK, inputs, network, compute, contradicting(inputs))
    assert result.note.startswith("kept close: errors look local")
    assert fingerprint(result.network) == fingerprint(network)


@pytest.mark.parametrize(
    ("count", "said"), [(1, "one click says too little"), (2, "2 clicks say too little")]
)
def test_a_click_or_two_say_too_little(count, said, inputs, network, compute):
    clicks = Clicks(systematic(inputs, network, compute).items[:count])
    result = run(QUICK, inputs, network, compute, clicks)
    assert said in result.note
    assert fingerprint(result.network) == fingerprint(network)


@pytest.mark.parametrize(
    ("found", "strength"),
    [
        ({0.5: ([1, 1, 1], 0.1), 1.0: ([2, 2, 2], 0.1)}, 1.0),
        ({0.5: ([1, 1, 1], 0.1), 1.0: ([2, 2, 2], 0.6)}, 0.5),
        ({0.5: ([1, 1, 1, -9], 0.0), 1.0: ([1, 1, 1, -9], 0.0)}, 0.0),
        ({0.5: ([9, -1, -1], 0.0), 1.0: ([9, 9, -1], 0.0)}, 0.0),
        ({0.5: ([0.1, 0.1], 0.0), 1.0: ([0.1, 0.1], 0.0)}, 0.0),
        ({0.5: ([1, 1], 0.5), 1.0: ([1, 1], 0.5)}, 0.0),
    ],
    ids=[
        "the stronger",
        "the one that moves less",
        "on the mean",
        "most of them",
        "noise",
        "moved",
    ],
)
def test_the_decision(found, strength):
    given = {s: (np.array(gains, dtype=float), moved) for s, (gains, moved) in found.items()}
    decided, why = _decided(given)
    assert decided == strength
    assert "held-out clicks agree" in why


def test_the_choice_can_be_overridden(inputs, network, compute):
    clicks = contradicting(inputs)
    weights = {}
    for strength in ("none", "half", "full"):
        recipe = Automatic(passes=4, rate=3e-2, crop_size=64, strength=strength)
        result = run(recipe, inputs, network, compute, clicks)
        assert "as you chose" in result.note
        weights[strength] = torch.cat([p.flatten() for p in result.network.parameters()])
    original = torch.cat([p.flatten() for p in network.parameters()])
    assert weights["none"].equal(original)
    assert not weights["full"].equal(original)
    torch.testing.assert_close(weights["half"], (original + weights["full"]) / 2)


def test_an_unknown_strength_is_refused():
    with pytest.raises(RecipeError, match="strength = 'much' is unknown; use automatic or none"):
        Automatic(strength="much")


@pytest.mark.parametrize("name", RECIPES)
def test_the_order_of_the_clicks_does_not_matter(name, inputs, network, compute):
    recipe = RECIPES[name]
    if recipe.learns:
        recipe = replace(recipe, passes=2)
    clicks = systematic(inputs, network, compute, count=4)
    found = {
        fingerprint(run(recipe, inputs, network, compute, Clicks(order)).network)
        for order in list(permutations(clicks))[::5]
    }
    assert len(found) == 1


def test_kept_close_is_the_map_with_clicks_and_redraws_nothing_else(image, compute, monkeypatch):
    monkeypatch.setattr("napari_disca.predict.TILE_SIZE", 96)
    monkeypatch.setattr("napari_disca.predict.TILE_HALO", 16)
    session = Session(open_raster(image), make_network(), compute=compute)
    finish(session.predict(), session.handle)
    session.click(10, 10, 1)
    finish(session.refine(), session.handle)
    drawn = []
    session.painted.connect(drawn.append)
    finish(session.adapt(QUICK), session.handle)
    assert session.adapted is not None
    assert not drawn, "the map is that of the pretrained network already"
    whole = Window.whole(session.raster.shape)
    np.testing.assert_array_equal(
        session.maps["disca"].read(whole), session.maps["disir"].read(whole)
    )
