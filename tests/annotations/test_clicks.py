from __future__ import annotations

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import Guidance
from napari_disca.core.errors import ClickError
from napari_disca.core.tiling import Window

AUTHORS = Guidance("authors")
# cvRound(5 * sqrt((25 - dy * dy) / 25)) for dy = -5 ... 4, written out.
_HALF_WIDTHS = (0, 3, 4, 5, 5, 5, 5, 5, 4, 3)
#: Offsets (row, col) from OpenCV's anchor (5, 5) of its 10 x 10 ellipse.
ELLIPSE = [
    (i - 5, j - 5)
    for i, dx in enumerate(_HALF_WIDTHS)
    for j in range(max(5 - dx, 0), min(5 + dx + 1, 10))
]


def clicks_of(*pixels: tuple[int, int], label: int = 0) -> Clicks:
    return Clicks(tuple(Click(row, col, label) for row, col in pixels))


def dilated(clicked: np.ndarray) -> np.ndarray:
    """OpenCV's ``dilate``: the largest of the pixels under the kernel, none beyond the image."""
    lit = np.zeros_like(clicked)
    height, width = clicked.shape
    for row, col in product(range(height), range(width)):
        lit[row, col] = any(
            0 <= row + dy < height and 0 <= col + dx < width and clicked[row + dy, col + dx]
            for dy, dx in ELLIPSE
        )
    return lit


def chamfer(lit: np.ndarray) -> np.ndarray:
    """Length of the shortest path of 3 x 3 steps to the nearest unlit pixel, by definition."""
    unlit = np.argwhere(~lit)
    distance = np.zeros(lit.shape)
    for row, col in np.argwhere(lit):
        steps = np.abs(unlit - (row, col))
        longer, shorter = steps.max(axis=1), steps.min(axis=1)
        distance[row, col] = (0.955 * (longer - shorter) + 1.3693 * shorter).min()
    return distance


def authors_map(clicks: Clicks, shape: tuple[int, int]) -> np.ndarray:
    clicked = np.zeros(shape, dtype=bool)
    for click in clicks:
        clicked[click.pixel] = True
    return chamfer(dilated(clicked))


def drawn(guidance: Guidance, clicks: Clicks, shape: tuple[int, int], classes: int = 1):
    return guidance.draw(clicks, Window.whole(shape), classes, shape)


def scenes(classes: int = 2, side: int = 40, most: int = 25):
    """A shape and clicks in it: scattered, at borders, and in touching chains."""

    @st.composite
    def scene(draw: st.DrawFn) -> tuple[tuple[int, int], Clicks]:
        shape = draw(st.tuples(st.integers(1, side), st.integers(1, side)))
        axis = [st.sampled_from([0, n - 1]) | st.integers(0, n - 1) for n in shape]
        one = st.builds(Click, *axis, st.integers(0, classes - 1))
        items = draw(st.lists(one, max_size=8))
        if draw(st.booleans()):
            # Steps of up to 11 pixels: discs that merge, that touch, and that just do not.
            row, col = draw(axis[0]), draw(axis[1])
            label = draw(st.integers(0, classes - 1))
            for _ in range(draw(st.integers(0, most))):
                items.append(Click(row, col, label))
                row = min(max(row + draw(st.integers(-11, 11)), 0), shape[0] - 1)
                col = min(max(col + draw(st.integers(-11, 11)), 0), shape[1] - 1)
        return shape, Clicks(tuple(items))

    return scene()


guidances = st.sampled_from([AUTHORS, Guidance("authors", scale=0.25)]) | st.builds(
    Guidance, st.just("cone"), radius=st.integers(1, 20), scale=st.sampled_from([1.0, 3.5])
)


# Clicks are a value


def test_the_latest_of_two_clicks_on_a_pixel_wins():
    clicks = Clicks((Click(1, 2, 0), Click(5, 5, 1), Click(1, 2, 3)))
    assert clicks.items == (Click(5, 5, 1), Click(1, 2, 3))
    assert clicks.added(Click(5, 5, 0)).items == (Click(1, 2, 3), Click(5, 5, 0))
    guidance = drawn(Guidance("cone", 3), Clicks((Click(1, 2, 0), Click(1, 2, 1))), (8, 8), 2)
    assert guidance[0].max() == 0
    assert guidance[1, 1, 2] == 1


def test_every_change_returns_another():
    before = Clicks((Click(0, 0, 0), Click(1, 1, 1), Click(2, 2, 2)))
    items = before.items
    assert before.added(Click(9, 9, 0)).items == (*items, Click(9, 9, 0))
    assert before.removed(Click(1, 1, 1), Click(7, 7, 7)).items == (items[0], items[2])
    moved = before.replaced(Click(1, 1, 1), Click(5, 6, 1))
    assert moved.items == (items[0], Click(5, 6, 1), items[2])
    # Moved onto another click: that one gives way.
    assert before.replaced(Click(1, 1, 1), Click(2, 2, 1)).items == (items[0], Click(2, 2, 1))
    assert before.replaced(Click(1, 1, 1), Click(1, 1, 1)) == before
    assert before.items == items
    with pytest.raises(ClickError, match="no click of class 0 at"):
        before.replaced(Click(1, 1, 0), Click(3, 3, 0))
    assert Click(1, 1, 1) in before
    assert Click(1, 1, 0) not in before
    assert list(before) == list(items)
    assert len(before) == 3


