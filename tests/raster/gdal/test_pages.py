"""Pages, frames and planes: what is read of them, and that it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from builders import make_card, write_image
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster

SHAPE = (40, 50)
WHOLE = Window.whole(SHAPE)
PLANES = np.random.default_rng(0).integers(20, 250, (12, *SHAPE), dtype=np.uint8)
CARD = make_card(bands=("red", "green", "blue"), mean=(0.4,) * 3, std=(0.25,) * 3)


@pytest.mark.parametrize("axes", ["TYX", "ZYX"])
@pytest.mark.parametrize("one_page", [False, True])
@pytest.mark.parametrize("count", [3, 7])
def test_of_a_series_the_first_frame_is_read_and_it_is_said(
    tmp_path: Path, axes: str, one_page: bool, count: int
) -> None:
    """Three points in time are not red, green and blue."""
    path = tmp_path / "a.tif"
    if one_page:  # as ImageJ writes a stack of more than 4 GB
        kind = {"T": "frames", "Z": "slices"}[axes[0]]
        text = f"ImageJ=1.54f\nimages={count}\n{kind}={count}\nhyperstack=true\n"
        tifffile.imwrite(path, PLANES[0], description=text, metadata=None)
        with path.open("ab") as file:
            file.write(PLANES[1:count].tobytes())
    else:
        tifffile.imwrite(path, PLANES[:count], imagej=True, metadata={"axes": axes})
    with open_raster(path) as raster:
        view = NetworkView(raster, CARD)
        assert view.bands == (1, 1, 1)
        np.testing.assert_allclose(view.read(WHOLE)[2], PLANES[0] / 255, atol=1e-6)
        said = {"T": "points in time", "Z": "planes in depth"}[axes[0]]
        assert f"the file holds {count} {said}: the first is read" in view.describe()


@pytest.mark.parametrize("axes", ["TCYX", "CTYX"])
def test_channels_of_the_first_frame_are_bands(tmp_path: Path, axes: str) -> None:
    path = tmp_path / "a.ome.tif"
    sizes = {"T": 4, "C": 3}
    stack = PLANES.reshape(*(sizes[a] for a in axes[:2]), *SHAPE)
    tifffile.imwrite(path, stack, metadata={"axes": axes}, photometric="minisblack")
    right = stack[0] if axes == "TCYX" else stack[:, 0]
    with open_raster(path) as raster:
        view = NetworkView(raster, CARD)
        np.testing.assert_allclose(view.read(WHOLE), right / 255, atol=1e-6)
        assert "4 points in time: the first is read" in view.describe()


def test_a_series_of_colour_pictures(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = np.moveaxis(PLANES.reshape(4, 3, *SHAPE), 1, -1)
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "TYXS"}, photometric="rgb")
    with open_raster(path) as raster:
        view = NetworkView(raster, CARD)
        np.testing.assert_allclose(view.read(WHOLE), PLANES[:3] / 255, atol=1e-6)
        assert "4 points in time: the first is read" in view.describe()


def test_seven_pages_of_which_nothing_is_said_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PLANES[:7], photometric="minisblack", metadata=None)
    with open_raster(path) as raster:
        with pytest.raises(RasterError, match=r"a\.tif has 7 planes .* a stack of pictures, or"):
            NetworkView(raster, CARD)
        view = NetworkView(raster, CARD, bands=(4,))
        np.testing.assert_allclose(view.read(WHOLE)[0], PLANES[3] / 255, atol=1e-6)


def paged(path: Path, masked: int | None, nodata: int | None, count: int = 3) -> Any:
    """Pages of bands; one with a mask, one with a no-data value."""
    valid = np.ones((count, *SHAPE), dtype=np.bool_)
    for k in range(count):
        pixels = PLANES[k].copy()
        profile: dict[str, Any] = {"APPEND_SUBDATASET": "YES"} if k else {}
        if k == nodata:
            pixels[30:, 20:] = 7
            valid[k, 30:, 20:] = False
            profile["nodata"] = 7
        if k == masked:
            valid[k, :10] = False
        write_image(path, pixels, mask=valid[k] if k == masked else None, **profile)
    return valid


@pytest.mark.parametrize("masked", [None, 0, 1, 2])
@pytest.mark.parametrize("nodata", [None, 0, 1, 2])
def test_a_mask_and_a_nodata_value_of_one_page(
    tmp_path: Path, masked: int | None, nodata: int | None
) -> None:
    if masked is not None and masked == nodata:
        pytest.skip("GDAL writes one of the two")
    path = tmp_path / "a.tif"
    valid = paged(path, masked, nodata)
    with open_raster(path) as raster:
        assert raster.count == 3
        view = NetworkView(raster, CARD)
        np.testing.assert_array_equal(view.image_valid(WHOLE), valid.all(axis=0))
        _, overview = raster.overview(100)
        np.testing.assert_array_equal(overview, valid.all(axis=0))
        for band in (1, 2, 3):
            one = NetworkView(raster, CARD, bands=(band,))
            np.testing.assert_array_equal(one.image_valid(WHOLE), valid[band - 1])
        assert "its 3 pages are read as bands" in view.describe()


def test_images_of_several_sizes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(PLANES[0], photometric="minisblack", metadata=None)
        file.write(PLANES[1, :20, :20], photometric="minisblack", metadata=None)
    with open_raster(path) as raster:
        assert raster.shape == SHAPE
        assert "the file holds 2 images: the first is read" in NetworkView(raster, CARD).describe()
