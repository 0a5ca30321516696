"""Clicks, areas, strokes and reviews as GeoPackages."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.errors import ExportError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import export_for, read_clicks, read_locks
from napari_disca.networks import LandClass
from napari_disca.raster import ArrayRaster
from napari_disca.session.steps.review_marks import Mark
from napari_disca.session.steps.strokes import Stroke

pyogrio = pytest.importorskip("pyogrio")
raw = pytest.importorskip("pyogrio.raw")
CLASSES = (LandClass("roof", "#d95f02"), LandClass("straße", "#7570b3"))
REVIEW = (
    Mark(Window(3, 4, 20, 10), "right"),
    Mark(Window(30, 40, 20, 10), "note", "ask the owner of the Straße"),
)


PLACE = {"crs": CRS.from_epsg(32645), "transform": Affine(2, 0, 355_000, 0, -2, 3_056_000)}


@pytest.fixture(params=[PLACE, {}], ids=["placed", "pixels"])
def raster(request):
    return ArrayRaster(np.zeros((80, 90, 3), np.uint8), **request.param)


def written(what, content, path, raster):
    finish(export_for(path, content).write(what, path, raster=raster, classes=CLASSES))
    return path


def table(path):
    meta, _, shapes, columns = raw.read(path)
    return meta, shapes, dict(zip(meta["fields"], columns, strict=True))


def test_a_review_is_a_layer_of_polygons(raster, tmp_path):
    path = written(REVIEW, "review", tmp_path / "work.gpkg", raster)
    ((name, kind),) = pyogrio.list_layers(path)
    assert (name, kind) == ("review", "Polygon")
    meta, _, rows = table(path)
    assert list(rows["verdict"]) == ["right", "note"]
    assert list(rows["checked"]) == [True, False]
    assert list(rows["note"]) == ["", "ask the owner of the Straße"]
    assert list(rows["order"]) == [0, 1]
    bounds = pyogrio.read_info(path, force_total_bounds=True)["total_bounds"]
    if raster.crs is not None:
        assert CRS.from_user_input(meta["crs"]) == raster.crs
        expected = (355_008, 3_056_000 - 2 * 50, 355_000 + 2 * 50, 3_056_000 - 2 * 3)
    else:
        expected = (4, 3, 50, 50)
    np.testing.assert_allclose(bounds, expected)


def test_clicks_and_areas_come_back_as_they_were(raster, tmp_path):
    clicks = Clicks((Click(3, 4, 1), Click(40, 50, 0)))
    path = written(clicks, "clicks", tmp_path / "clicks.gpkg", raster)
    assert read_clicks(path, raster=raster, classes=CLASSES) == clicks
    rings = (
        ((10.0, 10.0), (10.0, 60.0), (50.0, 60.0), (50.0, 10.0)),
        ((20.0, 20.0), (30.0, 20.0), (30.0, 30.0), (20.0, 30.0)),
    )
    areas = (Area(rings), Area.rectangle(Window(60, 60, 10, 10)))
    path = written(areas, "areas", tmp_path / "areas.gpkg", raster)
    whole = Window.whole(raster.shape)
    for found, area in zip(read_locks(path, raster=raster), areas, strict=True):
        np.testing.assert_array_equal(found.mask(whole), area.mask(whole))


def test_strokes_that_erase_have_no_class(raster, tmp_path):
    pixels = PixelSet.from_json([3, 4, 20])
    strokes = (Stroke(1, pixels, 1, "brush"), Stroke(2, pixels, None, "brush"))
    _, shapes, rows = table(written(strokes, "strokes", tmp_path / "strokes.gpkg", raster))
    assert len(shapes) == 2
    assert rows["class_id"][0] == 1
    assert np.isnan(rows["class_id"][1])
    assert list(rows["class"]) == ["straße", None]


def test_nothing_is_an_empty_layer(raster, tmp_path):
    path = written(Clicks(()), "clicks", tmp_path / "clicks.gpkg", raster)
    assert pyogrio.read_info(path)["features"] == 0


def test_what_cannot_be_written_is_said_and_leaves_what_was_there(raster, tmp_path, monkeypatch):
    path = tmp_path / "review.gpkg"
    path.write_bytes(b"before")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"needs pyogrio; install it with pip install"):
        written(REVIEW, "review", path, raster)
    monkeypatch.undo()

    from pyogrio.errors import DataSourceError

    def full(*_args, **_keywords):
        raise DataSourceError("database or disk is full")

    monkeypatch.setattr("pyogrio.raw.write", full)
    with pytest.raises(ExportError, match=r"cannot write .*: database or disk is full"):
        written(REVIEW, "review", path, raster)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["review.gpkg"]
