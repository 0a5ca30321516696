from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from napari_disca.core.events import finish
from napari_disca.core.tiling import Tiling, Window
from napari_disca.session.regions import changed_regions, ripple
from napari_disca.session.regions.changed_regions import areas_of, mask_of
from napari_disca.session.regions.ripple import Ripple, RippleSoFar, compare
from napari_disca.storage.label_pyramid import NO_DATA, LabelPyramid


class Labels:
    """A map that is an array."""

    def __init__(self, array):
        self.array = array
        self.shape = array.shape
        self.read_pixels = 0

    def read(self, window):
        self.read_pixels += window.size
        return self.array[window.slices].copy()


def tiles_of(shape, size=64, halo=8):
    return [tile.keep for tile in Tiling(shape, size, halo)]


def by_scipy(before, after):
    """The regions as a plain labelling of the whole image finds them."""
    changed = (before != after) & (before != NO_DATA) & (after != NO_DATA)
    codes = np.where(changed, before.astype(int) * 256 + after, 0)
    found = []
    for code in np.unique(codes[codes > 0]):
        labels, count = ndimage.label(codes == code, np.ones((3, 3)))
        found += [(int(code) // 256, int(code) % 256, labels == k + 1) for k in range(count)]
    return found


@st.composite
def maps(draw):
    shape = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes = draw(st.integers(2, 4))
    cell = draw(st.sampled_from((1, 2, 5)))
    grid = (2, -(-shape[0] // cell), -(-shape[1] // cell))
    both = np.kron(rng.integers(0, classes, grid), np.ones((cell, cell)))
    both = both[:, : shape[0], : shape[1]].astype(np.uint8)
    both[:, rng.random(shape) < 0.03] = NO_DATA
    return both[0], both[1]


@settings(max_examples=60, deadline=None)
@given(
    maps(), st.sampled_from((16, 33, 64)), st.integers(1, 40), st.sampled_from((64, 999, 1 << 23))
)
def test_the_list_is_what_a_labelling_of_the_whole_image_gives(both, size, min_area, strip):
    before, after = both
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changed_regions, "_STRIP", strip)
        windows = tiles_of(before.shape, size, 4)
        found = finish(compare(Labels(before), Labels(after), windows, min_area=min_area))
    wanted = by_scipy(before, after)
    large = [(b, a, mask) for b, a, mask in wanted if mask.sum() >= min_area]
    assert len(found.regions) == len(large)
    assert found.unlisted == len(wanted) - len(large)
    assert found.changed == sum(int(mask.sum()) for *_, mask in wanted)
    assert [r.area for r in found.regions] == sorted((r.area for r in found.regions), reverse=True)
    assert all(region.complete for region in found.regions)
    for region in found.regions:
        (mask,) = [
            m for b, a, m in large if (b, a) == (region.before, region.after) and m[region.pixel]
        ]
        rows, cols = np.nonzero(mask)
        assert region.area == len(rows)
        assert region.window == Window.from_bounds(
            rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
        )


@settings(max_examples=30, deadline=None)
@given(maps(), st.sampled_from((7, 30, 2048)), st.sampled_from((9, 50_000)))
def test_masks_and_areas_are_the_very_pixels(both, piece, corners):
    before, after = both
    sources = Labels(before), Labels(after)
    found = finish(compare(*sources, tiles_of(before.shape)))
    whole = Window.whole(before.shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(changed_regions, "_PIECE", piece)
        patch.setattr(changed_regions, "_CORNERS", corners)
        for region in found.regions[:12]:
            mask = mask_of(region, *sources, whole)
            assert mask.sum() == region.area
            assert mask[region.pixel]
            part = Window(region.pixel[0], region.pixel[1], 5, 6) & whole
            np.testing.assert_array_equal(mask_of(region, *sources, part), mask[part.slices])
            together = np.zeros_like(mask)
            for area in areas_of(region, *sources):
                here = area.mask(whole)
                assert not (here & together).any()
                together |= here
                rows, cols = np.nonzero(here)
                assert area.window == Window.from_bounds(
                    rows.min(), cols.min(), rows.max() + 1, cols.max() + 1
                )
            np.testing.assert_array_equal(together, mask)


def test_a_region_that_meets_only_far_below_is_one():
    before = np.zeros((200, 60), dtype=np.uint8)
    after = before.copy()
    after[:, 5] = after[:, 50] = 1
    after[199, 5:51] = 1
    (region,) = finish(compare(Labels(before), Labels(after), tiles_of((200, 60), 32, 4))).regions
    assert region.area == 200 + 200 + 44


def test_only_windows_that_may_differ_are_read():
    before = np.zeros((400, 400), dtype=np.uint8)
    after = np.ones_like(before)
    sources = Labels(before), Labels(after)
    windows = [Window(100, 40, 50, 60), Window(300, 300, 20, 20)]
    found = finish(compare(*sources, windows))
    assert [region.area for region in found.regions] == [3000, 400]
    assert sources[0].read_pixels == sources[1].read_pixels == 3400


def test_what_is_in_view_is_told_first_and_as_provisional():
    before = np.zeros((3000, 400), dtype=np.uint8)
    after = before.copy()
    after[2000:2600, 50:300] = 2
    after[10:20, 10:20] = 1
    view = Window(2100, 0, 100, 400)
    job = compare(Labels(before), Labels(after), tiles_of(before.shape), first=[view])
    soon = next(job)
    assert isinstance(soon, RippleSoFar)
    (region,) = soon.regions
    assert (region.before, region.after, region.area) == (0, 2, 100 * 250)
    assert not region.complete
    assert after[region.pixel] == 2
    result = finish(job)
    assert isinstance(result, Ripple)
    assert [(r.area, r.complete) for r in result.regions] == [(600 * 250, True), (100, True)]


def test_certainty_and_square_metres_are_told_where_they_are_known():
    before = np.zeros((40, 40), dtype=np.uint8)
    after = before.copy()
    after[0:10, 0:10] = 1
    after[20:30, 20:30] = 1

    def certainty(rows, cols):
        return np.where(rows < 20, 0.75, np.nan)

    found = finish(
        compare(
            Labels(before), Labels(after), tiles_of((40, 40)), certainty=certainty, pixel_area=0.25
        )
    )
    assert [region.certainty for region in found.regions] == [pytest.approx(0.75), None]
    assert [region.square_metres for region in found.regions] == [25.0, 25.0]


def test_of_very_many_regions_the_largest_are_listed(monkeypatch):
    monkeypatch.setattr(ripple, "_MOST", 20)
    before = np.zeros((300, 300), dtype=np.uint8)
    after = before.copy()
    after[::3, ::3] = 1  # 10 000 single pixels
    for k in range(15):
        after[20 * k + 1, 1 : 3 + k] = 2
    found = finish(compare(Labels(before), Labels(after), tiles_of((300, 300))))
    assert len(found.regions) == 20
    assert sum(region.after == 2 for region in found.regions) == 15
    assert found.unlisted + 20 == len(by_scipy(before, after))


def test_a_snapshot_can_be_compared_with_what_was_painted_since():
    shape = (300, 200)
    labels = LabelPyramid(shape)
    labels.paint(Window.whole(shape), np.zeros(shape, dtype=np.uint8))
    then = labels.snapshot()
    labels.paint(Window(250, 10, 20, 30), np.full((20, 30), 3, dtype=np.uint8))
    (region,) = finish(compare(then, labels, tiles_of(shape))).regions
    assert (region.before, region.after, region.area) == (0, 3, 600)


@pytest.mark.slow
def test_a_large_image_answers_within_a_second_and_in_bounded_memory():
    """20 000 x 20 000 pixels, half of them changed in patches of all sizes."""
    side = 20_000
    rng = np.random.default_rng(0)
    coarse = rng.random((side // 50, side // 50)) < 0.4

    class Made:
        shape = (side, side)

        def __init__(self, changed):
            self.changed = changed

        def read(self, window):
            if not self.changed:
                return np.zeros(window.shape, dtype=np.uint8)
            rows = np.arange(window.top, window.bottom) // 50
            cols = np.arange(window.left, window.right) // 50
            return coarse[np.ix_(rows, cols)].astype(np.uint8)

    windows = [tile.keep for tile in Tiling((side, side))]
    tracemalloc.start()
    began = time.perf_counter()
    job = compare(Made(False), Made(True), windows, first=[Window(9000, 9000, 1500, 2000)])
    first = next(job)
    assert time.perf_counter() - began < 1
    assert first.regions
    found = finish(job)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 600 << 20
    assert found.changed == int(coarse.sum()) * 2500


def test_nothing_is_complete_while_tiles_are_missing_and_a_region_that_grew_is_another():
    before = np.zeros((40, 60), dtype=np.uint8)
    after = before.copy()
    after[10:20, 10:30] = 1
    after[12:14, 10:60] = 1
    sources = Labels(before), Labels(after)
    (part,) = finish(compare(*sources, [Window(0, 0, 40, 30)], missing=1)).regions
    assert (part.area, part.complete) == (200, False)
    grown = Labels(before), Labels(after.copy())
    (region,) = finish(compare(*grown, [Window(0, 0, 40, 60)])).regions
    grown[1].array[20:22, 12:15] = 1
    grown[1].array[19, 10:12] = 0
    assert areas_of(region, *sources)
    assert areas_of(region, *grown) == ()
