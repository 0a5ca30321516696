"""Adaptation in function space: a Gaussian process on the encoder's features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network
from napari_disca.recipes.feature_points import FeaturePoints, thinned
from napari_disca.recipes.function_space import _CLICK_NOISE, FunctionSpace, _sharpening, _targets

SIDE = 128
#: Colours of what is seen: grass, roof, bare ground.
COLOURS = np.array([[0.2, 0.6, 0.2], [0.8, 0.3, 0.2], [0.7, 0.6, 0.4]], dtype=np.float32)


class ByColour(Network):
    """Sees colours, and takes everything for the first class."""

    multiple = 8
    encoder_modules = ("pool",)

    def encode(self, image, guidance):
        return (F.avg_pool2d(image, 8),)

    def decode(self, features):
        (colours,) = features
        batch, _, height, width = colours.shape
        logits = torch.zeros(batch, len(self.card.classes), height * 8, width * 8)
        logits[:, 0] = 2.0
        return logits


@pytest.fixture
def by_colour(network):
    classes = network.card.classes
    return ByColour(replace(network.card, classes=classes)).eval()


def scene(seed=0):
    """Cells of 8 pixels, each of one colour; and which."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, (SIDE // 8, SIDE // 8))
    wide = np.kron(kinds, np.ones((8, 8), dtype=np.intp))
    noise = rng.normal(0, 0.02, (SIDE, SIDE, 3)).astype(np.float32)
    return (COLOURS[wide] + noise).transpose(2, 0, 1), wide


def crop(image, clicks=(), checked=()):
    def columns(triples):
        table = np.array(triples, dtype=np.intp).reshape(-1, 3)
        return table[:, 0], table[:, 1], table[:, 2]

    return Crop(
        Window(0, 0, SIDE, SIDE),
        image,
        np.zeros((3, SIDE, SIDE), dtype=np.float32),
        np.ones((SIDE, SIDE), dtype=np.bool_),
        *columns(clicks),
        *columns(checked),
    )


def places(wide, kind, count, label):
    rows, cols = np.nonzero(wide == kind)
    step = len(rows) // count
    return [(int(rows[i * step]), int(cols[i * step]), label) for i in range(count)]


#: Middles of the cells; the residual is interpolated between them.
MIDDLES = (slice(4, None, 8), slice(4, None, 8))


def corrected(network, correction, image):
    """Labels in the middles of the cells after the correction, and the change everywhere."""
    box = Window.whole((SIDE, SIDE))
    with torch.inference_mode():
        features = network.features(torch.from_numpy(image)[None], None, box)
        plain = network.decode_window(features, box)
        similar = network.similarity_features(features)
        change = correction.change(similar, plain, box, 8)
    return (plain + change)[0].argmax(dim=0).numpy()[MIDDLES], change


def adapt(network, compute, *crops, recipe=None, **options):
    return finish((recipe or FunctionSpace()).adapt(network, crops, compute=compute, **options))


def test_five_clicks_on_roofs_bring_all_roofs(by_colour, compute):
    image, wide = scene()
    result = adapt(by_colour, compute, crop(image, places(wide, 1, 5, 1)))
    labels, _ = corrected(by_colour, result.correction, image)
    assert (labels[wide[MIDDLES] == 1] == 1).mean() > 0.95
    assert (labels[wide[MIDDLES] != 1] == 0).mean() > 0.95
    assert result.network is by_colour
    assert "similar places elsewhere change too" in result.note
    assert "of 5 corrections follow from the other clicks" in result.note


def test_two_kinds_of_clicks_keep_apart(by_colour, compute):
    image, wide = scene(1)
    clicks = places(wide, 1, 4, 1) + places(wide, 2, 4, 2)
    labels, _ = corrected(
        by_colour, adapt(by_colour, compute, crop(image, clicks)).correction, image
    )
    for kind in range(3):
        assert (labels[wide[MIDDLES] == kind] == kind).mean() > 0.9


def test_only_transitions_that_were_clicked_are_made(by_colour, compute):
    image, wide = scene(2)
    result = adapt(by_colour, compute, crop(image, places(wide, 1, 3, 1)))
    assert result.correction.transitions.nonzero().tolist() == [[0, 1]]
    _, change = corrected(by_colour, result.correction, image)
    assert change.min() >= 0
    assert not change[:, [0, 2]].any()


def test_clicks_that_confirm_change_nothing(by_colour, compute):
    image, wide = scene(3)
    result = adapt(by_colour, compute, crop(image, places(wide, 0, 6, 0)))
    assert result.correction.empty
    labels, _ = corrected(by_colour, result.correction, image)
    assert not labels.any()
    assert "all 6 clicks confirm the network's map" in result.note


def test_checked_pixels_hold_what_looks_like_them(by_colour, compute):
    # Bare ground is close to roofs in colour; a bold correction would take it along.
    image, wide = scene(4)
    bold = FunctionSpace(hold=500.0, sharpness=0.3)
    clicks = places(wide, 1, 3, 1)
    free, _ = corrected(
        by_colour, adapt(by_colour, compute, crop(image, clicks), recipe=bold).correction, image
    )
    checked = places(wide, 2, 40, 0)
    result = adapt(by_colour, compute, crop(image, clicks, checked), recipe=bold)
    labels, _ = corrected(by_colour, result.correction, image)
    assert (labels[wide[MIDDLES] == 2] == 0).mean() >= (free[wide[MIDDLES] == 2] == 0).mean()
    assert (labels[wide[MIDDLES] == 2] == 0).mean() > 0.9
    assert (labels[wide[MIDDLES] == 1] == 1).mean() > 0.9


