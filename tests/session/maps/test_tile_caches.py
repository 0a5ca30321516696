"""Condensed features: an adaptation asks neither encoder nor decoder again where nobody clicked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import make_network, picture_of, set_tiles
from napari_disca.batch.streaming import MapStream
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.composition import NetworkAnswer, source_of
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import build_network
from napari_disca.networks.compute import Compute
from napari_disca.networks.lite_unet import LiteUNet
from napari_disca.raster import open_raster
from napari_disca.recipes import recipe_named
from napari_disca.session.session import Session

RECIPE = recipe_named("default", anchors=16)


@pytest.fixture(scope="module")
def lite():
    torch.manual_seed(0)
    return build_network(replace(make_network().card, architecture="lite-unet", options={}))


@pytest.fixture
def picture(monkeypatch):
    """Large enough for 3 x 3 tiles."""
    set_tiles(monkeypatch, 96, 16)
    return picture_of(24, 26)


@pytest.fixture
def passes(monkeypatch):
    """What was run of the network: encoder and last layers, once a batch."""
    seen = []
    for name in ("encode_clickless", "_before_head"):
        original = getattr(LiteUNet, name)

        def spy(self, *args, original=original, name=name):
            seen.append(name)
            return original(self, *args)

        monkeypatch.setattr(LiteUNet, name, spy)
    return seen


def opened(picture, network, precision="float32", **options):
    compute = Compute.choose("cpu", precision)
    made = Session(open_raster(picture), network, compute=compute, factor=1.0, **options)
    finish(made.predict(), made.handle)
    return made


def wrong(session, row, col):
    """A class that the map does not have there."""
    said = int(session.maps["initial"].read(Window(row, col, 1, 1))[0, 0])
    return (said + 1) % 3


def adapted(session):
    finish(session.adapt(RECIPE, ("disca",)), session.handle)
    return session.maps["disca"].read(Window.whole(session.raster.shape)).copy()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_condensed_features_answer_as_the_features_do(lite, precision):
    compute = Compute.choose("cpu", precision)
    image, keep = torch.rand(2, 3, 96, 128), Window(16, 16, 60, 70)
    with torch.inference_mode(), compute.autocast():
        features = lite.features(image, None, keep)
        condensed = lite.condensed(features, keep)
        torch.testing.assert_close(
            lite.decode_window(condensed, keep), lite.decode_window(features, keep)
        )
        torch.testing.assert_close(
            lite.similarity_features(condensed), lite.similarity_features(features)
        )
    assert sum(t.nbytes for t in condensed) < sum(t.nbytes for t in features) / 3


def test_adapting_runs_the_network_only_where_somebody_clicked(picture, lite, passes):
    session = opened(picture, lite)
    session.document.click(112, 112, wrong(session, 112, 112))
    passes.clear()
    changed = adapted(session)
    assert len(session.tiling) == 9
    # Tiles that the click reaches from beside what they keep ask for its class in one window.
    assert passes.count("encode_clickless") <= 1
    assert passes.count("_before_head") < 9, "the decoder reads the click, where it is felt"
    assert (changed != session.maps["initial"].read(Window.whole(session.raster.shape))).any()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_map_does_not_depend_on_what_was_kept(picture, lite, precision):
    warm = opened(picture, lite, precision)
    places = [(row, col, wrong(warm, row, col)) for row, col in ((20, 30), (100, 150))]
    for place in places:
        warm.document.click(*place)
    first = adapted(warm)
    cold = Session(open_raster(picture), lite, compute=warm.compute, factor=1.0)
    for place in places:
        cold.document.click(*place)
    np.testing.assert_array_equal(adapted(cold), first)
    stream = MapStream(warm.network_view, lite, warm.compute, warm.document.clicks)
    stream, _ = finish(stream.adapt(RECIPE))
    predictor = Predictor(stream.answer, warm.network_view, warm.compute)
    clicks = warm._renderer.assigned(warm.document.clicks)
    for tile in tiling_for(warm.network_view):
        window, labels = predictor.labels(tile, clicks.of(tile))
        np.testing.assert_array_equal(labels, first[window.slices])


def test_pixels_are_not_read_of_a_tile_whose_condensed_features_are_kept(picture, lite):
    session = opened(picture, lite)
    answer = NetworkAnswer(source_of(lite, session._weights.weights))
    predictor = Predictor(answer, session.network_view, session.compute, session._caches.tools)
    session._caches.features._in_memory.clear()
    tile = session.tiling[4]
    assert predictor.knows(tile, session.document.clicks)


def test_disk_is_shared_between_features_and_condensed_ones(picture, lite):
    session = opened(picture, lite)
    session.allow_disk(8 << 30)
    assert session._caches.disk == 8 << 30
    assert session._caches.condensed.disk == 2 << 30
