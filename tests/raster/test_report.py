"""`info IMAGE` tells how an image would be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.control import GroundControlPoint

from builders import write_image
from napari_disca.raster import open_raster
from napari_disca.raster.report import reading_lines


def test_the_lines_say_what_is_decided(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(900, 3000, (4, 40, 60), dtype=np.uint16)
    pixels[:, :10] = 7
    place = {"crs": "EPSG:32645", "transform": Affine(3, 0, 3e5, 0, -3, 3e6)}
    names = ("blue", "green", "red", "nir")
    path = write_image(tmp_path / "a.tif", pixels, names=names, nodata=7, **place)
    with open_raster(path) as raster:
        text = "\n".join(reading_lines(raster))
    assert "bands 3, 2, 1 as red, green, blue" in text
    assert "data: 75 % of the sampled pixels (no-data value 7)" in text
    assert "resolution: 3" in text
    assert "EPSG:32645" in text
    assert "scaling: " in text
    assert "odd" not in text


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (
            {
                "crs": "EPSG:32633",
                "gcps": [
                    GroundControlPoint(row, col, 5e5 + col, 5e6 - row)
                    for row, col in ((0, 0), (0, 60), (40, 0))
                ],
            },
            "georeference: EPSG:32633, 3 ground control points",
        ),
        (
            {"crs": "EPSG:32633", "transform": Affine(0, 0, 5e5, 0, 0, 5e6)},
            "georeference: EPSG:32633, without a transform that says where its pixels lie",
        ),
        (
            {"transform": Affine(2, 0, 5e5, 0, -2, 5e6)},
            "georeference: coordinates without a CRS",
        ),
        ({}, "georeference: none"),
    ],
    ids=["points", "nowhere", "no CRS", "none"],
)
def test_where_it_lies_is_told_as_it_is(
    tmp_path: Path, place: dict[str, object], line: str
) -> None:
    pixels = np.random.default_rng(0).integers(1, 255, (3, 40, 60), dtype=np.uint8)
    with open_raster(write_image(tmp_path / "a.tif", pixels, **place)) as raster:
        assert line in reading_lines(raster)


def test_a_dark_image_is_told() -> None:
    """8-bit values are divided by 255 even where they end at 60."""
    bright = np.random.default_rng(0).integers(0, 255, (3, 40, 50), dtype=np.uint8)
    for pixels, dark in ((bright, False), (bright // 5, True), (bright[:1] * 0, True)):
        text = "\n".join(reading_lines(open_raster(pixels)))
        assert ("odd: the image is dark" in text) == dark


def test_what_looks_odd_is_said() -> None:
    stack = np.random.default_rng(0).integers(0, 255, (7, 20, 30), dtype=np.uint8)
    text = "\n".join(reading_lines(open_raster(stack)))
    assert "odd: array has 7 planes" in text
    assert "odd: the size of a pixel is not known" in text
