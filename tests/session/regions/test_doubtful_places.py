"""The review of doubtful places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.uncertainty import CELL, SURE, TORN, UNKNOWN
from napari_disca.raster import open_raster
from napari_disca.session.regions.doubtful_places import DoubtfulPlaces

CELLS = 40, 50
NO_CLICKS = Clicks()


def places(factor=1.0, shape=(CELLS[0] * CELL, CELLS[1] * CELL)):
    raster = open_raster(np.zeros((*shape, 3), dtype=np.uint8))
    return DoubtfulPlaces(NetworkView(raster, make_card(), factor=factor))


def sure():
    return np.full(CELLS, SURE, dtype=np.uint8)


def two_places():
    """A large place and a smaller one that is as doubtful."""
    found = sure()
    found[2:5, 2:6] = 200
    found[20:22, 30:33] = 200
    found[21, 31] = 250
    return found


def test_nothing_doubtful_nothing_known_nowhere_to_go():
    made = places()
    assert made.stops(sure(), NO_CLICKS) == []
    assert made.stops(np.full(CELLS, UNKNOWN, dtype=np.uint8), NO_CLICKS) == []
    assert made.next(sure(), NO_CLICKS) is None
    assert made.visited == 0


def test_the_larger_and_the_more_uncertain_come_first():
    first, second = places().stops(two_places(), NO_CLICKS)
    assert first.window == Window(2 * CELL, 2 * CELL, 3 * CELL, 4 * CELL)
    assert second.window == Window(20 * CELL, 30 * CELL, 2 * CELL, 3 * CELL)
    assert second.pixel == (21 * CELL + CELL // 2, 31 * CELL + CELL // 2)
    assert first.score == pytest.approx(12 * 199 / 254)
    torn = two_places()
    torn[20:22, 30:33] = TORN
    torn[2:5, 2:6] = 130
    assert [s.window for s in places().stops(torn, NO_CLICKS)] == [first.window, second.window]
    torn[2:3, 2:6] = SURE
    torn[3:5, 2:6] = 129  # 8 cells, half as doubtful as 6 others
    assert places().stops(torn, NO_CLICKS)[0].window == second.window


def test_a_stop_is_given_once_and_corrections_are_followed():
    made, map_ = places(), two_places()
    first, left = made.next(map_, NO_CLICKS)
    assert (first.window.top, left, made.visited) == (2 * CELL, 1, 1)
    map_[10:14, 10:14] = 220  # a correction has made something else doubtful
    second, left = made.next(map_, NO_CLICKS)
    assert (second.window.top, left) == (10 * CELL, 1)
    map_[20:22, 30:33] = SURE  # and another has settled this
    assert made.next(map_, NO_CLICKS) is None
    assert made.visited == 2


def test_what_was_in_view_is_left_out():
    made, map_ = places(), two_places()
    made.mark_seen(Window(2 * CELL, 2 * CELL, 3 * CELL, 4 * CELL), map_)
    assert [s.window.top for s in made.stops(map_, NO_CLICKS)] == [20 * CELL]
    # A cell that is cut off was not seen.
    made.mark_seen(Window(20 * CELL + 1, 30 * CELL, 2 * CELL, 3 * CELL - 1), map_)
    assert [s.window.top for s in made.stops(map_, NO_CLICKS)] == [20 * CELL]
    made.mark_seen(Window.whole((CELLS[0] * CELL, CELLS[1] * CELL)), map_)
    assert made.stops(map_, NO_CLICKS) == []


def test_looking_at_what_is_not_drawn_yet_does_not_count():
    made, whole = places(), Window.whole((CELLS[0] * CELL, CELLS[1] * CELL))
    made.mark_seen(whole, np.full(CELLS, UNKNOWN, dtype=np.uint8))
    assert len(made.stops(two_places(), NO_CLICKS)) == 2


def test_a_click_settles_its_surroundings_until_it_is_taken_back():
    made, map_ = places(), two_places()
    click = Click(21 * CELL, 31 * CELL + 4, 1)
    assert [s.window.top for s in made.stops(map_, Clicks((click,)))] == [2 * CELL]
    assert len(made.stops(map_, NO_CLICKS)) == 2
    corner = Clicks((Click(0, 0, 1),))
    assert len(made.stops(map_, corner)) == 2
    assert made.stops(map_, corner)[0].score < made.stops(map_, NO_CLICKS)[0].score


def test_a_region_too_large_for_one_glance_is_cut():
    map_ = sure()
    map_[:, 3:43] = 200
    stops = places().stops(map_, NO_CLICKS)
    assert max(max(s.window.shape) for s in stops) <= 16 * CELL
    assert sum(s.window.size for s in stops) == 40 * 40 * CELL**2


@pytest.mark.parametrize("factor", [0.5, 0.3, 2.0])
def test_stops_are_in_pixels_of_the_image(factor):
    side = round(40 * CELL / factor)
    made = places(factor, (side, side))
    map_ = np.full((40, 40), SURE, dtype=np.uint8)
    map_[10:14, 20:24] = 200
    (stop,) = made.stops(map_, NO_CLICKS)
    for found, cell in zip(
        (stop.window.top, stop.window.left, stop.window.bottom, stop.window.right),
        (10, 20, 14, 24),
        strict=True,
    ):
        assert found == pytest.approx(cell * CELL / factor, abs=1)
    assert stop.pixel in stop.window
    click = Clicks((Click(*stop.pixel, 0),))
    assert not made.stops(map_, click) or made.stops(map_, click)[0].score < stop.score
    made.mark_seen(stop.window, map_)
    assert made.stops(map_, NO_CLICKS) == []


def test_a_small_image_and_its_last_row():
    made = places(shape=(70, 37))
    map_ = np.full((5, 3), 200, dtype=np.uint8)
    (stop,) = made.stops(map_, NO_CLICKS)
    assert stop.window == Window(0, 0, 70, 37)
    made.mark_seen(Window(0, 0, 70, 37), map_)
    assert made.stops(map_, NO_CLICKS) == []


@settings(max_examples=60, deadline=None)
@given(
    npst.arrays(np.uint8, CELLS, elements=st.sampled_from([0, 1, 100, 128, 200, 255])),
    st.lists(st.tuples(st.integers(0, 639), st.integers(0, 799)), max_size=3),
)
def test_any_map(map_, pixels):
    clicks = Clicks().added(*(Click(row, col, 0) for row, col in pixels))
    made, image = places(), Window.whole((CELLS[0] * CELL, CELLS[1] * CELL))
    stops = made.stops(map_, clicks)
    assert stops == made.stops(map_.copy(), clicks)
    scores = [stop.score for stop in stops]
    assert scores == sorted(scores, reverse=True)
    for stop in stops:
        assert stop.window & image == stop.window
        assert stop.pixel in stop.window
        assert map_[stop.pixel[0] // CELL, stop.pixel[1] // CELL] >= 128
        assert all(max(abs(stop.pixel[0] - r), abs(stop.pixel[1] - c)) > CELL for r, c in pixels)
    count, given_ = len(stops), 0
    while made.next(map_, clicks) is not None:
        given_ += 1
        assert given_ <= count
    assert made.stops(map_, clicks) == []
