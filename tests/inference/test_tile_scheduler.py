from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.tile_scheduler import Prefetcher, TileQueue

TILING = Tiling((500, 700), 100, 0)  # 5 x 7 tiles


def queue(waiting=range(35), urgent=()):
    masks = np.zeros((2, len(TILING)), dtype=bool)
    masks[0, list(waiting)] = True
    masks[1, list(urgent)] = True
    return TileQueue(TILING, *masks)


def test_without_a_view_they_come_in_order():
    tiles = queue([3, 8, 20])
    assert [tiles.take(1, None) for _ in range(3)] == [[3], [8], [20]]
    assert len(tiles) == 0
    assert tiles.take(1, None) == []


def test_those_in_view_come_first_then_outwards():
    tiles = queue()
    view = Window(210, 10, 80, 390)  # row 2, columns 0 to 3
    first = tiles.take(4, view)
    assert sorted(first) == [14, 15, 16, 17]
    rest = tiles.take(31, view)
    assert set(rest[:2]) <= {8, 9, 22, 23}, "nearest of those outside"
    assert rest[-1] in (6, 34)


def test_urgent_ones_come_before_those_in_view():
    tiles = queue(urgent=[34, 33])
    assert tiles.take(3, Window(0, 0, 50, 50)) == [33, 34, 0]


def test_panning_reorders_what_is_left():
    tiles = queue()
    assert tiles.take(1, Window(0, 0, 10, 10)) == [0]
    assert tiles.peek(1, Window(490, 690, 10, 10)) == [34]
    assert tiles.take(1, Window(490, 690, 10, 10)) == [34]
    assert len(tiles) == 33


def test_an_urgent_tile_that_does_not_wait_is_not_returned():
    assert queue([1], urgent=[2]).take(5, None) == [1]


def test_choosing_a_tile_of_a_huge_image_is_cheap():
    tiling = Tiling((100_000, 100_000), 864, 64)
    every = np.ones(len(tiling), dtype=bool)
    tiles = TileQueue(tiling, every, ~every)
    began = time.perf_counter()
    for _ in range(20):
        tiles.take(1, Window(50_000, 50_000, 2000, 2000))
    assert (time.perf_counter() - began) / 20 < 0.1


def test_reads_ahead_on_one_other_thread_and_once():
    read, threads = [], set()

    def load(key):
        read.append(key)
        threads.add(threading.current_thread())
        return key * 10

    ahead = Prefetcher(load)
    assert ahead.take([1]) == [10]
    ahead.expect([2])
    assert ahead.take([2, 3]) == [20, 30]
    ahead.close()
    assert read == [1, 2, 3]
    assert len(threads) == 1
    assert threading.current_thread() not in threads


def test_an_error_is_raised_where_the_thing_is_asked_for():
    def load(key):
        if key == 2:
            raise ValueError("cannot read 2")
        return key

    ahead = Prefetcher(load)
    ahead.expect([2])
    assert ahead.take([1]) == [1]
    with pytest.raises(ValueError, match="cannot read 2"):
        ahead.take([2])
    ahead.close()


def test_what_is_no_longer_expected_is_forgotten_above_the_limit():
    ahead = Prefetcher(lambda key: bytes(100), limit=2)
    for key in range(10):
        ahead.expect([key])
    assert len(ahead._expected) <= 2
    ahead.close()


def test_closing_waits_for_one_thing_only():
    started = threading.Event()
    done = []

    def load(key):
        started.set()
        time.sleep(0.05)
        done.append(key)

    ahead = Prefetcher(load, limit=5)
    ahead.expect([1, 2, 3])
    started.wait(5)
    ahead.close()
    assert done == [1]
    assert not [t for t in threading.enumerate() if t.name.startswith("napari-disca-read")]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    shape=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    views=st.lists(
        st.one_of(
            st.none(),
            st.builds(
                Window,
                st.integers(-200, 900),
                st.integers(-200, 900),
                st.integers(1, 900),
                st.integers(1, 900),
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_the_order_is_that_of_comparing_all_tiles(seed, shape, views):
    tiling = Tiling(shape, 64, 8)
    rng = np.random.default_rng(seed)
    waiting, urgent = rng.random((2, len(tiling))) < np.array([[0.7], [0.1]])
    tiles = TileQueue(tiling, waiting, urgent)
    left = [int(i) for i in np.flatnonzero(waiting)]

    def key(index, view):
        if view is None:
            return (not urgent[index], index)
        keep = tiling[index].keep
        row, col = (keep.top + keep.bottom) / 2, (keep.left + keep.right) / 2
        distance = np.hypot(row - view.centre[0], col - view.centre[1])
        return (not urgent[index], not keep & view, distance, index)

    for view in views:
        expected = sorted(left, key=lambda index: key(index, view))[:3]
        assert tiles.peek(3, view) == expected
        assert tiles.take(3, view) == expected
        left = [index for index in left if index not in expected]
        assert len(tiles) == len(left)


def seconds_a_take(side):
    tiling = Tiling((side, side), 512, 64)
    every = np.ones(len(tiling), dtype=bool)
    tiles = TileQueue(tiling, every, ~every)
    views = [Window(side // 2 + 40 * i, side // 3, 2000, 3000) for i in range(40)]
    times = []
    for view in views:
        began = time.perf_counter()
        tiles.take(1, view)
        tiles.peek(1, view)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def test_a_large_image_takes_no_longer_per_tile_than_a_small_one():
    """The user pans at every tile; 68 121 tiles against 2 500."""
    assert seconds_a_take(100_000) < 3 * seconds_a_take(19_200) + 0.0005
