"""The recipe "held-out": as far as held-out clicks agree."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from builders import make_network, make_tiny_network, set_tiles
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import fingerprint
from napari_disca.raster import open_raster
from napari_disca.recipes import RECIPES, AdaptationResult, Automatic, Disca, crops_for
from napari_disca.recipes.automatic import _agrees, _strength
from napari_disca.recipes.examples import Example
from napari_disca.session.session import Session
from napari_disca.session.steps.step_values import AdaptationRun
from napari_disca.session.steps.steps import Step

QUICK = Automatic(passes=4, rate=3e-2, crop_size=64)


@pytest.fixture
def network_view(image, network):
    return NetworkView(open_raster(image), network.card)


def run(recipe, network_view, network, compute, clicks, seed=0):
    crops = finish(crops_for(recipe, network_view, clicks, tiling_for(network_view)))
    return finish(recipe.adapt(network, crops, compute=compute, seed=seed))


def unguided(network_view, network, compute):
    whole = Window.whole(network_view.shape)
    return Predictor(network, network_view, compute).logits(whole, Clicks()).numpy()


def systematic(network_view, network, compute, count=8):
    """Clicks that say everywhere the same: the second likeliest class should win."""
    logits = unguided(network_view, network, compute)
    ranks = logits.argsort(axis=0)
    (most, _), *_ = sorted(
        zip(*np.unique(ranks[-1] * 10 + ranks[-2], return_counts=True), strict=True),
        key=lambda found: -found[1],
    )
    rows, cols = np.nonzero(ranks[-1] * 10 + ranks[-2] == most)
    chosen = np.linspace(0, len(rows) - 1, count).astype(int)
    return Clicks(tuple(Click(int(rows[i]), int(cols[i]), int(most % 10)) for i in chosen))


def contradicting(network_view):
    """Neighbours of one colour, each with another class."""
    spots = [(8, 8), (40, 40), (72, 88), (120, 152)]
    return Clicks(
        tuple(Click(r + 2 * k, c, k % 3) for r, c in spots for k in range(3)),
    )


def test_systematic_errors_are_learned(network, compute):
    """Things that look alike and are all wrong, in surroundings that look different."""
    rng = np.random.default_rng(0)
    image = rng.integers(40, 80, (160, 200, 3), dtype=np.uint8)
    spots = [(20 + 40 * i, 25 + 50 * j) for i in range(4) for j in range(4)]
    for row, col in spots:
        image[row - 8 : row + 9, col - 8 : col + 9] = (250, 230, 40)
    network_view = NetworkView(open_raster(image), network.card)
    wrong = int(unguided(network_view, network, compute)[:, 20, 25].argmin())
    clicks = Clicks(tuple(Click(row, col, wrong) for row, col in spots[::2]))
    result = run(QUICK, network_view, network, compute, clicks)
    assert result.note.startswith("adapted fully")
    assert "held-out clicks agree" in result.note
    assert result.right_after > result.right_before
    assert fingerprint(result.network) != fingerprint(network)


def test_clicks_that_contradict_each_other_leave_the_network_alone(network_view, network, compute):
    result = run(QUICK, network_view, network, compute, contradicting(network_view))
    assert result.note.startswith("not adapted: the errors look local")
    assert fingerprint(result.network) == fingerprint(network)


def test_one_click_is_followed_half_way(network_view, network, compute):
    clicks = Clicks(systematic(network_view, network, compute).items[:1])
    result = run(QUICK, network_view, network, compute, clicks)
    assert result.note.startswith("adapted half-way: one click cannot be held out")
    assert fingerprint(result.network) != fingerprint(network)


@pytest.mark.parametrize(
    ("agreed", "strength", "why"),
    [
        ([True, True, True, False], 1.0, "3 of 4 held-out clicks agree"),
        ([True, True, False], 1.0, "2 of 3 held-out clicks agree"),
        ([True, False], 0.0, "the errors look local (1 of 2 held-out clicks agree)"),
        ([False, False], 0.0, "the errors look local (0 of 2 held-out clicks agree)"),
        ([], 0.5, "one click cannot be held out"),
    ],
)
def test_the_decision(agreed, strength, why):
    assert _strength(agreed) == (strength, why)


def test_being_less_sure_of_everything_is_no_agreement(network_view, network, compute):
    crops = finish(
        crops_for(
            QUICK,
            network_view,
            systematic(network_view, network, compute),
            tiling_for(network_view),
        )
    )
    flat = []
    for crop in crops:
        example = Example(crop, compute.device)
        before = 5 * torch.randn(1, 3, *crop.valid.shape, generator=torch.manual_seed(0))
        assert not _agrees(before, before, example).any()
        after = before.clone()
        after[0, example.labels, example.rows, example.cols] += 9.0
        assert _agrees(before, after, example).all()
        flat += _agrees(before, before / 2, example).tolist()
    assert flat
    assert sum(flat) < 0.8 * len(flat)


def test_every_click_is_held_out_once(network_view, network, compute, monkeypatch):
    """Asked of the network that has not seen it."""
    seen: list[set[tuple[int, int]]] = []
    learn = Disca.adapt

    def spy(self, network, crops, **options):
        seen.append(
            {
                (crop.window.top + int(r), crop.window.left + int(c))
                for crop in crops
                for r, c in zip(crop.rows, crop.cols, strict=True)
            }
        )
        return learn(self, network, crops, **options)

    monkeypatch.setattr(Disca, "adapt", spy)
    clicks = systematic(network_view, network, compute)
    run(QUICK, network_view, network, compute, clicks)
    assert len(seen) == 2
    assert not seen[0] & seen[1]
    assert seen[0] | seen[1] == {click.pixel for click in clicks}


def test_the_choice_can_be_overridden(network_view, network, compute):
    clicks = contradicting(network_view)
    weights = {}
    for strength in ("none", "half", "full"):
        recipe = Automatic(passes=4, rate=3e-2, crop_size=64, adopt=strength)
        result = run(recipe, network_view, network, compute, clicks)
        assert "as you chose" in result.note
        weights[strength] = torch.cat([p.flatten() for p in result.network.parameters()])
    original = torch.cat([p.flatten() for p in network.parameters()])
    assert weights["none"].equal(original)
    assert not weights["full"].equal(original)
    torch.testing.assert_close(weights["half"], (original + weights["full"]) / 2)


def test_an_unknown_strength_is_refused():
    with pytest.raises(RecipeError, match="adopt = 'much' is unknown; use automatic or none"):
        Automatic(adopt="much")


@pytest.mark.parametrize("name", RECIPES)
def test_the_order_of_the_clicks_does_not_matter(name, image, compute):
    network = make_tiny_network()
    network_view = NetworkView(open_raster(image), network.card)
    recipe = RECIPES[name]
    if recipe.learns:
        recipe = replace(recipe, passes=2) if hasattr(recipe, "passes") else recipe
    clicks = systematic(network_view, network, compute, count=4)
    found = {
        fingerprint(run(recipe, network_view, network, compute, Clicks(order)).network)
        for order in list(permutations(clicks))[::5]
    }
    assert len(found) == 1


def test_kept_close_is_the_map_with_clicks_and_redraws_nothing_else(image, compute, monkeypatch):
    set_tiles(monkeypatch, 96, 16)
    session = Session(open_raster(image), make_network(), compute=compute)
    finish(session.predict(), session.handle)
    session.document.click(10, 10, 1)
    finish(session.refine(), session.handle)
    drawn = []
    session.painted.connect(drawn.append)
    finish(session.adapt(replace(QUICK, adopt="none")), session.handle)
    assert session.document.adapted is not None
    assert not drawn, "the map is that of the pretrained network already"
    whole = Window.whole(session.raster.shape)
    np.testing.assert_array_equal(
        session.maps["disca"].read(whole), session.maps["disir"].read(whole)
    )


def test_what_turns_out_to_be_kept_close_is_up_to_date_under_locks(image, compute, monkeypatch):
    """A run of an opened session is learned again; until then nobody knows what becomes of it."""
    set_tiles(monkeypatch, 96, 16)
    session = Session(open_raster(image), make_network(), compute=compute)
    session.document.set_clicks(Clicks((Click(10, 10, 1), Click(70, 90, 2))), "clicks")
    session.document.lock(Area.rectangle(Window(60, 60, 40, 50)))
    run = AdaptationRun(
        AdaptationResult(None),
        replace(QUICK, adopt="none"),
        clicks=session.document.clicks,
        locks=session.document.step.locks,
    )
    session.document._record(
        Step("found in a journal", session.document.clicks, run, session.document.step.locks)
    )
    finish(session.refine(), session.handle)
    assert all(session.map_state.up_to_date(name) == 1.0 for name in session.maps)
