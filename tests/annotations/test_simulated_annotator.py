from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks, random_clicks


def picture(*rows: str) -> np.ndarray:
    """Rows of digits as class ids; ``.`` is 0 and ``x`` is not known."""
    table = {".": 0, "x": IGNORE}
    return np.array([[table[c] if c in table else int(c) for c in row] for row in rows], np.uint8)


def nothing(like: np.ndarray) -> np.ndarray:
    return np.zeros_like(like)


def test_clicks_the_middle_of_the_largest_error():
    truth = picture(
        ".11111....",
        ".11111....",
        ".11111..2.",
        ".11111....",
        ".11111....",
    )
    assert error_clicks(nothing(truth), truth, 1) == [Click(2, 3, 1)]


def test_the_largest_come_first_and_each_region_gets_one_click():
    truth = picture(
        "111.......",
        "111..22222",
        "111..22222",
        ".....22222",
        ".....22222",
        "..........",
        ".1........",
    )
    found = error_clicks(nothing(truth), truth, 9)
    assert [c.label for c in found] == [2, 1, 1]
    assert found[0].pixel in {(2, 6), (2, 7), (2, 8), (3, 6), (3, 7), (3, 8)}
    assert [c.pixel for c in found[1:]] == [(1, 1), (6, 1)]
    assert error_clicks(nothing(truth), truth, 2) == found[:2]


def test_regions_are_of_one_true_class():
    """Two classes missed side by side are two errors, although the wrong pixels touch."""
    truth = picture("1112", "1112", "1112")
    assert [c.label for c in error_clicks(nothing(truth), truth, 5)] == [1, 2]


def test_the_point_farthest_from_the_border_not_the_centre_of_mass():
    ring = np.zeros((21, 21), dtype=np.uint8)
    rows, cols = np.ogrid[:21, :21]
    distance = np.hypot(rows - 10, cols - 10)
    ring[(distance <= 10) & (distance >= 4)] = 1
    (click,) = error_clicks(nothing(ring), ring, 1)
    assert ring[click.pixel] == 1
    assert 6 <= distance[click.pixel] <= 8


def test_the_edge_of_the_image_is_a_border_too():
    truth = np.zeros((9, 30), dtype=np.uint8)
    truth[:, :9] = 1
    assert error_clicks(nothing(truth), truth, 1) == [Click(4, 4, 1)]


def test_equal_regions_are_taken_from_the_top_left():
    truth = picture("....2.", ".1....", "......", ".....1")
    found = error_clicks(nothing(truth), truth, 3)
    assert [c.pixel for c in found] == [(0, 4), (1, 1), (3, 5)]
    # However many are asked for.
    assert error_clicks(nothing(truth), truth, 1) == found[:1]
    truth[0, 4] = 0
    assert error_clicks(nothing(truth), truth, 1) == found[1:2]


def test_what_is_not_known_or_has_no_data_is_left_alone():
    truth = picture("xxx...", "xxx.1.", "xxx...")
    assert error_clicks(nothing(truth) + np.uint8(2), truth, 9)
    assert all(c.label != IGNORE for c in error_clicks(nothing(truth) + np.uint8(2), truth, 9))
    assert error_clicks(nothing(truth), truth, 9) == [Click(1, 4, 1)]
    valid = np.ones(truth.shape, dtype=np.bool_)
    valid[1, 4] = False
    assert error_clicks(nothing(truth), truth, 9, valid=valid) == []


def test_a_perfect_map_gets_no_click():
    truth = picture("012", "012")
    assert error_clicks(truth.copy(), truth, 3) == []
    assert error_clicks(truth.copy(), truth, 3, rng=np.random.default_rng(0)) == []


def test_small_regions_can_be_left_alone():
    truth = picture("11..2", "11...")
    assert [c.label for c in error_clicks(nothing(truth), truth, 5, min_area=2)] == [1]


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, (12, 15), elements=st.integers(0, 2)),
    arrays(np.uint8, (12, 15), elements=st.sampled_from([0, 1, 2, IGNORE])),
    st.integers(1, 6),
    st.booleans(),
)
def test_every_click_is_an_error_with_its_true_class(predicted, truth, count, human):
    rng = np.random.default_rng(1) if human else None
    found = error_clicks(predicted, truth, count, rng=rng)
    wrong = (predicted != truth) & (truth != IGNORE)
    regions = sum(ndimage.label(wrong & (truth == c))[1] for c in range(3))
    assert len(found) == min(count, regions)
    for click in found:
        assert wrong[click.pixel]
        assert truth[click.pixel] == click.label
    assert len({c.pixel for c in found}) == len(found)


def test_human_clicks_differ_and_the_large_region_gets_most():
    truth = np.zeros((40, 60), dtype=np.uint8)
    truth[:, :40] = 1
    truth[:6, 50:56] = 2
    rng = np.random.default_rng(3)
    clicks = [error_clicks(nothing(truth), truth, 1, rng=rng)[0] for _ in range(60)]
    assert len({c.pixel for c in clicks}) > 30
    assert sum(c.label == 1 for c in clicks) > 50
    # Inner half: nobody clicks on an outline.
    assert all(9 <= c.row <= 30 and 9 <= c.col <= 30 for c in clicks if c.label == 1)


def test_random_clicks_know_the_truth_and_spare_the_unknown():
    truth = picture("xx01", "xx22")
    clicks = random_clicks(truth, 50, np.random.default_rng(0))
    assert len(clicks) == 50
    assert {c.label for c in clicks} == {0, 1, 2}
    assert all(truth[c.pixel] == c.label for c in clicks)
    assert random_clicks(np.full((3, 3), IGNORE, np.uint8), 4, np.random.default_rng(0)) == []


@pytest.mark.parametrize("count", [1, 3])
def test_the_annotator_is_the_same_every_time(count):
    rng = np.random.default_rng(9)
    predicted, truth = rng.integers(0, 3, (2, 30, 30)).astype(np.uint8)
    assert error_clicks(predicted, truth, count) == error_clicks(predicted, truth, count)
