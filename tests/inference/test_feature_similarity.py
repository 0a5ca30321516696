"""What is learned counts for pixels that look like a click."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from builders import make_network, make_tiny_network, set_tiles
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.composition import ClicksByPretrained
from napari_disca.inference.feature_similarity import FeatureSimilarity, learned_similarity
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import tiling_for
from napari_disca.inference.uncertainty import cells_of
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.recipes import Automatic, crops_for
from napari_disca.session.session import Session

CPU = Compute(torch.device("cpu"), torch.float32)
QUICK = Automatic(passes=3, rate=3e-2, crop_size=64, adopt="full")
CLICKS = Clicks((Click(20, 30, 1), Click(80, 150, 2), Click(120, 60, 0)))
#: They leave tiles without a click.
IN_A_CORNER = Clicks((Click(12, 14, 1), Click(20, 8, 2), Click(6, 20, 0)))


@given(st.integers(1, 200), st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_closest_is_the_largest_cosine_of_each_class(count, seed):
    made = torch.Generator().manual_seed(seed)
    clicks = F.normalize(torch.randn(count, 5, generator=made), dim=1)
    labels = torch.randint(0, 3, (count,), generator=made)  # class 3 has none
    pixels = torch.randn(2, 5, 4, 6, generator=made)
    found = FeatureSimilarity(clicks, labels, 4, 0.8).closest(pixels)
    for label in range(4):
        own = clicks[labels == label]
        expected = (
            torch.einsum("nd,bdhw->bnhw", own, F.normalize(pixels, dim=1)).amax(1)
            if len(own)
            else torch.full((2, 4, 6), -1.0)
        )
        torch.testing.assert_close(found[:, label], expected)


def test_a_class_counts_where_its_own_clicks_are_alike():
    logits = torch.tensor([[[[1.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]]]])
    closest = torch.tensor([[[[0.9, 0.5, 0.9]], [[0.0, 0.9, 0.7]]]])
    alike = FeatureSimilarity(torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64), 2, 0.8)
    assert alike.counts(logits, closest).flatten().tolist() == [True, False, False]


@pytest.mark.parametrize("make", [make_network, make_tiny_network])
def test_what_is_described_belongs_to_its_pixel(make):
    """The same pixel, seen from two windows, and the logits beside it are those without."""
    network = make().eval()
    image = torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(0))

    def described(keep):
        with torch.no_grad():
            features = network.features(image, None, keep)
            logits, found = network.decode_described(features, keep, lambda f: f)
            torch.testing.assert_close(logits, network.decode_window(features, keep))
        assert found.shape[-2:] == keep.shape
        return found[0]

    whole, part = Window(0, 0, 128, 160), Window(33, 46, 40, 51)
    torch.testing.assert_close(
        described(whole)[(slice(None), *part.slices)], described(part), atol=1e-4, rtol=1e-4
    )


def test_clicks_are_alike_to_themselves(image, network):
    network_view = NetworkView(open_raster(image), network.card)
    crops = finish(crops_for(QUICK, network_view, CLICKS, tiling_for(network_view)))
    alike = finish(learned_similarity(network, crops, 0.8, CPU))
    assert sorted(alike.labels.tolist()) == [0, 1, 2]
    torch.testing.assert_close(alike.features.norm(dim=1), torch.ones(3))
    crop = crops[0]
    pixels = torch.from_numpy(crop.image)[None]
    box = Window.whole(crop.valid.shape)
    with torch.no_grad():
        _, closest = network.eval().decode_described(
            network.features(pixels, None, box), box, alike.closest
        )
    own = closest[0, crop.labels, crop.rows, crop.cols]
    # At the pixel; between those of half the size it is compared with a mixture.
    torch.testing.assert_close(own, torch.ones_like(own), atol=0.1, rtol=0)


def adapted(image, least, compute, *, first=True, factor=None, clicks=CLICKS):
    """A session whose three maps are computed."""
    session = Session(open_raster(image), make_network(), compute=compute, factor=factor, seed=0)
    if first:
        finish(session.predict(), session.handle)
    session.document.set_clicks(clicks, "clicks")
    finish(session.refine(), session.handle)
    finish(session.adapt(replace(QUICK, similarity=least)), session.handle)
    session.check_complete()
    return session


def maps(image, least, compute, *, first=True, factor=None):
    """Labels of the pretrained map, DISIR and DISCA."""
    session = adapted(image, least, compute, first=first, factor=factor)
    return {name: m.read(Window.whole(session.raster.shape)) for name, m in session.maps.items()}


@pytest.fixture
def small_tiles(monkeypatch):
    set_tiles(monkeypatch, 96, 16)


@pytest.mark.parametrize("factor", [None, 0.6])
def test_elsewhere_the_pretrained_network_stays(factor, image, compute, small_tiles):
    nothing, some, all_ = (maps(image, least, compute, factor=factor) for least in (1.0, 0.6, 0.0))
    for found in (nothing, some, all_):
        np.testing.assert_array_equal(found["initial"], nothing["initial"])
    # With least 1.0 nothing is alike but clicks themselves, whose surroundings are DISIR's; so is
    # the rim of their reach, where a mixture with the map without clicks would not be.
    assert (nothing["disca"] == nothing["disir"]).mean() > 0.9995
    assert (all_["disca"] != nothing["disca"]).mean() > 0.02, "there is something to hold back"
    between = (some["disca"] == nothing["disca"]) | (some["disca"] == all_["disca"])
    assert between.mean() > 0.97  # resampled logits of a mixture may prefer a third class
    assert (some["disca"] != nothing["disca"]).any()
    assert (some["disca"] != all_["disca"]).any()


def test_the_map_is_the_same_whether_the_first_one_was_drawn(image, compute, small_tiles):
    drawn = maps(image, 0.6, compute)
    np.testing.assert_array_equal(maps(image, 0.6, compute, first=False)["disca"], drawn["disca"])


@pytest.mark.parametrize("factor", [None, 1.6])
def test_uncertainty_is_that_of_the_map_that_is_shown(factor, image, compute, small_tiles):
    nothing, some, all_, late = (
        adapted(image, least, compute, first=first, factor=factor, clicks=IN_A_CORNER)
        for least, first in ((1.0, True), (0.6, True), (0.0, True), (0.6, False))
    )
    clicked = TileClicks.assign(IN_A_CORNER, some.network_view, some.tiling).by_tile
    free = [tile for tile in some.tiling if tile.index not in clicked]
    differs = 0
    for tile in free:
        cells = cells_of(tile.keep).slices
        pretrained, held_back, part, learned = (
            session.uncertainty[name][cells].astype(int)
            for name, session in zip(
                ("initial", "disca", "disca", "disca"), (some, nothing, some, all_), strict=True
            )
        )
        np.testing.assert_array_equal(held_back, pretrained)
        low, high = np.minimum(pretrained, learned), np.maximum(pretrained, learned)
        assert ((low <= part) & (part <= high)).all()
        differs += int((part != pretrained).sum())
        assert (learned != pretrained).any(), "there is something to tell apart"
    assert differs, "where the adapted network counts it is asked"
    np.testing.assert_array_equal(late.uncertainty["disca"], some.uncertainty["disca"])


def test_a_stream_makes_the_same_map(image, network, compute, small_tiles):
    network_view = NetworkView(open_raster(image), network.card)
    recipe = replace(QUICK, similarity=0.6)
    stream, adaptation = finish(MapStream(network_view, network, compute, CLICKS).adapt(recipe))
    assert adaptation.note.startswith("adapted fully: as you chose")
    labels = np.zeros(image.shape[:2], np.uint8)
    for patch in stream.patches():
        labels[patch.window.slices] = patch.labels
    np.testing.assert_array_equal(labels, maps(image, 0.6, compute)["disca"])


def test_features_that_are_kept_make_the_same_map(image, network, compute, small_tiles):
    """A recipe that leaves the encoder alone decodes what is cached, similarity included."""
    recipe = replace(QUICK, similarity=0.6, parameters="decoder batchnorm")
    found = []
    for _ in range(2):
        session = Session(open_raster(image), network, compute=compute)
        session.document.set_clicks(CLICKS, "clicks")
        finish(session.adapt(recipe), session.handle)
        if found:  # the second adaptation finds the features of the first
            session.document.undo()
            session.document.set_clicks(Clicks(CLICKS.items[:1]), "fewer")
            finish(session.adapt(recipe), session.handle)
            session.document.set_clicks(CLICKS, "clicks")
            finish(session.adapt(recipe), session.handle)
        found.append(session.maps["disca"].read(Window.whole(session.raster.shape)))
    assert (found[0] == found[1]).mean() > 0.999


def test_tiles_without_a_click_alike_need_no_second_pass(image, compute, small_tiles, monkeypatch):
    """What the pretrained network says of them is on its own map."""
    session = Session(open_raster(image), make_network(), compute=compute)
    finish(session.predict(), session.handle)
    session.document.set_clicks(IN_A_CORNER, "clicks")
    asked: list[tuple[bool, int]] = []
    batch = Predictor.batch

    def spy(self, tiles, fallback=None):
        adapted = isinstance(self.answer, ClicksByPretrained)
        asked.extend((adapted, p.tile.index) for p, clicks in tiles if not clicks)
        return batch(self, tiles, fallback)

    monkeypatch.setattr(Predictor, "batch", spy)
    finish(session.adapt(replace(QUICK, similarity=0.6)), session.handle)
    clicked = TileClicks.assign(IN_A_CORNER, session.network_view, session.tiling).by_tile
    free = {tile.index for tile in session.tiling} - clicked.keys()
    assert free
    assert {index for adapted, index in asked if adapted} == free
    assert not [index for adapted, index in asked if not adapted]
