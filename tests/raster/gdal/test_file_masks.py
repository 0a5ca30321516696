"""Where there is data: what every band that the network reads has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from builders import make_card, write_image
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.scenes import Scene

SHAPE = (96, 128)
WHOLE = Window.whole(SHAPE)
HOLE = (slice(10, 50), slice(20, 80))
KNOWN = np.ones(SHAPE, dtype=np.bool_)
KNOWN[HOLE] = False
#: Colours of an 8-bit scene, and a near infrared with many grey levels.
COLOURS = np.moveaxis(Scene(SHAPE, seed=1, region="arid", ground_resolution=1.0).image(), -1, 0)
NIR = (COLOURS[:1] // 2 + np.arange(128, dtype=np.uint8)).astype(np.uint8)
ALPHA = np.where(KNOWN, 255, 0).astype(np.uint8)[None]
RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def write(
    path: Path,
    pixels: NDArray[Any],
    interp: tuple[ColorInterp, ...] | None = None,
    mask: NDArray[np.bool_] | None = None,
    **profile: Any,
) -> Path:
    if profile.pop("internal", True):
        return write_image(path, pixels, colorinterp=interp or (), mask=mask, **profile)
    write_image(path, pixels, colorinterp=interp or (), **profile)
    with quiet_opening(), rasterio.open(path, "r+") as file:
        file.write_mask(mask)  # beside the file, as GDAL does where nobody asks for it inside
    return path


def view_of(path: Path, names: tuple[str, ...] = ("red", "green", "blue")) -> NetworkView:
    card = make_card(bands=names, mean=(0.4,) * len(names), std=(0.25,) * len(names))
    return NetworkView(open_raster(path), card)


def valid_pixels(
    path: Path, names: tuple[str, ...] = ("red", "green", "blue")
) -> NDArray[np.bool_]:
    return view_of(path, names).image_valid(WHOLE)


@pytest.mark.parametrize(
    ("bands", "interp"),
    [
        ([COLOURS, ALPHA], (*RGB, ColorInterp.alpha)),
        ([COLOURS, NIR, ALPHA], (*RGB, ColorInterp.undefined, ColorInterp.alpha)),
        ([COLOURS, ALPHA, NIR], (*RGB, ColorInterp.alpha, ColorInterp.undefined)),
        ([COLOURS, NIR, NIR, ALPHA], (*RGB, *(ColorInterp.undefined,) * 2, ColorInterp.alpha)),
        ([COLOURS[:1], ALPHA], (ColorInterp.gray, ColorInterp.alpha)),
        # Nobody says that the last band is a mask; its content does.
        ([COLOURS, ALPHA], (*RGB, ColorInterp.undefined)),
        ([COLOURS, NIR, ALPHA], (*RGB, ColorInterp.undefined, ColorInterp.undefined)),
    ],
)
def test_alpha_is_a_mask_wherever_it_stands(
    tmp_path: Path, bands: list[NDArray[np.uint8]], interp: tuple[ColorInterp, ...]
) -> None:
    path = write(tmp_path / "a.tif", np.concatenate(bands), interp)
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)


@pytest.mark.parametrize(
    ("kind", "opaque"),
    [
        *((np.uint8, 1), (np.uint16, 1), (np.uint16, 255), (np.uint16, 65535), (np.int16, 1)),
        *((np.float32, 1), (np.float32, 255)),
    ],
)
def test_a_mask_in_the_last_band_whatever_its_type(tmp_path: Path, kind: type, opaque: int) -> None:
    mask = (KNOWN * opaque).astype(kind)[None]
    interp = (*RGB, ColorInterp.undefined)
    path = write(tmp_path / "a.tif", np.concatenate([COLOURS.astype(kind), mask]), interp)
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)
    if kind is not np.uint8:  # which GDAL calls alpha by itself
        assert "band 4 is 0 or one other value everywhere" in view_of(path).describe()


def test_alpha_with_many_grey_levels_is_a_band_and_it_is_said(tmp_path: Path) -> None:
    """As in NAIP images whose near infrared is tagged as alpha."""
    path = write(tmp_path / "a.tif", np.concatenate([COLOURS, NIR]), (*RGB, ColorInterp.alpha))
    view = view_of(path, ("red", "green", "blue", "nir"))
    assert view.bands == (1, 2, 3, 4)
    assert view.image_valid(WHOLE).all()
    np.testing.assert_allclose(view.read(WHOLE)[3], NIR[0] / 255, atol=1e-6)
    assert "band 4 is called alpha but has many grey levels" in view.describe()


def test_a_soft_alpha_is_still_a_mask(tmp_path: Path) -> None:
    alpha = ALPHA.copy()
    alpha[0, 50:60, 20:80] = np.arange(25, 255, 25)[:, None][:10].repeat(60, 1)[:10]
    path = write(tmp_path / "a.tif", np.concatenate([COLOURS, alpha]), (*RGB, ColorInterp.alpha))
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)


def test_a_soft_alpha_that_colours_are_multiplied_by(tmp_path: Path) -> None:
    """Many grey levels and few that are opaque: a vignette, as web maps have at their edge."""
    down, across = np.mgrid[: SHAPE[0], : SHAPE[1]]
    reach = 1.35 - np.hypot(down / SHAPE[0] - 0.5, across / SHAPE[1] - 0.5) * 2.4
    alpha = (reach.clip(0, 1) * 255).astype(np.uint8)
    premultiplied = (COLOURS * (alpha / 255)).astype(np.uint8)
    interp = (*RGB, ColorInterp.alpha)
    path = write(tmp_path / "a.tif", np.concatenate([premultiplied, alpha[None]]), interp)
    np.testing.assert_array_equal(valid_pixels(path), alpha > 0)
    assert "colours are multiplied by the alpha of band 4" in view_of(path).describe()


def test_alpha_and_nodata_at_once(tmp_path: Path) -> None:
    pixels = np.concatenate([COLOURS, ALPHA])
    pixels[:3, 70:90, 90:120] = 7
    path = write(tmp_path / "a.tif", pixels, (*RGB, ColorInterp.alpha), nodata=7)
    expected = KNOWN.copy()
    expected[70:90, 90:120] = False
    np.testing.assert_array_equal(valid_pixels(path), expected)


@pytest.mark.parametrize(
    ("kind", "nodata"), [(np.int16, -9999), (np.float32, -9999), (np.uint8, 0)]
)
def test_nodata_in_one_band_is_no_data_for_who_reads_it(
    tmp_path: Path, kind: type, nodata: float
) -> None:
    pixels = np.concatenate([COLOURS, NIR]).astype(kind)
    pixels[1][HOLE] = nodata
    path = write(tmp_path / "a.tif", pixels, (*RGB, ColorInterp.undefined), nodata=nodata)
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)
    with open_raster(path) as raster:
        assert raster.valid(WHOLE, (1, 3)).all()


def test_a_dark_pixel_of_a_photograph_is_not_no_data(tmp_path: Path) -> None:
    """0 in one band, here and there, beside 1 and 2: a shadow."""
    rng = np.random.default_rng(0)
    pixels = (COLOURS.astype(int) - 120).clip(1, 255).astype(np.uint8)
    pixels[2, rng.random(SHAPE) < 0.02] = 0
    pixels[:, HOLE[0], HOLE[1]] = 0
    path = write(tmp_path / "a.tif", pixels, RGB, nodata=0)
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)


@pytest.mark.parametrize("internal", [True, False])
def test_masks_inside_and_beside_the_file_and_nodata(tmp_path: Path, internal: bool) -> None:
    pixels = COLOURS.copy()
    pixels[:, 80:, 100:] = 3
    path = write(tmp_path / "a.tif", pixels, RGB, KNOWN, internal=internal, nodata=3)
    expected = KNOWN.copy()
    expected[80:, 100:] = False
    np.testing.assert_array_equal(valid_pixels(path), expected)


def test_numbers_that_are_none_in_a_band_that_is_read(tmp_path: Path) -> None:
    pixels = np.concatenate([COLOURS, NIR]).astype(np.float32)
    pixels[3][HOLE] = np.nan
    path = write(tmp_path / "a.tif", pixels, (*RGB, ColorInterp.undefined), nodata=-1)
    assert valid_pixels(path).all()
    np.testing.assert_array_equal(valid_pixels(path, ("red", "green", "blue", "nir")), KNOWN)


def test_a_nodata_value_with_fewer_digits_than_the_pixels(tmp_path: Path) -> None:
    pixels = COLOURS.astype(np.float32)
    pixels[:, HOLE[0], HOLE[1]] = np.finfo(np.float32).min
    path = write(tmp_path / "a.tif", pixels, nodata=-3.40282e38)
    np.testing.assert_array_equal(valid_pixels(path), KNOWN)
