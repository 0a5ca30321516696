from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_card, make_network, write_image
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import Guidance
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import ClicksByPretrained, NetworkAnswer, Source
from napari_disca.inference.features import FeatureCache
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tile_batch import Batch, Tools
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks.compute import Compute
from napari_disca.raster import ValueScale, open_raster
from napari_disca.raster.values.fill import Fill
from napari_disca.storage.label_pyramid import NO_DATA

NO_CLICKS = Clicks()


def whole_map(network, raster, compute, clicks=NO_CLICKS, **options):
    network_view = NetworkView(raster, network.card, **options)
    tiling = tiling_for(network_view)
    assigned = TileClicks.assign(clicks, network_view, tiling)
    predictor = Predictor(network, network_view, compute)
    labels = np.full(raster.shape, 77, np.uint8)
    for tile in tiling:
        window, patch = predictor.labels(tile, assigned.of(tile))
        assert (labels[window.slices] == 77).all(), "a pixel is kept from one tile only"
        labels[window.slices] = patch
    assert (labels != 77).all()
    return labels


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (33, 31), (150, 200), (513, 600)])
def test_any_size_gives_a_complete_map(shape, network, compute):
    rng = np.random.default_rng(0)
    raster = open_raster(rng.integers(0, 255, (*shape, 3), dtype=np.uint8))
    labels = whole_map(network, raster, compute)
    assert labels.max() < 3


def test_a_small_image_equals_the_bare_network(image, network, compute):
    labels = whole_map(network, open_raster(image), compute)
    pixels = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    with torch.no_grad():
        expected = network(pixels, torch.zeros(1, 3, *pixels.shape[2:]))[0].argmax(0).numpy()
    assert (labels == expected).mean() > 0.999  # rounding may decide a tie


def test_pixels_without_data_are_no_data(image, network, compute, tmp_path):
    pixels = np.maximum(image, 1).transpose(2, 0, 1)
    pixels[:, :40] = 0
    path = write_image(tmp_path / "holes.tif", pixels, nodata=0)
    labels = whole_map(network, open_raster(path), compute)
    assert (labels[:40] == NO_DATA).all()
    assert (labels[40:] != NO_DATA).all()


def test_all_no_data_needs_no_network(compute):
    class Exploding(torch.nn.Module):
        card = make_card()

        def forward(self, image, guidance):
            raise AssertionError("asked for a tile without data")

    raster = open_raster(np.full((60, 70, 3), np.nan, np.float32))
    decided = ValueScale((0.0,) * 3, (1.0,) * 3, Fill.none(3), "decided before")
    assert (whole_map(Exploding(), raster, compute, scaling=decided) == NO_DATA).all()


@pytest.mark.parametrize("factor", [0.3, 0.77, 1.9])
def test_resampled_maps_cover_the_images_own_grid(factor, image, network, compute):
    labels = whole_map(network, open_raster(image), compute, factor=factor)
    assert labels.shape == image.shape[:2]
    assert labels.max() < 3


def test_clicks_reach_exactly_the_tiles_that_read_their_cones(network):
    network_view = NetworkView(open_raster(np.zeros((1300, 1100, 3), np.uint8)), network.card)
    tiling = tiling_for(network_view)
    reach = network.card.guidance.reach
    clicks = Clicks((Click(0, 0, 0), Click(700, 448 + 64 + reach - 1, 1), Click(1299, 1099, 2)))
    assigned = TileClicks.assign(clicks, network_view, tiling)
    for tile in tiling:
        drawn = network.card.guidance.draw(clicks, tile.read, 3, network_view.shape)
        alone = network.card.guidance.draw(assigned.of(tile), tile.read, 3, network_view.shape)
        np.testing.assert_array_equal(drawn, alone)
        if drawn.any():
            assert len(assigned.of(tile))


def test_tiles_agree_with_the_whole_image_away_from_their_borders(compute):
    """The halo is what the network needs: kept pixels hardly depend on where tiles are cut."""
    network = make_network()
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)
    image = np.kron(coarse, np.ones((17, 17, 1), np.uint8))
    raster = open_raster(image)
    tiled = whole_map(network, raster, compute)
    network_view = NetworkView(raster, network.card)
    whole = Predictor(network, network_view, compute).logits(Window.whole(raster.shape), Clicks())
    middle = (slice(0, 300), slice(0, 300))
    assert (tiled[middle] == whole.argmax(0).numpy()[middle]).mean() > 0.99


