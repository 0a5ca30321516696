from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_tiny_network
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.session.history import Lock
from napari_disca.session.renderer import RecentTiles, RenderedTile, Renderer
from napari_disca.session.weights import WeightsCache


def make_drawing(factor):
    network = make_tiny_network()
    pixels = np.zeros((130, 170, 3), np.uint8)
    inputs = NetworkView(open_raster(pixels), network.card, factor=factor)
    tiling = Tiling(inputs.shape, 48, 8)
    compute = Compute.choose("cpu", "float32")
    return Renderer(inputs, tiling, compute, WeightsCache(network, inputs, tiling, compute)), tiling


@pytest.mark.parametrize("factor", [1.0, 0.37, 2.3])
@settings(max_examples=25, deadline=None)
@given(
    windows=st.lists(
        st.builds(Window, *[st.integers(-20, 170)] * 2, *[st.integers(1, 90)] * 2), max_size=4
    )
)
def test_the_locks_of_a_tile_are_those_that_meet_it(factor, windows):
    drawing, tiling = make_drawing(factor)
    locks = tuple(
        Lock(number, Area.rectangle(window), "disir", Clicks(), None, ())
        for number, window in enumerate(windows)
    )
    for tile in tiling:
        expected = tuple(lock for lock in locks if lock.area.window & drawing.window(tile))
        assert drawing.touching(locks, tile) == expected


def noise(seed, side=60):
    return RenderedTile(
        np.random.default_rng(seed).integers(0, 5, (side, side)).astype(np.uint8), 3, seed
    )


def test_recent_tiles_come_back_with_their_counts():
    recent = RecentTiles(1 << 20)
    recent.put(4, "state", noise(7))
    back = recent.get(4, "state")
    np.testing.assert_array_equal(back.labels, noise(7).labels)
    assert (back.locked, back.flipped) == (3, 7)
    assert recent.get(4, "other") is None
    assert recent.get(5, "state") is None


def test_recent_tiles_forget_what_was_not_used_for_longest():
    recent = RecentTiles(1 << 20)
    for state in range(12):
        recent.put(0, str(state), noise(state))
    recent.get(0, "0")
    recent.put(0, "new", noise(99))
    assert recent.get(0, "0") is not None, "it was just used"
    assert recent.get(0, "1") is None
    small = RecentTiles(5000)
    for tile in range(10):
        small.put(tile, "state", noise(tile))
    kept = [tile for tile in range(10) if small.get(tile, "state") is not None]
    assert 1 <= len(kept) < 6
    assert kept[-1] == 9
