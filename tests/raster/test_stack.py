"""Red, green and blue in files of their own are one image, or are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from builders import make_card, write_image
from field_scene import Field
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import Raster, fingerprint, open_raster
from napari_disca.raster.stack import BandStack

SHAPE = (60, 80)
PLANES = np.random.default_rng(0).integers(20, 250, (4, *SHAPE), dtype=np.uint8)
CARD = make_card(bands=("red", "green", "blue"), mean=(0.4,) * 3, std=(0.25,) * 3)


def single(path: Path, plane: Any, x: float = 5e5, **profile: Any) -> Raster:
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(1, 0, x, 0, -1, 5e6)}
    return open_raster(write_image(path, plane, **place, **profile))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("blue", "green", "nir", "red"), (4, 2, 1)),
        (("T33_B02", "T33_B03", "T33_B04", "T33_B08"), (3, 2, 1)),
        (("x_B8", "x_B4", "x_B3", "x_B2"), (2, 3, 4)),
    ],
)
def test_their_names_say_which_is_which(
    tmp_path: Path, names: tuple[str, ...], expected: tuple[int, ...]
) -> None:
    parts = [single(tmp_path / f"{n}.tif", p) for n, p in zip(names, PLANES, strict=True)]
    with BandStack(parts, names) as stack:
        view = NetworkView(stack, CARD)
        assert view.bands == expected
        right = PLANES[[band - 1 for band in expected]]
        np.testing.assert_allclose(view.read(Window.whole(SHAPE)), right / 255, atol=1e-6)
        assert f"its bands are the images {', '.join(names)}" in view.describe()
        assert stack.crs == parts[0].crs
        assert fingerprint(stack).startswith("p-")


def test_valid_is_what_every_band_that_is_read_has(tmp_path: Path) -> None:
    green = PLANES[1].copy()
    green[:10] = 0
    parts = [
        single(tmp_path / "red.tif", PLANES[0]),
        single(tmp_path / "green.tif", green, nodata=0),
        single(tmp_path / "blue.tif", PLANES[2].astype(np.uint16)),
    ]
    with BandStack(parts, ("red", "green", "blue")) as stack:
        whole = Window.whole(SHAPE)
        assert stack.dtype == np.uint16
        assert not stack.valid(whole)[:10].any()
        assert stack.valid(whole)[10:].all()
        assert stack.valid(whole, (1, 3)).all()
        pixels, valid = stack.overview(40)
        assert pixels.shape == (3, 30, 40)
        assert not valid[:4].any()
        assert stack.reduced(whole, 4).shape == (3, 15, 20)


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"plane": PLANES[1, :40]}, r"'green' has 40 x 80 pixels, 'red' has 60 x 80"),
        ({"plane": PLANES[1], "x": 6e5}, "'green' lies elsewhere than 'red'"),
    ],
)
def test_other_grids_are_refused_by_name(tmp_path: Path, second: dict[str, Any], said: str) -> None:
    parts = [single(tmp_path / "a.tif", PLANES[0]), single(tmp_path / "b.tif", **second)]
    with pytest.raises(RasterError, match=said):
        BandStack(parts, ("red", "green"))
    with pytest.raises(RasterError, match="'colours' has 3 bands"):
        BandStack([parts[0], open_raster(np.moveaxis(PLANES[:3], 0, -1))], ("red", "colours"))


def test_the_network_reads_what_it_reads_of_the_whole_image(tmp_path: Path, field: Field) -> None:
    pixels = field.image if field.image.shape[-1] == 3 else np.moveaxis(field.image, 0, -1)
    names = ("blue", "green", "red")
    parts = [single(tmp_path / f"{n}.tif", pixels[..., 2 - k]) for k, n in enumerate(names)]
    with BandStack(parts, names) as stack:
        view = NetworkView(stack, field.network.card, factor=1.0)
        reference = NetworkView(open_raster(pixels), field.network.card, factor=1.0)
        area = Window.whole((256, 256))
        np.testing.assert_array_equal(view.read(area), reference.read(area))
