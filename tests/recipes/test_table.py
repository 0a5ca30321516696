"""What every recipe of the table must do; a new one joins by being in the table."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass, replace

import numpy as np
import pytest
import torch

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Progress, finish
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import Delta, encoder_fingerprint, fingerprint
from napari_disca.raster import open_raster
from napari_disca.recipes import RECIPES, Disca, checked_seed, crops_for, recipe_named

CLICKS = Clicks((Click(10, 12, 0), Click(80, 150, 1), Click(140, 20, 2)))


@pytest.fixture
def network_view(image, network):
    return NetworkView(open_raster(image), network.card)


@pytest.fixture(params=RECIPES)
def recipe(request):
    found = RECIPES[request.param]
    # A few passes show what many would; and every recipe shall learn here.
    changes = {"passes": 3, "adopt": "full"} if hasattr(found, "passes") else {}
    return replace(found, **{k: v for k, v in changes.items() if hasattr(found, k)})


def run(recipe, network_view, network, compute, clicks=CLICKS, **options):
    crops = finish(crops_for(recipe, network_view, clicks, tiling_for(network_view)))
    return finish(recipe.adapt(network, crops, compute=compute, **options))


def test_is_a_frozen_dataclass_with_a_title(recipe):
    assert is_dataclass(recipe)
    assert recipe.title
    if fields(recipe):
        with pytest.raises(FrozenInstanceError):
            setattr(recipe, fields(recipe)[0].name, None)


def test_leaves_the_network_as_it_was(recipe, network_view, network, compute):
    current = run(Disca(passes=1), network_view, network, compute).network
    before, before_current = fingerprint(network), fingerprint(current)
    flags = [p.requires_grad for p in network.parameters()]
    run(recipe, network_view, network, compute, current=current)
    assert fingerprint(network) == before
    assert fingerprint(current) == before_current
    assert [p.requires_grad for p in network.parameters()] == flags


def test_the_same_seed_gives_the_same_weights(recipe, network_view, network, compute):
    first = run(recipe, network_view, network, compute, seed=3)
    second = run(recipe, network_view, network, compute, seed=3)
    assert fingerprint(first.network) == fingerprint(second.network)
    if first.correction is not None:
        assert first.correction.coefficients.equal(second.correction.coefficients)
        assert first.correction.points.equal(second.correction.points)


def test_learns_or_says_that_it_does_not(recipe, network_view, network, compute):
    result = run(recipe, network_view, network, compute)
    # Weights, tensors for its composer, or a correction of the function.
    changed = fingerprint(result.network) != fingerprint(network)
    learned = changed or bool(result.tensors) or result.correction is not None
    assert learned == recipe.learns
    assert result.note
    if recipe.learns:
        assert result.clicks == len(CLICKS)
    assert result.steps > 0 or not changed


def test_a_strength_is_not_learned(recipe, network_view, network, compute):
    """The panel changes it without learning again."""
    if not hasattr(recipe, "strength"):
        pytest.skip("it has no strength")
    weak, strong = (
        run(replace(recipe, strength=strength), network_view, network, compute)
        for strength in (0.5, 1.0)
    )
    assert fingerprint(weak.network) == fingerprint(strong.network)
    assert weak.tensors.keys() == strong.tensors.keys()
    assert all(weak.tensors[name].equal(strong.tensors[name]) for name in weak.tensors)
    if weak.correction is not None:
        assert weak.correction.coefficients.equal(strong.correction.coefficients)


def test_batchnorm_statistics_stay(recipe, network_view, network, compute):
    result = run(recipe, network_view, network, compute)
    before = network.state_dict()
    for name, value in result.network.state_dict().items():
        if "running_" in name or "num_batches" in name:
            assert value.equal(before[name]), name
    assert not result.network.training


def test_closing_half_way_leaves_no_trace(recipe, network_view, network, compute):
    if not recipe.learns:
        pytest.skip("nothing to close")
    before = fingerprint(network)
    crops = finish(crops_for(recipe, network_view, CLICKS, tiling_for(network_view)))
    job = recipe.adapt(network, crops, compute=compute)
    assert isinstance(next(job), Progress)
    assert isinstance(next(job, None), Progress | None)  # the job may have ended
    job.close()
    assert fingerprint(network) == before
    assert all(p.grad is None for p in network.parameters())


def test_no_clicks_teach_nothing(recipe, network_view, network, compute):
    result = run(recipe, network_view, network, compute, clicks=Clicks())
    assert fingerprint(result.network) == fingerprint(network)


@pytest.mark.parametrize("name", [n for n, r in RECIPES.items() if hasattr(r, "passes")])
def test_the_loss_on_the_clicks_goes_down(name, network_view, network, compute):
    chosen = {"rate": 1e-3, "adopt": "full"} if name == "held-out" else {"rate": 1e-4}
    recipe = recipe_named(name, passes=10, **chosen)
    result = run(recipe, network_view, network, compute)
    assert result.losses[-1] < result.losses[0]


def test_paper_is_equation_1_as_written_in_the_method():
    paper = RECIPES["paper"]
    assert (paper.optimiser, paper.rate, paper.passes, paper.batch) == ("sgd", 2e-7, 10, "one")
    assert (paper.regulariser, paper.norm_on, paper.reduction) == ("l1", "logits", "mean")
    assert (paper.parameters, paper.crops, paper.anchor) == ("all", "tiles", "theta0")


def test_equation_1_against_a_direct_computation(network_view, network, compute):
    """The first loss of a pass, computed with NumPy from the logits."""
    recipe = Disca(parameters="all", passes=1, rate=0.0, crops="tiles", weight=0.5)
    other = run(Disca(rate=0.01, passes=2), network_view, network, compute).network
    recipe = replace(recipe, start="current")
    result = run(recipe, network_view, network, compute, current=other)
    pixels = torch.from_numpy(network_view.read(tiling_for(network_view)[0].read))[None]
    zero = torch.zeros(1, 3, *pixels.shape[2:])
    with torch.no_grad():
        now, then = other(pixels, zero)[0].numpy(), network(pixels, zero)[0].numpy()
    rows, cols, labels = CLICKS.arrays()
    clicked = now[:, rows, cols].astype(np.float64)
    log_softmax = clicked - np.log(np.exp(clicked).sum(axis=0))
    entropy = -log_softmax[labels, np.arange(3)].mean()
    expected = entropy + 0.5 * np.abs(now - then).mean()
    assert result.losses[0] == pytest.approx(expected, rel=1e-4)


def test_guidance_is_hidden_while_learning(network_view, network, compute, monkeypatch):
    """With the guidance visible the clicked classes would be read, not learned."""
    seen = []
    for name in ("forward", "features"):
        original = getattr(type(network), name)

        def spy(self, image, guidance, *rest, original=original):
            seen.append(0.0 if guidance is None else float(guidance.abs().max()))
            return original(self, image, guidance, *rest)

        monkeypatch.setattr(type(network), name, spy)
    run(Disca(passes=2), network_view, network, compute)
    assert seen
    assert max(seen) == 0.0
    seen.clear()
    run(recipe_named("authors-plugin", passes=1), network_view, network, compute)
    assert max(seen) > 0.0, "its anchor is the guided map"


def test_batchnorm_recipe_changes_scales_and_shifts_only(network_view, network, compute):
    result = run(Disca(passes=2), network_view, network, compute)
    changed = Delta.between(result.network, network).tensors
    norms = {
        f"{name}.{kind}"
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for kind in ("weight", "bias")
    }
    assert changed
    assert set(changed) <= norms


def test_a_rate_that_explodes_is_refused(network_view, network, compute):
    recipe = Disca(parameters="all", optimiser="sgd", rate=1.0, passes=3, regulariser="none")
    with torch.no_grad():
        network.head[-1].weight.fill_(3e38)
    with pytest.raises(RecipeError, match="not finite"):
        run(recipe, network_view, network, compute)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": -1.0},
        {"passes": 0},
        {"optimiser": "lbfgs"},
        {"weight": float("nan")},
        {"crop_size": 7},
        {"crop_size": 64.5},
        {"passes": 2.5},
        {"passes": True},
        {"rate": "1e-3"},
        {"rate": None},
    ],
)
def test_impossible_fields_are_one_clear_line(wrong):
    with pytest.raises(RecipeError) as error:
        recipe_named("held-out", **wrong)
    assert next(iter(wrong)) in str(error.value)
    assert "\n" not in str(error.value)


def test_numpys_numbers_are_numbers():
    assert recipe_named("held-out", rate=np.float64(1e-3)) == recipe_named("held-out")
    assert type(checked_seed(np.int64(3))) is int


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, None, "1", True])
def test_what_is_no_seed_is_one_clear_line(seed):
    with pytest.raises(RecipeError, match=r"^seed = .* is not a whole number from 0 to 2\^63 - 1$"):
        checked_seed(seed)


def test_unknown_recipes_and_fields():
    with pytest.raises(RecipeError, match="choose one of disir, paper"):
        recipe_named("nonsense")
    with pytest.raises(RecipeError, match="no field 'speed'"):
        recipe_named("default", speed=3)


@pytest.mark.parametrize("parameters", ["decoder", "decoder batchnorm"])
def test_the_encoder_stays_where_only_the_decoder_learns(
    parameters, network_view, network, compute
):
    result = run(Disca(passes=3, rate=1e-3, parameters=parameters), network_view, network, compute)
    changed = {name.partition(".")[0] for name in Delta.between(result.network, network).tensors}
    assert changed
    assert not changed & set(network.encoder_modules)
    assert encoder_fingerprint(result.network) == encoder_fingerprint(network)
    assert result.losses[-1] < result.losses[0]


def test_a_network_that_does_not_say_what_its_encoder_is(
    network_view, network, compute, monkeypatch
):
    monkeypatch.setattr(type(network), "encoder_modules", ())
    with pytest.raises(RecipeError, match="parameters = batchnorm or all"):
        run(Disca(passes=1, parameters="decoder"), network_view, network, compute)


def test_stops_when_there_is_nothing_left_to_learn(network_view, network, compute):
    slow = run(Disca(passes=12, rate=1e-9, tolerance=1e-3), network_view, network, compute)
    assert slow.steps == 4, "three passes that brought nothing, after the first"
    assert len(slow.losses) == 5
    never = run(Disca(passes=12, rate=1e-9, tolerance=0.0), network_view, network, compute)
    assert never.steps == 12
    learning = run(Disca(passes=12, rate=1e-3), network_view, network, compute)
    assert learning.steps == 12


def test_crops_learn_the_same_together_as_one_by_one(network_view, network, compute, monkeypatch):
    """A pass's gradient is the sum over its crops, however many run at once."""
    recipe = Disca(passes=2, rate=1e-3, crop_size=64)
    together = run(recipe, network_view, network, compute)
    monkeypatch.setattr("napari_disca.recipes.disca._most_together", lambda compute: 1)
    one_by_one = run(recipe, network_view, network, compute)
    assert together.steps == one_by_one.steps == 2
    np.testing.assert_allclose(together.losses, one_by_one.losses, rtol=1e-3)
