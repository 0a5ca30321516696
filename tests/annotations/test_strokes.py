"""What brushes and outlines hold, and sets of pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_disca.annotations.areas import Area
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import BrushPath, drawn_pixels
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window

WHOLE = Window(0, 0, 600, 700)
_place = st.tuples(st.floats(-50, 650), st.floats(-50, 750))


def distances(path, shape):
    rows, cols = np.mgrid[: shape[0], : shape[1]] + 0.5
    best = np.full(shape, np.inf)
    for (r0, c0), (r1, c1) in zip(path, path[1:] or path, strict=False):
        dr, dc = r1 - r0, c1 - c0
        length = dr * dr + dc * dc
        share = np.clip(((rows - r0) * dr + (cols - c0) * dc) / length, 0, 1) if length else 0
        best = np.minimum(best, np.hypot(rows - r0 - share * dr, cols - c0 - share * dc))
    return best


@settings(deadline=None)
@given(path=st.lists(_place, min_size=1, max_size=4), radius=st.floats(0.5, 60))
def test_a_brush_holds_what_is_near_its_way(path, radius):
    brush = BrushPath(tuple(path), radius)
    far = distances(list(brush.path), WHOLE.shape)
    try:
        found = brush.pixels(WHOLE.shape).mask(WHOLE)
    except AreaError:
        found = np.zeros(WHOLE.shape, dtype=bool)
    clear = np.abs(far - brush.radius) > 1e-6
    np.testing.assert_array_equal(found[clear], (far <= brush.radius)[clear])


def test_a_brush_that_is_told_is_the_very_same():
    brush = BrushPath(((10.123456, 20.98765), (10.1230001, 20.99), (300.5, 17.25)), 7.333)
    again = BrushPath(*json.loads(json.dumps([[list(p) for p in brush.path], brush.radius])))
    assert [tuple(p) for p in again.path] == list(brush.path)
    assert again.pixels(WHOLE.shape) == brush.pixels(WHOLE.shape)
    assert len(brush.path) == 2  # the second place is the first, as it is written


@pytest.mark.parametrize("radius", [0.0, 0.4, 1001, float("nan"), float("inf")])
def test_a_brush_of_no_size_is_refused(radius):
    with pytest.raises(AreaError):
        BrushPath(((1, 1),), radius)


def test_a_brush_beside_the_image_is_refused():
    with pytest.raises(AreaError, match="no pixel"):
        BrushPath(((-50, -50),), 5).pixels(WHOLE.shape)


def test_an_outline_holds_what_its_area_holds():
    ring = ((3.5, 2.0), (590.2, 100.7), (300.1, 690.3))
    area = Area((ring,))
    np.testing.assert_array_equal(drawn_pixels(area, WHOLE.shape).mask(WHOLE), area.mask(WHOLE))


@settings(deadline=None)
@given(mask=arrays(np.bool_, (23, 31)), top=st.integers(0, 9), left=st.integers(0, 9))
def test_a_set_gives_its_mask_back_in_any_window(mask, top, left):
    if not mask.any():
        with pytest.raises(AreaError):
            PixelSet.from_masks([(Window(0, 0, 23, 31), mask)])
        return
    at = Window(top, left, 23, 31)
    found = PixelSet.from_masks([(at, mask)])
    assert len(found) == mask.sum()
    whole = np.zeros((40, 50), dtype=bool)
    whole[at.slices] = mask
    for window in (Window(0, 0, 40, 50), Window(5, 7, 20, 11), Window(30, 40, 10, 10)):
        np.testing.assert_array_equal(found.mask(window), whole[window.slices])
    again = PixelSet.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    filled = np.zeros_like(whole)
    for strip in found.strips():
        filled[strip.slices] |= found.mask(strip)
    np.testing.assert_array_equal(filled, whole)


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [1, 2],
        [0, 5, 0],
        [0, 5, 3, 0, 6, 2],  # they overlap
        [0, 5, 3, 0, 8, 2],  # they touch
        [0, 5, 3, 0, 1, 2],  # from right to left
        [0, -1, 3],
        [0, 1.0, 3],
        [0, True, 3],
        [2**31, 0, 1],
    ],
)
def test_what_is_no_set_is_refused(numbers):
    with pytest.raises(AreaError):
        PixelSet.from_json(numbers)


def test_what_is_too_ragged_is_refused():
    mask = np.zeros((1000, 1000), dtype=bool)
    mask[:, ::2] = True
    with pytest.raises(AreaError, match="ragged"):
        PixelSet.from_masks([(Window(0, 0, 1000, 1000), mask)])