def test_clicks_as_arrays():
    rows, cols, labels = Clicks((Click(1, 2, 3), Click(4, 5, 6))).arrays()
    assert rows.tolist() == [1, 4]
    assert cols.tolist() == [2, 5]
    assert labels.tolist() == [3, 6]
    assert [array.shape for array in Clicks().arrays()] == [(0,), (0,), (0,)]


def test_clicks_that_fit_and_clicks_that_do_not():
    clicks = clicks_of((0, 0), (9, 19))
    assert clicks.checked((10, 20), 1) is clicks
    assert clicks.inside(Window(0, 0, 9, 20)) == clicks_of((0, 0))
    for wrong in (Click(10, 0, 0), Click(0, 20, 0), Click(-1, 0, 0), Click(0, -1, 0)):
        with pytest.raises(ClickError, match=f"row {wrong.row}, column {wrong.col} lies outside"):
            Clicks((wrong,)).checked((10, 20), 1)
    for label in (-1, 2):
        with pytest.raises(ClickError, match=f"has class {label}, but the network's classes are 0"):
            Clicks((Click(0, 0, label),)).checked((10, 20), 2)


def test_guidance_that_cannot_be_drawn():
    with pytest.raises(ClickError, match="'disc' is unknown"):
        Guidance("disc")
    for radius in (0, 257, 1.5):
        with pytest.raises(ClickError, match=f"radius of {radius} is not a whole number"):
            Guidance("cone", radius)
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ClickError, match=f"scale of {scale} is not"):
            Guidance("cone", 16, scale)


# Guidance against its definition


@settings(max_examples=60, deadline=None)
@given(scene=scenes(), radius=st.integers(1, 30), scale=st.sampled_from([1.0, 0.5, 7.0]))
def test_cones_are_the_distance_to_the_nearest_click(scene, radius, scale):
    shape, clicks = scene
    maps = drawn(Guidance("cone", radius, scale), clicks, shape, 2)
    assert maps.dtype == np.float32
    for label in range(2):
        unclicked = np.ones(shape, dtype=bool)
        for click in clicks:
            unclicked[click.pixel] &= click.label != label
        if unclicked.all():
            expected = np.zeros(shape)
        else:
            distance = ndimage.distance_transform_edt(unclicked)
            expected = scale * np.maximum(0, 1 - distance / radius)
        np.testing.assert_allclose(maps[label], expected, atol=1e-6 * scale)


def test_one_click_of_the_authors_is_an_83_pixel_cone():
    assert len(ELLIPSE) == 83
    cone = drawn(AUTHORS, clicks_of((20, 30)), (50, 60))[0]
    assert np.count_nonzero(cone) == 83
    rows, cols = np.nonzero(cone)
    # The kernel is even: it reaches 4 pixels up and left and 5 down and right.
    assert (rows.min(), rows.max()) == (16, 25)
    assert (cols.min(), cols.max()) == (16 + 10, 35)
    assert cone.max() == pytest.approx(4.775)


@settings(max_examples=60, deadline=None)
@given(scene=scenes(side=30))
def test_the_authors_drawing_is_opencvs(scene):
    shape, clicks = scene
    maps = drawn(AUTHORS, clicks, shape, 2)
    for label in range(2):
        of_class = Clicks(tuple(click for click in clicks if click.label == label))
        clicked = np.zeros(shape, dtype=bool)
        for click in of_class:
            clicked[click.pixel] = True
        if dilated(clicked).all():
            assert (maps[label] > 0).all()  # OpenCV has no answer: see below
        else:
            np.testing.assert_allclose(maps[label], authors_map(of_class, shape), atol=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [
        [(0, 0)],
        [(0, 17)],
        [(39, 44)],
        [(0, 0), (0, 44), (39, 0), (39, 44)],
        [(0, col) for col in range(45)],
        [(20, 10), (20, 18)],
        [(20, 10), (20, 20)],
        [(20, 10), (28, 18)],
        [(10, 10), (10, 11), (11, 10), (11, 11)],
        [(row, col) for row in range(5, 36, 6) for col in range(5, 40, 6)],
    ],
)
def test_the_authors_drawing_at_borders_and_where_discs_merge(pixels):
    shape, clicks = (40, 45), clicks_of(*pixels)
    expected = authors_map(clicks, shape)
    assert all(expected[pixel] > 0.9 for pixel in pixels)  # also in row and column 0
    np.testing.assert_allclose(drawn(AUTHORS, clicks, shape)[0], expected, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(scene=scenes(classes=1, side=60))
def test_the_authors_drawing_is_opencvs_by_opencv(scene):
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    shape, clicks = scene
    clicked = np.zeros(shape, dtype=np.uint8)
    for click in clicks:
        clicked[click.pixel] = 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (10, 10))
    lit = cv2.dilate(clicked, kernel, iterations=1)
    if not lit.all():
        distance = cv2.distanceTransform(lit, cv2.DIST_L2, 3)
        # OpenCV computes in steps of 2 ** -16.
        np.testing.assert_allclose(drawn(AUTHORS, clicks, shape)[0], distance, atol=1e-4)


