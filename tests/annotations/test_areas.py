from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Tiling, Window

SHAPE = (60, 80)
WHOLE = Window.whole(SHAPE)

_corners = st.lists(
    st.tuples(st.floats(-30, 90), st.floats(-30, 110)), min_size=3, max_size=8, unique=True
)


@settings(max_examples=60, deadline=None)
@given(ring=_corners, size=st.integers(9, 40))
def test_pieces_of_a_mask_are_the_mask(ring, size):
    area = Area((tuple(ring),))
    whole = area.mask(WHOLE)
    for tile in Tiling(SHAPE, size=size, halo=2):
        np.testing.assert_array_equal(area.mask(tile.keep), whole[tile.keep.slices])
    outside = np.ones(SHAPE, dtype=np.bool_)
    outside[(area.window & WHOLE).slices] = False
    assert not (whole & outside).any()


@settings(max_examples=30, deadline=None)
@given(top=st.integers(-5, 55), left=st.integers(-5, 75), side=st.tuples(*[st.integers(1, 30)] * 2))
def test_a_rectangle_holds_the_pixels_of_its_window(top, left, side):
    window = Window(top, left, *side)
    expected = np.zeros(SHAPE, dtype=np.bool_)
    expected[(window & WHOLE).slices] = True
    np.testing.assert_array_equal(Area.rectangle(window).mask(WHOLE), expected)


def test_a_pixel_counts_by_its_centre_and_holes_do_not():
    triangle = Area((((0, 0), (0, 10), (10, 0)),)).mask(Window(0, 0, 10, 10))
    rows, cols = np.mgrid[:10, :10] + 0.5
    inside = rows + cols < 10
    border = np.isclose(rows + cols, 10)
    np.testing.assert_array_equal(triangle[~border], inside[~border])
    ring = Area(
        (
            ((0, 0), (0, 10), (10, 10), (10, 0)),
            ((3, 3), (3, 7), (7, 7), (7, 3)),
        )
    ).mask(Window(0, 0, 10, 10))
    assert ring.sum() == 100 - 16
    assert not ring[4, 4]


@pytest.mark.parametrize(
    ("rings", "message"),
    [
        ((), "0 corners"),
        ((((0, 0), (1, 1)),), "2 corners encloses nothing"),
        ((((0, 0), (1, 1), (0, 0)),), "2 corners encloses nothing"),
        ((((0, 0), (1, math.nan), (2, 2)),), "not a finite number"),
        ((((0, 0), (1, 1e300), (2, 2)),), "not a finite number"),
    ],
)
def test_impossible_outlines_are_refused(rings, message):
    with pytest.raises(AreaError, match=message):
        Area(rings)


@pytest.mark.parametrize(
    "ring",
    [
        ((0.1, 0.1), (0.1, 0.4), (0.4, 0.1)),  # holds no centre
        ((70, 5), (90, 5), (90, 50)),  # below the image
        ((-9, -9), (-1, -9), (-9, -1)),
    ],
)
def test_an_area_without_a_pixel_of_the_image_is_refused(ring):
    with pytest.raises(AreaError, match="no pixel of the image of 60 x 80"):
        Area((ring,)).checked(SHAPE)


def test_checking_a_huge_area_stops_at_its_first_pixel():
    area = Area.rectangle(Window(0, 0, 200_000, 200_000))
    assert area.checked((200_000, 200_000)) is area
