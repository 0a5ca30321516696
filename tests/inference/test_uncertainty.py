"""How sure a network is, in cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from builders import make_card, make_tiny_network
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tiles import read_pixels
from napari_disca.inference.uncertainty import (
    CELL,
    cell_share,
    cells_of,
    mixed_uncertainty,
    on_network,
    uncertainty,
)
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (100, 333), (301, 97)])
def test_tiles_that_partition_a_grid_partition_its_cells(shape):
    seen = np.zeros(cells_of(Window.whole(shape)).shape, dtype=int)
    assert seen.shape == tuple(-(-length // CELL) for length in shape)
    for tile in Tiling(shape, 96, 20):
        cells = cells_of(tile.keep)
        seen[cells.slices] += 1
        assert uncertainty(torch.zeros(3, *tile.keep.shape), tile.keep).shape == cells.shape
        assert cell_share(np.ones(tile.keep.shape, bool), tile.keep).shape == cells.shape
    assert (seen == 1).all()


def test_it_is_the_mean_of_one_minus_the_margin():
    keep = Window(0, 0, 32, 48)
    logits = torch.zeros(2, 32, 48)
    logits[0, :, :16] = 40.0  # sure
    logits[0, 16:, 32:] = torch.log(torch.tensor(3.0))  # 3/4 against 1/4
    found = uncertainty(logits, keep)
    np.testing.assert_array_equal(found, [[1, 255, 255], [1, 255, 1 + 127]])


def test_pixels_without_data_do_not_count():
    keep = Window(0, 0, 16, 32)
    logits = torch.zeros(2, 16, 32)
    logits[0, :, :8] = 40.0
    valid = np.zeros((16, 32), dtype=bool)
    valid[:, :8] = True
    np.testing.assert_array_equal(uncertainty(logits, keep, valid), [[1, 0]])


def test_what_is_not_finite_is_sure_rather_than_an_error():
    logits = torch.full((3, 16, 16), torch.nan)
    np.testing.assert_array_equal(uncertainty(logits, Window(0, 0, 16, 16)), [[1]])


def test_the_share_of_a_mask():
    mask = np.zeros((16, 40), dtype=bool)
    mask[:, 8:24] = True
    np.testing.assert_array_equal(cell_share(mask, Window(0, 0, 16, 40)), [[0.5, 0.5, 0.0]])


def test_cells_of_two_networks_are_mixed_by_their_shares():
    some = np.array([[101, 101, 101, 0, 7, 0]], np.uint8)
    others = np.array([[201, 201, 201, 9, 0, 0]], np.uint8)
    part = np.array([[0.0, 0.5, 1.0, 0.5, 0.5, 0.5]], np.float32)
    found = mixed_uncertainty(some, others, part)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [[201, 151, 101, 9, 7, 0]])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_mask_on_another_grid(factor):
    raster = open_raster(np.zeros((40, 60, 3), dtype=np.uint8))
    network_view = NetworkView(raster, make_card(), factor=factor)
    mask = np.zeros((40, 60), dtype=bool)
    mask[10:20, 30:] = True
    whole = Window.whole(network_view.shape)
    found = on_network(mask, Window.whole(raster.shape), whole, network_view)
    expected = np.zeros(network_view.shape, dtype=bool)
    expected[int(10 * factor) : int(20 * factor), int(30 * factor) :] = True
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_predictor_tells_it_only_when_asked_and_the_labels_stay(factor):
    rng = np.random.default_rng(3)
    raster = open_raster(rng.integers(0, 255, (128, 128, 3), dtype=np.uint8))
    network = make_tiny_network()
    network_view = NetworkView(raster, network.card, factor=factor)
    compute = Compute(torch.device("cpu"), torch.float32)
    for tile in Tiling(network_view.shape, 48, 8):
        asked = [(read_pixels(network_view, tile), Clicks())]
        (plain,) = Predictor(network, network_view, compute).batch(asked)
        (both,) = Predictor(network, network_view, compute, uncertain=True).batch(asked)
        assert plain.uncertainty is None
        np.testing.assert_array_equal(plain.labels, both.labels)
        assert both.uncertainty.shape == cells_of(tile.keep).shape
        assert both.uncertainty.min() > 0
        logits = Predictor(network, network_view, compute).logits(tile.read, Clicks())
        of_tile = logits[(slice(None), *tile.keep.relative_to(tile.read).slices)]
        expected = uncertainty(of_tile, tile.keep).astype(int)
        assert abs(both.uncertainty - expected).max() <= 1
