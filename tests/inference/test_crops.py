from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import finish
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.crops import cut_crops, tiles_with_clicks, windows_around
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import ArrayRaster

pixels = st.tuples(st.integers(0, 899), st.integers(0, 1199))


@given(st.lists(pixels, min_size=1, max_size=25), st.integers(64, 512))
def test_every_click_lies_well_inside_a_window_of_the_raster(where, size):
    clicks = Clicks(tuple(Click(r, c, 0) for r, c in where))
    windows = windows_around(clicks, size, (900, 1200))
    whole = Window(0, 0, 900, 1200)
    assert all(window & whole == window and window.shape == (size, size) for window in windows)
    for row, col in where:
        margins = [
            min(
                row - w.top if w.top > 0 else size,
                w.bottom - 1 - row if w.bottom < 900 else size,
                col - w.left if w.left > 0 else size,
                w.right - 1 - col if w.right < 1200 else size,
            )
            for w in windows
            if (row, col) in w
        ]
        assert max(margins) >= size // 4 - 1


@given(st.permutations([Click(10 * i, 37 * i % 400, i % 3) for i in range(12)]))
def test_windows_do_not_depend_on_the_order_of_the_clicks(order):
    expected = windows_around(Clicks(tuple(sorted(order, key=lambda c: c.pixel))), 128, (400, 400))
    assert windows_around(Clicks(tuple(order)), 128, (400, 400)) == expected


def test_small_rasters_give_small_windows():
    assert windows_around(Clicks((Click(3, 4, 0),)), 256, (20, 30)) == [Window(0, 0, 20, 30)]


def test_tiles_with_clicks_are_those_that_keep_one():
    tiling = Tiling((1000, 1000))
    clicks = Clicks((Click(0, 0, 1), Click(5, 5, 0), Click(999, 999, 2)))
    assert tiles_with_clicks(clicks, tiling) == [tiling[0].read, tiling[len(tiling) - 1].read]


def test_nothing_is_learned_where_there_is_no_data():
    image = np.full((128, 256, 3), 9, np.uint8)
    image[:, :128] = 0
    network_view = NetworkView(ArrayRaster(image, nodata=0), make_card(2))
    hidden, border, seen = Click(60, 20, 0), Click(60, 120, 0), Click(60, 136, 1)
    windows = [Window(0, 0, 128, 100), Window(0, 100, 128, 100)]
    for checked in (Clicks(), Clicks((Click(3, 3, 1), Click(3, 190, 1)))):
        (crop,) = finish(cut_crops(network_view, Clicks((hidden, border, seen)), windows, checked))
        assert crop.window == windows[1]
        assert list(zip(crop.rows, crop.cols, crop.labels, strict=True)) == [(60, 36, 1)]
        assert crop.checked_cols.tolist() == [90] * bool(checked)
    assert finish(cut_crops(network_view, Clicks((hidden,)), windows)) == []


@settings(max_examples=15, deadline=None)
@given(st.lists(pixels, min_size=1, max_size=25), st.integers(64, 512))
def test_every_click_is_learned_from_once(where, size):
    card = make_card(2)
    network_view = NetworkView(ArrayRaster(np.zeros((900, 1200, 3), np.uint8)), card)
    clicks = Clicks(tuple(Click(r, c, 0) for r, c in where))
    crops = finish(
        cut_crops(network_view, clicks, windows_around(clicks, size, network_view.shape))
    )
    learned = sorted(
        (int(r) + crop.window.top, int(c) + crop.window.left)
        for crop in crops
        for r, c in zip(crop.rows, crop.cols, strict=True)
    )
    assert learned == sorted(click.pixel for click in clicks)
    assert all(len(crop.labels) for crop in crops)
