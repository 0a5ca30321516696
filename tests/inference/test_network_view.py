from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks, MergedClick
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference import network_view as inputs_module
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.resampling import axis_weights
from napari_disca.raster import ArrayRaster, Scaling, ValueScale, open_raster
from napari_disca.raster.values.fill import Fill

RNG = np.random.default_rng(0)
GRAY = {"bands": ("pan",), "mean": (0.5,), "std": (0.25,)}
AS_IS = Scaling("range", 0.0, 1.0)
LENGTHS = st.integers(1, 400)
FACTORS = st.sampled_from([1 / 64, 0.1, 0.25, 0.44, 0.77, 1.0, 1.3, 2.0, 3.7, 8.0])


def gray(array: np.ndarray, factor: float, **changes: Any) -> NetworkView:
    card = make_card(**(GRAY | {"scaling": AS_IS} | changes))
    return NetworkView(ArrayRaster(array), card, factor=factor)


def image(height: int, width: int, holes: bool = True) -> np.ndarray:
    array = np.random.default_rng(height * 1000 + width).random((height, width))
    if holes:
        array[array > 0.8] = np.nan
    return array.astype(np.float32)


# --- one axis -----------------------------------------------------------------------------


@settings(deadline=None)
@given(LENGTHS, LENGTHS)
def test_weights_sum_to_one_and_average_areas(target: int, source: int) -> None:
    first, matrix = axis_weights(0, target, target, source)
    dense = matrix.toarray()
    np.testing.assert_allclose(dense.sum(axis=1), 1, rtol=1e-5)
    assert (dense >= 0).all()
    if target <= source:
        assert first == 0
        edges = np.arange(target + 1) * source / target
        pixels = np.arange(source)
        expected = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
        np.testing.assert_allclose(dense, expected.clip(0) * target / source, atol=1e-5)


@settings(deadline=None)
@given(LENGTHS, LENGTHS)
def test_weights_reproduce_a_ramp(target: int, source: int) -> None:
    """Centres stay where they are, but for the clamped ends and what whole pixels blur."""
    first, matrix = axis_weights(0, target, target, source)
    centres = matrix @ (np.arange(first, first + matrix.shape[1]) + 0.5)
    expected = ((np.arange(target) + 0.5) * source / target).clip(0.5, source - 0.5)
    np.testing.assert_allclose(centres, expected, atol=2e-4 if target >= source else 0.2501)


@settings(deadline=None)
@given(LENGTHS, LENGTHS, st.data())
def test_weights_depend_on_the_position_only(target: int, source: int, data: Any) -> None:
    start = data.draw(st.integers(0, target))
    stop = data.draw(st.integers(start, target))
    first, matrix = axis_weights(start, stop, target, source)
    part = np.zeros((stop - start, source), dtype=np.float32)
    part[:, first : first + matrix.shape[1]] = matrix.toarray()
    whole_first, whole = axis_weights(0, target, target, source)
    expected = np.zeros((target, source), dtype=np.float32)
    expected[:, whole_first : whole_first + whole.shape[1]] = whole.toarray()
    np.testing.assert_array_equal(part, expected[start:stop])


# --- reading ------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), FACTORS, st.data())
def test_windows_agree_bitwise_where_they_overlap(
    height: int, width: int, factor: float, data: Any
) -> None:
    view = gray(image(height, width), factor)
    whole = view.read(Window.whole(view.shape))
    valid = view.valid(Window.whole(view.shape))
    assert np.isfinite(whole).all()
    top = data.draw(st.integers(0, view.shape[0] - 1))
    left = data.draw(st.integers(0, view.shape[1] - 1))
    bottom = data.draw(st.integers(top + 1, view.shape[0]))
    right = data.draw(st.integers(left + 1, view.shape[1]))
    window = Window.from_bounds(top, left, bottom, right)
    np.testing.assert_array_equal(view.read(window), whole[(slice(None), *window.slices)])
    np.testing.assert_array_equal(view.valid(window), valid[window.slices])


def test_blocks_of_rows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    view = gray(image(331, 217), 0.1)
    whole = view.read(Window.whole(view.shape))
    monkeypatch.setattr(inputs_module, "_BLOCK", 5000)
    np.testing.assert_array_equal(view.read(Window.whole(view.shape)), whole)


def test_averaging_leaves_out_what_is_no_data() -> None:
    array = np.full((4, 6), 0.25, dtype=np.float32)
    array[:2, :2] = [[np.nan, 0.5], [1.0, np.nan]]
    array[2:, 4:] = np.nan
    view = gray(array, 0.5)
    expected = np.array([[0.75, 0.25, 0.25], [0.25, 0.25, 0.5]])  # the last is the card's mean
    np.testing.assert_allclose(view.read(Window.whole(view.shape))[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        view.valid(Window.whole(view.shape)), [[True] * 3, [True, True, False]]
    )


def test_bilinear_between_centres() -> None:
    view = gray(np.array([[0.0, 1.0]], dtype=np.float32), 2.0)
    assert view.shape == (2, 4)
    read = view.read(Window(0, 0, 2, 4))[0]
    np.testing.assert_allclose(read, [[0, 0.25, 0.75, 1]] * 2, atol=1e-6)


def test_without_resampling_the_pixels_are_the_image() -> None:
    array = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)
    view = NetworkView(ArrayRaster(array), make_card())
    assert view.factor == 1.0
    read = view.read(Window(3, 5, 10, 20))
    assert read.dtype == np.float32
    expected = np.moveaxis(array[3:13, 5:25], -1, 0) / np.float32(255)
    np.testing.assert_allclose(read, expected, rtol=1e-6)


