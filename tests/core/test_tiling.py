from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.core.tiling import Tiling, Window

windows = st.builds(
    Window, st.integers(-20, 60), st.integers(-20, 60), st.integers(0, 50), st.integers(0, 50)
)


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    size = draw(st.integers(1, 40))
    halo = draw(st.integers(0, (size - 1) // 2))
    return Tiling((draw(st.integers(1, 90)), draw(st.integers(1, 90))), size, halo)


def pixels(window: Window) -> set[tuple[int, int]]:
    return {
        (row, col)
        for row in range(window.top, window.bottom)
        for col in range(window.left, window.right)
    }


@settings(max_examples=60, deadline=None)
@given(a=windows, b=windows, margin=st.integers(0, 5))
def test_windows_are_sets_of_pixels(a, b, margin):
    assert pixels(a & b) == pixels(a) & pixels(b)
    assert a.overlaps(b) == bool(a & b)
    assert a & b == b & a if a & b else not b & a
    assert len(pixels(a)) == a.size
    assert bool(a) == bool(pixels(a))
    assert ((b.top, b.left) in a) == ((b.top, b.left) in pixels(a))
    assert a.grown(margin).relative_to(a) == Window(
        -margin, -margin, a.height + 2 * margin, a.width + 2 * margin
    )
    assert a.relative_to(b).placed_in(b) == a
    assert Window.from_bounds(a.top, a.left, a.bottom, a.right) == a


def test_a_window_cuts_its_pixels_out_of_an_array():
    whole = np.arange(70).reshape(7, 10)
    window = Window(2, 3, 4, 5)
    np.testing.assert_array_equal(whole[window.slices], whole[2:6, 3:8])
    assert window.centre == (3.5, 5.0)
    assert Window.whole(whole.shape).slices == (slice(0, 7), slice(0, 10))
    assert not Window.from_bounds(5, 0, 3, 9)


def test_numpy_integers_make_windows_too():
    window = Window(*np.array([0, 1, 2, 3]))
    assert bool(window) is True
    assert bool(Window(*np.array([0, 1, 0, 3]))) is False


@pytest.mark.parametrize("sides", [(-1, 2), (2, -1)])
def test_a_window_of_negative_size_cannot_exist(sides):
    with pytest.raises(ValueError, match="cannot exist"):
        Window(0, 0, *sides)


@settings(max_examples=60, deadline=None)
@given(tiling=tilings())
def test_the_keeps_partition_the_raster_and_the_reads_are_alike(tiling):
    covered = np.zeros(tiling.shape, dtype=int)
    whole = Window.whole(tiling.shape)
    for index, tile in enumerate(tiling):
        assert tile.index == index
        assert tile == tiling[index]
        covered[tile.keep.slices] += 1
        assert tile.keep
        assert tile.keep & tile.read == tile.keep
        assert tile.read & whole == tile.read
        assert tile.read.shape == tiling.read_shape
    assert (covered == 1).all()
    assert len(list(tiling)) == len(tiling) == tiling.grid[0] * tiling.grid[1]


@settings(max_examples=60, deadline=None)
@given(tiling=tilings())
def test_what_is_kept_has_the_halo_around_it(tiling):
    for tile in tiling:
        context = tile.keep.grown(tiling.halo) & Window.whole(tiling.shape)
        assert context & tile.read == context


@settings(max_examples=60, deadline=None)
@given(tiling=tilings(), window=windows)
def test_touching_finds_the_tiles_that_read_a_pixel_of_the_window(tiling, window):
    seen = window & Window.whole(tiling.shape)
    assert tiling.touching(window) == [tile for tile in tiling if seen and tile.read & seen]


@settings(max_examples=60, deadline=None)
@given(tiling=tilings(), data=st.data())
def test_keeping_finds_the_one_tile_that_keeps_a_pixel(tiling, data):
    pixel = tuple(data.draw(st.integers(0, side - 1)) for side in tiling.shape)
    assert [tiling.tile_at(pixel)] == [tile for tile in tiling if pixel in tile.keep]


def test_the_tiles_of_the_paper():
    tiling = Tiling((1000, 1280))
    assert tiling.grid == (3, 3)
    starts = [tile.read.left for tile in tiling][:3]
    assert starts == [0, 384, 768]  # 512 - 128 apart
    assert [tile.keep.left for tile in tiling][:3] == [0, 448, 832]
    assert tiling[8].read.bottom == 1000  # shifted back


def test_a_raster_smaller_than_a_tile_is_one_tile():
    (tile,) = Tiling((30, 700), size=800)
    assert tile.keep == tile.read == Window(0, 0, 30, 700)


def test_tilings_and_tiles_that_cannot_exist():
    with pytest.raises(ValueError, match="cannot tile a raster of 0 x 5"):
        Tiling((0, 5))
    with pytest.raises(ValueError, match="a halo of 8 leaves nothing"):
        Tiling((50, 50), size=16, halo=8)
    with pytest.raises(ValueError, match="a halo of -1"):
        Tiling((50, 50), size=16, halo=-1)
    tiling = Tiling((50, 50), size=16, halo=2)
    for index in (-1, len(tiling)):
        with pytest.raises(IndexError, match="tile"):
            tiling[index]
    for pixel in ((50, 0), (0, -1)):
        with pytest.raises(IndexError, match="outside"):
            tiling.tile_at(pixel)
