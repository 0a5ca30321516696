"""Strokes as polygons: the very pixels, their class and how they came about."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio.features
from affine import Affine
from rasterio.crs import CRS

from builders import make_card
from napari_disca.annotations.areas import Area
from napari_disca.annotations.strokes import BrushPath, drawn_pixels
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import export_for, write_strokes
from napari_disca.raster import ArrayRaster
from napari_disca.session.steps.strokes import Stroke

CLASSES = make_card(3).classes
SHAPE = (120, 160)
PLACE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)


@pytest.fixture
def raster():
    pixels = np.broadcast_to(np.uint8(0), SHAPE)
    return ArrayRaster(pixels, crs=CRS.from_epsg(32633), transform=PLACE)


@pytest.fixture(params=[4096, 32])
def strokes(request, monkeypatch):
    monkeypatch.setattr("napari_disca.exports.strokes._PIECE", request.param)
    ring = BrushPath(((20.5, 20.5), (20.5, 90.5), (80.5, 90.5), (80.5, 20.5), (20.5, 20.5)), 6)
    box = Area.rectangle(Window(100, 100, 200, 200))
    return [
        Stroke(1, ring.pixels(SHAPE), 2, "brush", only=(0, 1)),
        Stroke(4, drawn_pixels(box, SHAPE), None, "lasso", teaches=False),
    ]


def test_the_polygons_hold_the_very_pixels(strokes, raster, tmp_path):
    path = write_strokes(strokes, tmp_path / "strokes.geojson", raster=raster, classes=CLASSES)
    said = json.loads(path.read_text())
    assert "32633" in said["crs"]["properties"]["name"]
    for stroke, feature in zip(strokes, said["features"], strict=True):
        burnt = rasterio.features.rasterize(
            [(feature["geometry"], 1)], out_shape=SHAPE, transform=PLACE, dtype=np.uint8
        )
        np.testing.assert_array_equal(burnt == 1, stroke.area.mask(Window.whole(SHAPE)))
    first, second = (feature["properties"] for feature in said["features"])
    assert first == {
        "class_id": 2,
        "class": "class 2",
        "erased": False,
        "tool": "brush",
        "teaches": True,
        "only_over": "class 0, class 1",
        "pixels": len(strokes[0].area),
        "order": 0,
    }
    assert (second["class_id"], second["erased"], second["tool"]) == (None, True, "lasso")


def test_the_table_knows_them(strokes, raster, tmp_path):
    path = tmp_path / "drawn.json"
    finish(export_for(path, "strokes").write(strokes, path, raster=raster, classes=CLASSES))
    assert len(json.loads(path.read_text())["features"]) == 2