def test_strength_scales_the_change(by_colour, compute):
    image, wide = scene(5)
    correction = adapt(by_colour, compute, crop(image, places(wide, 1, 3, 1))).correction
    _, once = corrected(by_colour, correction, image)
    _, twice = corrected(by_colour, correction.with_strength(2.0), image)
    torch.testing.assert_close(twice, 2 * once)
    assert correction.with_strength(0.0).empty


def test_the_order_of_clicks_within_a_crop_does_not_matter(by_colour, compute):
    image, wide = scene(6)
    clicks = places(wide, 1, 4, 1) + places(wide, 2, 3, 2)
    first = adapt(by_colour, compute, crop(image, clicks)).correction
    second = adapt(by_colour, compute, crop(image, clicks[::-1])).correction
    _, one = corrected(by_colour, first, image)
    _, other = corrected(by_colour, second, image)
    torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_a_click_elsewhere_leaves_a_tiles_anchors_where_they_are(by_colour, compute):
    image, wide = scene(7)
    recipe = FunctionSpace(anchors=20)
    few = adapt(by_colour, compute, crop(image, places(wide, 1, 2, 1)), recipe=recipe).correction
    more = adapt(by_colour, compute, crop(image, places(wide, 1, 3, 1)), recipe=recipe).correction
    torch.testing.assert_close(few.points[2:], more.points[3:])


def test_left_out_answers_are_those_of_the_others(by_colour, compute):
    """The closed form of `FunctionSpace` against solving again without each click."""
    image, wide = scene(8)
    clicks = places(wide, 1, 4, 1) + places(wide, 2, 1, 2)
    result = adapt(by_colour, compute, crop(image, clicks))
    right = 0
    for left_out in range(len(clicks)):
        others = [c for i, c in enumerate(clicks) if i != left_out]
        # As loosely held and as sharp as with all clicks.
        count, all_ = len(others), len(clicks)
        recipe = FunctionSpace(
            hold=12.0 * (count / all_) ** 0.5, sharpness=(1 + 0.1 * all_) / (1 + 0.1 * count)
        )
        correction = adapt(by_colour, compute, crop(image, others), recipe=recipe).correction
        row, col, label = clicks[left_out]
        with torch.inference_mode():
            features = by_colour.features(
                torch.from_numpy(image)[None], None, Window.whole((SIDE, SIDE))
            )
            residual = correction.residual(by_colour.similarity_features(features))
        logits = torch.tensor([2.0, 0.0, 0.0]) + residual[0, :, row // 8, col // 8]
        right += int(logits.argmax()) == label
    assert result.right_after == right


def test_a_target_lifts_the_class_by_what_it_lacks():
    places = FeaturePoints(
        torch.zeros(3, 2),
        torch.tensor([[3.0, 1.0, 0.0], [0.0, 4.0, 3.5], [5.0, 0.0, 0.0]]),
        torch.tensor([1, 1, 0]),
        torch.full((3,), _CLICK_NOISE),
    )
    targets, transitions = _targets(places, margin=2.0)
    # Lacks 2, shall lead by 2: half up, half down. What is right asks for nothing.
    assert targets.tolist() == [[-2.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert transitions.nonzero().tolist() == [[0, 1]]


def test_of_very_many_places_the_most_different_are_kept(monkeypatch):
    from napari_disca.inference.correction import FeatureSpace
    from napari_disca.recipes import feature_points

    monkeypatch.setattr(feature_points, "_MOST_POINTS", 8)
    rng = torch.Generator().manual_seed(0)
    kinds = torch.eye(4).repeat_interleave(25, dim=0) + 0.01 * torch.rand(100, 4, generator=rng)
    all_places = FeaturePoints(
        kinds, torch.zeros(100, 2), torch.zeros(100, dtype=torch.long), torch.full((100,), 0.01)
    )
    chosen = thinned(all_places, FeatureSpace.of(kinds, ()))
    assert len(chosen.labels) == 8
    assert set(chosen.features.argmax(dim=1).tolist()) == {0, 1, 2, 3}


def test_where_the_network_is_sure_a_place_must_look_more_like_a_click():
    unsure, usual, sure = (torch.full((5,), p) for p in (0.5, 0.86, 0.99))
    assert _sharpening(1, unsure) == pytest.approx(1.1)
    assert _sharpening(1, usual) == pytest.approx(1.1)
    assert _sharpening(1, sure) == pytest.approx(1.65)
    assert _sharpening(10, torch.full((5,), 0.9)) == pytest.approx(2 * 1.4)
    # At most three times as sharp, however many clicks there are, and however sure it is.
    assert _sharpening(100, sure) == _sharpening(20, usual) == 3.0
    assert _sharpening(1, torch.empty(0)) == pytest.approx(1.1)


def test_in_a_large_image_anchors_hold_more_loosely(by_colour, compute):
    image, wide = scene(9)
    seen = crop(image, places(wide, 1, 6, 1))

    def change(recipe: FunctionSpace, pixels: int | None):
        facts = finish(recipe.image_facts(by_colour, [seen], compute=compute, pixels=pixels))
        result = finish(recipe.adapt(by_colour, [seen], compute=compute, facts=facts))
        return corrected(by_colour, result.correction, image)[1]

    given = change(FunctionSpace(), None)
    torch.testing.assert_close(change(FunctionSpace(), 900 * 900), given)
    # Three times the side: anchors as noisy as with three times the hold.
    large = change(FunctionSpace(), 2700 * 2700)
    torch.testing.assert_close(large, change(FunctionSpace(hold=36.0), None))
    assert large.abs().mean() > given.abs().mean()
    # Without end they would hold nothing.
    torch.testing.assert_close(
        change(FunctionSpace(), 20_000 * 20_000), change(FunctionSpace(hold=60.0), None)
    )
