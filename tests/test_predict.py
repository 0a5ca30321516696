from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import make_card, make_network
from napari_disca.canvas import NO_DATA
from napari_disca.clicks import Click, Clicks
from napari_disca.inputs import NetworkInput
from napari_disca.predict import Predictor, TileClicks, tiling_for
from napari_disca.raster import open_raster
from napari_disca.tiling import Tiling, Window

NO_CLICKS = Clicks()


def whole_map(network, raster, compute, clicks=NO_CLICKS, **options):
    inputs = NetworkInput(raster, network.card, **options)
    tiling = tiling_for(inputs)
    assigned = TileClicks.assign(clicks, inputs, tiling)
    predictor = Predictor(network, inputs, compute)
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
    import rasterio

    image[:40] = 0
    with rasterio.open(
        tmp_path / "holes.tif",
        "w",
        driver="GTiff",
        height=150,
        width=200,
        count=3,
        dtype="uint8",
        nodata=0,
        crs="EPSG:32631",
        transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6),
    ) as file:
        file.write(np.maximum(image, 1).transpose(2, 0, 1))
        file.write(np.zeros((3, 40, 200), np.uint8), window=rasterio.windows.Window(0, 0, 200, 40))
    labels = whole_map(network, open_raster(tmp_path / "holes.tif"), compute)
    assert (labels[:40] == NO_DATA).all()
    assert (labels[40:] != NO_DATA).all()


def test_all_no_data_needs_no_network(compute):
    class Exploding(torch.nn.Module):
        card = make_card()

        def forward(self, image, guidance):
            raise AssertionError("asked for a tile without data")

    raster = open_raster(np.full((60, 70, 3), np.nan, np.float32))
    assert (whole_map(Exploding(), raster, compute) == NO_DATA).all()


@pytest.mark.parametrize("factor", [0.3, 0.77, 1.9])
def test_resampled_maps_cover_the_images_own_grid(factor, image, network, compute):
    labels = whole_map(network, open_raster(image), compute, factor=factor)
    assert labels.shape == image.shape[:2]
    assert labels.max() < 3


def test_clicks_reach_exactly_the_tiles_that_read_their_cones(network):
    inputs = NetworkInput(open_raster(np.zeros((1300, 1100, 3), np.uint8)), network.card)
    tiling = tiling_for(inputs)
    reach = network.card.guidance.reach
    clicks = Clicks((Click(0, 0, 0), Click(700, 448 + 64 + reach - 1, 1), Click(1299, 1099, 2)))
    assigned = TileClicks.assign(clicks, inputs, tiling)
    for tile in tiling:
        drawn = network.card.guidance.draw(clicks, tile.read, 3, inputs.shape)
        alone = network.card.guidance.draw(assigned.of(tile), tile.read, 3, inputs.shape)
        np.testing.assert_array_equal(drawn, alone)
        if drawn.any():
            assert len(assigned.of(tile))


def test_states_tell_clicks_and_weights_apart():
    tile = Tiling((100, 100))[0]
    one = TileClicks({0: Clicks((Click(1, 2, 0),))})
    two = TileClicks({0: Clicks((Click(1, 2, 1),))})
    none = TileClicks({})
    states = {a.state(w, tile) for a in (one, two, none) for w in ("w0", "w1")}
    assert len(states) == 6


def test_tiles_agree_with_the_whole_image_away_from_their_borders(compute):
    """The halo is what the network needs: kept pixels hardly depend on where tiles are cut."""
    network = make_network()
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (40, 40, 3)).astype(np.uint8)
    image = np.kron(coarse, np.ones((17, 17, 1), np.uint8))
    raster = open_raster(image)
    tiled = whole_map(network, raster, compute)
    inputs = NetworkInput(raster, network.card)
    whole = Predictor(network, inputs, compute).logits(Window.whole(raster.shape), Clicks())
    middle = (slice(0, 300), slice(0, 300))
    assert (tiled[middle] == whole.argmax(0).numpy()[middle]).mean() > 0.99