@st.composite
def _changes(draw):
    """Clicks, and what becomes of them verb by verb."""
    anywhere = st.tuples(st.integers(0, 699), st.integers(0, 499), st.integers(0, 2))
    # Of these several fall on one pixel of a coarser grid.
    close = st.tuples(st.integers(300, 306), st.integers(200, 206), st.integers(0, 2))
    pixel = anywhere | close
    states = [Clicks(tuple(Click(*p) for p in draw(st.lists(pixel, max_size=12))))]
    for _ in range(draw(st.integers(1, 6))):
        now = states[-1]
        verb = draw(st.sampled_from(["add", "add", "remove", "move", "back", "none"]))
        if verb == "add":
            states.append(now.added(Click(*draw(pixel))))
        elif verb == "back":
            states.append(draw(st.sampled_from(states)))
        elif verb == "none" or not now:
            states.append(Clicks())
        else:
            old = draw(st.sampled_from(now.items))
            states.append(
                now.removed(old) if verb == "remove" else now.replaced(old, Click(*draw(pixel)))
            )
    return states


@given(_changes(), st.sampled_from([1.0, 0.4, 1.7]), st.sampled_from(["cone", "authors"]))
@settings(max_examples=60, deadline=None)
def test_clicks_assigned_step_by_step_are_those_assigned_at_once(states, factor, drawing):
    card = make_card(guidance=Guidance(drawing, radius=12))
    network_view = NetworkView(open_raster(np.zeros((700, 500, 3), np.uint8)), card, factor=factor)
    tiling = Tiling(network_view.shape, 128, 16)
    updated = TileClicks({})
    for clicks in states:
        updated = updated.updated(clicks, network_view, tiling)
        anew = TileClicks.assign(clicks, network_view, tiling)
        assert dict(updated.by_tile) == dict(anew.by_tile)
        for tile in tiling:
            assert updated.digest(tile.index) == anew.digest(tile.index)


class Elsewhere(Compute):
    """A device whose memory may be full; it is the CPU in disguise."""

    @property
    def last_resort(self) -> bool:
        return False


class Filling(torch.nn.Module):
    """A network that finds the memory full for some of its calls."""

    encoder = ()

    def __init__(self, network, full):
        super().__init__()
        self.network, self.card = network, network.card
        self.calls = 0
        self.full = full
        self.copies = 0

    def features(self, image, guidance, keep):
        self.calls += 1
        if self.calls in self.full:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return self.network.features(image, guidance, keep)

    def decode_window(self, features, keep):
        return self.network.decode_window(features, keep)

    def __deepcopy__(self, memo):
        self.copies += 1
        # The first copy is made ready for the device; what has moved to the CPU finds room.
        return self if self.copies == 1 else self.network


def test_a_full_device_goes_on_on_the_cpu_and_says_so(image, network, compute):
    network_view = NetworkView(open_raster(image), network.card)
    (tile,) = tiling_for(network_view)
    elsewhere = Elsewhere(compute.device, compute.dtype)
    _, expected = Predictor(network, network_view, compute).labels(tile, NO_CLICKS)
    # For a moment only: nothing to say.
    moment = Predictor(Filling(network, {1}), network_view, elsewhere)
    np.testing.assert_array_equal(moment.labels(tile, NO_CLICKS)[1], expected)
    assert moment.notes() == []
    # For good.
    filling = Filling(network, set(range(100)))
    predictor = Predictor(filling, network_view, elsewhere)
    for _ in range(2):
        np.testing.assert_array_equal(predictor.labels(tile, NO_CLICKS)[1], expected)
    assert filling.calls == 2, "it must not be tried again for every tile"
    assert [note.text for note in predictor.notes()] == [
        "The memory of the cpu device is full: continuing on the CPU"
    ]
    assert predictor.notes() == []


def test_a_full_device_takes_fewer_tiles_at_once(image, network, compute):
    network_view = NetworkView(open_raster(image), network.card)
    (tile,) = tiling_for(network_view)
    _, expected = Predictor(network, network_view, compute).labels(tile, NO_CLICKS)
    predictor = Predictor(
        Filling(network, {1, 2}), network_view, Elsewhere(compute.device, compute.dtype, batch=4)
    )
    np.testing.assert_array_equal(predictor.labels(tile, NO_CLICKS)[1], expected)
    assert [note.text for note in predictor.notes()] == [
        "The memory of the cpu device is full: continuing with one tile at a time"
    ]


def test_a_full_cpu_is_an_error(image, network, compute):
    network_view = NetworkView(open_raster(image), network.card)
    (tile,) = tiling_for(network_view)
    with pytest.raises(torch.OutOfMemoryError):
        Predictor(Filling(network, {1}), network_view, compute).labels(tile, NO_CLICKS)


@pytest.mark.parametrize("shape", [(1 << 30, 1 << 30), (1, 1 << 40), (1 << 20, 1 << 19)])
def test_an_absurd_size_is_refused_before_anything_is_counted(shape, network):
    class Absurd:
        name = "absurd.tif"

    network_view = Absurd()
    network_view.raster, network_view.shape = Absurd(), shape
    network_view.raster.shape = shape
    with pytest.raises(RasterError, match=r"absurd\.tif has .* more than can be corrected"):
        tiling_for(network_view)


