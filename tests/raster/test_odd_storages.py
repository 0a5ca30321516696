"""Storages that were taken for another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from builders import make_card, write_image
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import ArrayRaster, Scaling, open_raster
from napari_disca.raster.report import reading_lines
from napari_disca.scenes import Scene

CARD = make_card(bands=("red", "green", "blue"))
SIDE = 128
WHOLE = Window(0, 0, SIDE, SIDE)


def scene(region: str, seed: int) -> NDArray[np.uint8]:
    image = Scene((SIDE, SIDE), seed=seed, region=region, ground_resolution=1.0).image()
    return np.moveaxis(image, -1, 0)


def view_of(pixels: NDArray[np.generic], descriptions: tuple[str, ...] = ()) -> NetworkView:
    raster = ArrayRaster(pixels, bands_axis="first")
    if descriptions:
        raster.descriptions = descriptions
    return NetworkView(raster, CARD)


@pytest.mark.parametrize(("region", "seed"), [("temperate", 0), ("temperate", 2), ("arid", 2)])
@pytest.mark.parametrize("step", [257, 256])
def test_a_dark_photograph_of_16_bits_is_not_landsat(region: str, seed: int, step: int) -> None:
    pixels = scene(region, seed)
    view = view_of(pixels.astype(np.uint16) * step)
    assert "Landsat" not in view.scale.text
    np.testing.assert_allclose(view.read(WHOLE), pixels / 255, atol=0.005)


def test_reflectance_of_micasense_is_not_landsat() -> None:
    values = (scene("temperate", 0) / 255 * 0.35 * 32768 + 6000).astype(np.uint16)
    names = ("Red-668", "Green-560", "Blue-475")
    assert "Landsat" not in view_of(values, names).scale.text


@pytest.mark.parametrize("kind", [np.int8, np.uint32])
def test_all_of_a_type(kind: type) -> None:
    """Also where a scene has no dark pixel that would show it."""
    pixels = scene("arid", 2)
    stored = pixels.astype(np.int64) - 128 if kind is np.int8 else pixels.astype(np.int64) << 24
    view = view_of(stored.astype(kind))
    np.testing.assert_allclose(view.read(WHOLE), pixels / 255, atol=0.005)


def test_bright_reflectance_keeps_its_black() -> None:
    """A desert of 0.2 to 0.3 is not stretched to black and white."""
    values = (0.2 + scene("arid", 2) / 255 * 0.1).astype(np.float32)
    view = view_of(values)
    assert view.scale.low == (0.0, 0.0, 0.0)
    assert view.read(WHOLE).min() > 0.4


@pytest.mark.parametrize("shape", [(3, 1, 96), (3, 96, 1), (3, 1, 1), (3, 3, 3)])
def test_tiny_images_have_no_fill_values(shape: tuple[int, int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    view = view_of(pixels)
    assert view.scale.text == "values / 255"
    assert view.image_valid(Window.whole(view.raster.shape)).all()


def test_pages_of_which_one_has_a_nodata_value_are_bands(tmp_path: Path) -> None:
    pixels = scene("arid", 2).copy()
    pixels[:, :40, :50] = 7
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        for k, page in enumerate(pixels):
            tags = [(42113, "s", 0, "7", True)] if k == 1 else []
            file.write(page, photometric="minisblack", extratags=tags)
    valid = np.ones((SIDE, SIDE), dtype=np.bool_)
    valid[:40, :50] = False
    with open_raster(path) as raster:
        view = NetworkView(raster, CARD)
        assert view.bands == (1, 2, 3)
        np.testing.assert_array_equal(view.image_valid(WHOLE), valid)


def test_a_vrt_whose_source_is_gone_names_it(tmp_path: Path) -> None:
    band = (
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        '<SourceFilename relativeToVRT="1">gone.tif</SourceFilename><SourceBand>1</SourceBand>'
        "</SimpleSource></VRTRasterBand>"
    )
    path = tmp_path / "a.vrt"
    path.write_text(f'<VRTDataset rasterXSize="9" rasterYSize="9">{band}</VRTDataset>')
    with (
        pytest.raises(RasterError, match=r"refers to a file that is not there: .*gone\.tif"),
        open_raster(path) as raster,
    ):
        raster.read(Window(0, 0, 9, 9))


def test_info_names_a_nodata_value_once(tmp_path: Path) -> None:
    pixels = (scene("arid", 2) / 255).astype(np.float32)
    pixels[:, :9] = np.nan
    with open_raster(write_image(tmp_path / "a.tif", pixels, nodata=np.nan)) as raster:
        assert "(no-data value nan)" in "\n".join(reading_lines(raster))


def test_a_range_may_be_given_as_numpys_numbers() -> None:
    assert Scaling("range", np.float32(0), np.int16(9)) == Scaling("range", 0, 9)