def test_an_image_full_of_authors_discs_is_drawn_as_if_surrounded_by_unlit_pixels():
    cone = drawn(AUTHORS, clicks_of((2, 2)), (5, 5))[0]
    expected = chamfer(np.pad(np.ones((5, 5), dtype=bool), 1))[1:-1, 1:-1]
    np.testing.assert_allclose(cone, expected, atol=1e-5)


# Guidance is drawn per window


@settings(max_examples=150, deadline=None)
@given(guidance=guidances, scene=scenes(side=90), data=st.data())
def test_a_window_shows_what_the_whole_image_shows(guidance, scene, data):
    shape, clicks = scene
    top, left = (data.draw(st.integers(0, n - 1)) for n in shape)
    window = Window(
        top,
        left,
        data.draw(st.integers(1, shape[0] - top)),
        data.draw(st.integers(1, shape[1] - left)),
    )
    whole = drawn(guidance, clicks, shape, 2)
    part = guidance.draw(clicks, window, 2, shape)
    np.testing.assert_array_equal(part, whole[(slice(None), *window.slices)])
    # The clicks said to be relevant are all that matter.
    relevant = guidance.relevant(clicks, window)
    assert set(relevant) <= set(clicks)
    np.testing.assert_array_equal(guidance.draw(relevant, window, 2, shape), part)


@pytest.mark.parametrize("step", [7, 9, 10, 11, 12])
def test_a_long_chain_of_authors_discs_seen_through_a_small_window(step):
    shape = (40, 600)
    chain = clicks_of(*((20 + (col // step) % 2, col) for col in range(5, 595, step)))
    whole = drawn(AUTHORS, chain, shape)
    for left in range(0, 600, 16):
        window = Window(8, left, 24, min(16, 600 - left))
        np.testing.assert_array_equal(
            AUTHORS.draw(chain, window, 1, shape), whole[(slice(None), *window.slices)]
        )


def test_clicks_far_away_are_not_relevant():
    clicks = clicks_of((50, 50), (50, 200), (300, 50))
    window = Window(40, 40, 20, 20)
    for guidance in (AUTHORS, Guidance("cone", 16)):
        assert guidance.relevant(clicks, window) == clicks_of((50, 50))
        assert not guidance.relevant(clicks, Window(400, 400, 20, 20))
        assert not guidance.draw(clicks, Window(400, 400, 20, 20), 1, (500, 500)).any()


def test_drawing_no_clicks_gives_zeros_of_the_right_shape():
    for guidance in (AUTHORS, Guidance()):
        maps = guidance.draw(Clicks(), Window(3, 4, 5, 6), 7, (50, 50))
        assert maps.shape == (7, 5, 6)
        assert not maps.any()


def test_a_history_of_many_clicks_shares_them():
    """4 000 steps of up to 4 000 clicks took 65 MB."""
    tracemalloc.start()
    try:
        clicks = Clicks()
        history = [clicks]
        for i in range(4000):
            clicks = clicks.added(Click(i, 7 * i % 1000, i % 5))
            history.append(clicks)
        before = clicks
        history.append(clicks := clicks.replaced(clicks.items[1234], Click(9000, 3, 1)))
        history.append(clicks := clicks.removed(clicks.items[77]))
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 8e6
    assert len(clicks) == 3999
    assert [len(step) for step in history[:4001]] == list(range(4001))
    assert sum(a is not b for a, b in zip(before, history[-2], strict=True)) == 1


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_clicks_are_clicks_in_a_row(data):
    """Against one list, and with nodes of three."""
    click = st.builds(Click, st.integers(0, 5), st.integers(0, 5), st.integers(0, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_disca.core.shared_tuple._WIDTH", 3)
        clicks, row = Clicks(), []
        for _ in range(data.draw(st.integers(0, 30))):
            what = data.draw(st.sampled_from(["add", "remove", "replace"]))
            if what == "add" or not row:
                new = data.draw(st.lists(click, min_size=1, max_size=8))
                for one in new:
                    row = [c for c in row if c.pixel != one.pixel] + [one]
                clicks = clicks.added(*new)
            elif what == "remove":
                gone = data.draw(st.lists(st.sampled_from(row), max_size=8))
                row = [c for c in row if c not in gone]
                clicks = clicks.removed(*gone)
            else:
                old, new = data.draw(st.sampled_from(row)), data.draw(click)
                row = [new if c == old else c for c in row if c == old or c.pixel != new.pixel]
                clicks = clicks.replaced(old, new)
            assert list(clicks) == row
            assert clicks.items == tuple(row)
            assert len(clicks) == len(row)
            assert clicks == Clicks(row)
            assert hash(clicks) == hash(Clicks(row))
            assert all(c in clicks for c in row)
        assert clicks != Clicks([*row, Click(9, 9, 0)])