@pytest.fixture
def learned(network):
    """A network that has learned: it says something else everywhere."""
    with torch.no_grad():  # one drawn by lot hardly feels a click
        network.stem[0].weight[:, 3:] *= 20
    other = make_network(network.card)
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        for module in other.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.bias += 0.3
    return other


def joint(learned, network):
    """The pretrained network reads the clicks, the adapted one draws the rest."""
    return ClicksByPretrained(Source(learned), Source(network))


def logits_of(network, network_view, clicks, compute):
    return Predictor(network, network_view, compute).logits(
        Window.whole(network_view.shape), clicks
    )


def test_the_pretrained_network_reads_the_clicks_where_they_are_felt(
    image, network, learned, compute
):
    network_view = NetworkView(open_raster(image), network.card)
    clicks = Clicks((Click(70, 90, 2),))
    whole = Window.whole(network_view.shape)
    joined = Predictor(joint(learned, network), network_view, compute).logits(whole, clicks)
    guided = logits_of(network, network_view, clicks, compute)
    plain = logits_of(network, network_view, NO_CLICKS, compute)
    adapted = logits_of(learned, network_view, NO_CLICKS, compute)
    felt = (guided - plain).abs().amax(dim=0)
    assert felt.max() > 0.5 > felt.min(), "the click is felt in a part of the image only"
    torch.testing.assert_close(joined[:, felt >= 0.5], guided[:, felt >= 0.5])
    share = (felt / 0.5).clamp(max=1)
    torch.testing.assert_close(joined, share * guided + (1 - share) * adapted)
    assert not torch.allclose(joined, logits_of(learned, network_view, clicks, compute))


def test_tiles_without_clicks_are_the_adapted_networks(image, network, learned, compute):
    network_view = NetworkView(open_raster(image), network.card)
    tile = tiling_for(network_view)[0]
    _, joined = Predictor(joint(learned, network), network_view, compute).labels(tile, NO_CLICKS)
    _, adapted = Predictor(learned, network_view, compute).labels(tile, NO_CLICKS)
    np.testing.assert_array_equal(joined, adapted)


@pytest.fixture
def passes(monkeypatch):
    """Names of the networks' passes, by whether there was guidance."""
    from napari_disca.networks.linknet import LinkNet

    seen = []
    features = LinkNet.features

    def counted(self, image, guidance, keep):
        seen.append(guidance is not None)
        return features(self, image, guidance, keep)

    monkeypatch.setattr(LinkNet, "features", counted)
    return seen


def test_another_click_in_a_tile_asks_only_for_what_it_changes(
    image, network, learned, compute, passes
):
    network_view = NetworkView(open_raster(image), network.card)
    tile = tiling_for(network_view)[0]
    first = Clicks((Click(70, 90, 2),))
    second = first.added(Click(30, 40, 0))

    def predictors(*names, **tools):
        pretrained, adapted = map(Source, (network, learned), names or ("", ""))
        shared = Tools(network_view, **tools)
        answers = NetworkAnswer(pretrained), ClicksByPretrained(adapted, pretrained)
        return [Predictor(answer, network_view, compute, shared) for answer in answers]

    expected = [
        predictor.labels(tile, clicks)[1]
        for clicks in (first, second)
        for predictor in predictors()
    ]
    assert len(passes) == 2 * (1 + 3)
    passes.clear()
    disir, disca = predictors("theta0", "learned", logits=FeatureCache())
    found = [p.labels(tile, clicks)[1] for clicks in (first, second) for p in (disir, disca)]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert passes == [True, False, False, True]
    assert len(disca._tools.networks._copies) == 2, "one copy of each for both"


def test_a_tiles_pixels_are_converted_once_for_all_networks(
    image, network, learned, compute, monkeypatch
):
    network_view = NetworkView(open_raster(image), network.card)
    tile = tiling_for(network_view)[0]
    converted = []
    images = Batch._images_of
    monkeypatch.setattr(
        Batch, "_images_of", lambda self, asked: converted.append(1) or images(self, asked)
    )
    predictor = Predictor(joint(learned, network), network_view, compute)
    predictor.labels(tile, Clicks((Click(70, 90, 2),)))
    assert len(converted) == 1


def test_a_full_device_takes_both_networks_to_the_cpu(image, network, learned, compute):
    network_view = NetworkView(open_raster(image), network.card)
    tile = tiling_for(network_view)[0]
    clicks = Clicks((Click(70, 90, 2),))
    _, expected = Predictor(joint(learned, network), network_view, compute).labels(tile, clicks)
    elsewhere = Elsewhere(compute.device, compute.dtype)
    answer = joint(Filling(learned, set(range(100))), network)
    filling = Predictor(answer, network_view, elsewhere)
    np.testing.assert_array_equal(filling.labels(tile, clicks)[1], expected)
    assert [note.text for note in filling.notes()] == [
        "The memory of the cpu device is full: continuing on the CPU"
    ]
