from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_card
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster
from napari_disca.session.maps.lock_index import LockIndex, TileGrid
from napari_disca.session.steps.step_values import Lock


@pytest.mark.parametrize("factor", [1.0, 0.37, 2.3])
@settings(max_examples=25, deadline=None)
@given(
    windows=st.lists(
        st.builds(Window, *[st.integers(-20, 170)] * 2, *[st.integers(1, 90)] * 2), max_size=5
    ),
    left=st.integers(0, 5),
)
def test_the_locks_of_a_tile_are_those_that_meet_it(factor, windows, left):
    pixels = np.zeros((130, 170, 3), np.uint8)
    network_view = NetworkView(open_raster(pixels), make_card(), factor=factor)
    tiling = Tiling(network_view.shape, 48, 8)
    grid = TileGrid.of(network_view, tiling)
    locks = tuple(
        Lock(number, Area.rectangle(window), "disir", Clicks(), None, ())
        for number, window in enumerate(windows)
    )
    index = LockIndex.empty(grid)
    for chosen in (locks[:left], locks, locks[1:]):
        index = index.updated(chosen, grid)
        anew = LockIndex.empty(grid).updated(chosen, grid)
        for tile in tiling:
            window = network_view.image_window(tile.keep)
            expected = tuple(lock for lock in chosen if lock.area.window & window)
            assert index.of(tile.index) == expected
            assert bool(index.digest(tile.index)) == bool(expected)
            assert index.digest(tile.index) == anew.digest(tile.index)
        assert index.tiles == [tile.index for tile in tiling if index.of(tile.index)]