def test_all_no_data_is_the_mean() -> None:
    for factor in (0.3, 1.0, 2.5):
        for array in (np.full((9, 11), np.nan, dtype=np.float32), np.zeros((9, 11), np.uint16)):
            raster = ArrayRaster(array, nodata=0)
            with pytest.raises(RasterError, match="has no pixel with data in band 1"):
                NetworkView(raster, make_card(**GRAY), factor=factor)
            decided = ValueScale((0.0,), (1.0,), Fill.none(1), "decided before")
            view = NetworkView(raster, make_card(**GRAY), factor=factor, scaling=decided)
            window = Window.whole(view.shape)
            np.testing.assert_allclose(view.read(window), 0.5)
            assert not view.valid(window).any()


# --- there and back -----------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), FACTORS, st.data())
def test_windows_that_partition_the_network_grid_partition_the_image(
    height: int, width: int, factor: float, data: Any
) -> None:
    view = gray(image(height, width), factor)
    size = data.draw(st.integers(max(3, max(view.shape) // 12), 64))
    painted = np.zeros((height, width), dtype=int)
    for tile in Tiling(view.shape, size, data.draw(st.integers(0, size // 4))):
        painted[view.image_window(tile.keep).slices] += 1
    assert (painted == 1).all()


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), FACTORS, st.data())
def test_clicks_fall_where_the_image_window_says(
    height: int, width: int, factor: float, data: Any
) -> None:
    view = gray(image(height, width), factor)
    row = data.draw(st.integers(0, height - 1))
    col = data.draw(st.integers(0, width - 1))
    (click,) = view.network_clicks(Clicks((Click(row, col, 1),)))
    assert click.pixel in Window.whole(view.shape)
    assert (row, col) in view.image_window(Window(click.row, click.col, 1, 1))
    assert click.row == int((row + 0.5) * view.shape[0] / height)


@given(st.permutations([Click(0, 0, 0), Click(5, 5, 2), Click(9, 9, 1), Click(10, 9, 0)]))
def test_of_clicks_on_one_network_pixel_the_middle_one_counts(order: list[Click]) -> None:
    view = gray(image(100, 100), 0.1)
    together = MergedClick(0, 0, 2, (Click(0, 0, 0), Click(5, 5, 2), Click(9, 9, 1)))
    assert set(view.network_clicks(Clicks(tuple(order)))) == {together, Click(1, 0, 0)}
    # As far from the centre as each other: by their places.
    pair = [click for click in order if click.pixel in ((0, 0), (9, 9))]
    (one,) = view.network_clicks(Clicks(tuple(pair)))
    assert one == MergedClick(0, 0, 0, (Click(0, 0, 0), Click(9, 9, 1)))


@pytest.mark.parametrize("factor", [0.25, 0.44, 2.0, 3.7])
def test_to_image_depends_on_the_position_only(factor: float) -> None:
    view = gray(image(120, 90), factor)
    whole = Window.whole(view.shape)
    values = RNG.normal(size=(3, *view.shape)).astype(np.float32)
    expected = view.to_image(values, whole, Window(0, 0, 120, 90))
    read = whole & Window.from_bounds(2, 3, view.shape[0], view.shape[1] - 3)
    keep = view.image_window(read.grown(-1))
    part = view.to_image(values[(slice(None), *read.slices)], read, keep)
    assert keep
    np.testing.assert_array_equal(part, expected[(slice(None), *keep.slices)])


@pytest.mark.parametrize("factor", [0.2, 0.5, 1.6])
def test_to_image_brings_back_what_was_read(factor: float) -> None:
    rows, cols = np.mgrid[:80, :100] / 100
    smooth = (np.sin(3 * rows) + np.cos(2 * cols)).astype(np.float32) / 4 + 0.5
    view = gray(smooth, factor)
    whole = Window.whole(view.shape)
    back = view.to_image(view.read(whole), whole, Window(0, 0, 80, 100))[0]
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(back[inner], smooth[inner], atol=0.005)


# --- scaling ------------------------------------------------------------------------------


def scaled(array: np.ndarray, scaling: Scaling | None = None) -> tuple[np.ndarray, str]:
    """Scaled values of a one-band image, and what the user is told."""
    view = NetworkView(ArrayRaster(array), make_card(**GRAY), scaling=scaling)
    return view.read(Window.whole(view.shape))[0], view.describe()


BYTES = RNG.integers(0, 256, (60, 70)).astype(np.uint8)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (BYTES, BYTES / 255),
        (BYTES.astype(np.uint16) * 257, BYTES / 255),
        ((BYTES / 255).astype(np.float32), BYTES / 255),
        (BYTES.astype(np.float64), BYTES / 255),
        (BYTES // 40, (BYTES // 40) / 255),
    ],
)
def test_auto_takes_full_ranges_as_they_are(array: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(scaled(array)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "array",
    [
        BYTES.astype(np.uint16) * 8,
        BYTES.astype(np.int16) * 10 - 500,
        BYTES.astype(np.float32) * 10,
        BYTES.astype(np.float32) / 100 - 5,
        BYTES.astype(np.uint32) + 4_000_000,
    ],
)
def test_auto_scales_what_fills_a_part_of_its_type(array: np.ndarray) -> None:
    values, text = scaled(array)
    # Evenly spread values are brighter at their 90th percentile than photographs.
    np.testing.assert_allclose(values, BYTES / 255, atol=0.25)
    assert (np.diff(values.ravel()[np.argsort(array.ravel(), kind="stable")]) >= 0).all()
    assert "bulk" in text or "11 bits" in text


def test_scalings_by_name() -> None:
    np.testing.assert_allclose(
        scaled(BYTES, Scaling("range", 50, 150))[0], ((BYTES - 50.0) / 100).clip(0, 1), atol=1e-6
    )
    low, high = np.percentile(BYTES, (2, 98))
    np.testing.assert_allclose(
        scaled(BYTES, Scaling("percentile"))[0],
        ((BYTES - low) / (high - low)).clip(0, 1),
        atol=1e-5,
    )
    small = BYTES.astype(np.int16)
    np.testing.assert_allclose(scaled(small, Scaling("dtype"))[0], small / 32767, atol=1e-7)


def test_constant_bands_and_huge_values_stay_finite() -> None:
    for value in (0.0, 5.0, -3.0, 1e300):
        for kind in ("auto", "percentile", "dtype"):
            read, _ = scaled(np.full((6, 7), value), Scaling(kind))
            assert np.isfinite(read).all()
            assert read.min() >= 0
            assert read.max() <= 1


def test_no_data_does_not_count_for_the_scaling() -> None:
    array = BYTES.astype(np.float32) / 255
    array[:20] = -9999
    raster = ArrayRaster(array, nodata=-9999)
    view = NetworkView(raster, make_card(**GRAY))
    assert "values as they are" in view.describe()
    np.testing.assert_allclose(view.read(Window(0, 0, 60, 70))[0, :20], 0.5)


# --- bands and factors --------------------------------------------------------------------


def test_bands_are_chosen_and_checked() -> None:
    array = RNG.integers(0, 255, (5, 20, 30), dtype=np.uint8)
    view = NetworkView(ArrayRaster(array), make_card(), bands=(5, 1, 5))
    np.testing.assert_allclose(view.read(Window(0, 0, 20, 30)), array[[4, 0, 4]] / 255, atol=1e-6)
    with pytest.raises(RasterError, match="2 bands were chosen, but network for-tests reads 3"):
        NetworkView(ArrayRaster(array), make_card(), bands=(1, 2))
    with pytest.raises(RasterError, match="bands 1 to 5"):
        NetworkView(ArrayRaster(array), make_card(), bands=(1, 2, 6))


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf"), 33.0, 1e-3])
def test_absurd_factors_are_refused(factor: float) -> None:
    with pytest.raises(RasterError, match="resampling factor"):
        gray(image(5, 5), factor)


def placed(size: float) -> ArrayRaster:
    transform = Affine(size, 0, 500000, 0, -size, 5000000)
    return ArrayRaster(
        np.zeros((200, 300), np.uint8), crs=CRS.from_epsg(32631), transform=transform
    )


def test_the_factor_follows_the_ground_resolutions() -> None:
    card = make_card(**GRAY, ground_resolution=0.3)
    view = NetworkView(placed(0.075), card)
    assert view.factor == pytest.approx(0.25, rel=1e-3)
    assert view.shape == (50, 75)
    assert view.describe() == (
        "bands 1; values / 255; read at 0.25 x (image 0.075 m, network 0.3 m)"
    )
    assert NetworkView(placed(0.35), card).factor == 1.0
    assert NetworkView(placed(0.075), card, factor=1.0).shape == (200, 300)
    # A kilometre a pixel holds no roofs, however often it is enlarged.
    assert NetworkView(placed(1000), card).factor == 1.0


def test_a_tiny_image_keeps_one_pixel() -> None:
    view = gray(image(3, 200, holes=False), 1 / 64)
    assert view.shape == (1, 3)
    assert view.read(Window(0, 0, 1, 3)).shape == (1, 1, 3)


def test_a_real_large_image_reads_little_memory(shared: Path) -> None:
    with open_raster(shared / "geotiff/large/zanzibar_sparse_nodata_bigtiff.tif") as raster:
        card = make_card(ground_resolution=0.3)
        view = NetworkView(raster, card)
        assert view.factor == pytest.approx(0.247, rel=0.01)
        window = Window(0, 0, 256, 256)
        assert view.valid(window).any()
        assert view.read(window).std() > 0.01
