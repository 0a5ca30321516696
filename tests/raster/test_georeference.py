"""Where a map lies, in numbers, whatever kind of georeference its image has."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.rpc import RPC

from builders import write_image
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import (
    read_clicks,
    read_locks,
    write_clicks,
    write_geotiff,
    write_locks,
)
from napari_disca.networks import LandClass
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.raster.arrays import ArrayRaster
from napari_disca.raster.resolution import raster_resolution

CLASSES = (LandClass("roof", "#d95f02"), LandClass("street", "#7570b3"))
SHAPE = (40, 60)


class Ones:
    shape = SHAPE

    def read(self, window):
        return np.ones(window.shape, np.uint8)


def image(path, **where):
    return write_image(path, np.full((3, *SHAPE), 90, np.uint8), **where)


def rpcs():
    def terms(k):
        return [k / 7, 1.0, *[1e-3 / (i + k) for i in range(18)]]

    return RPC(
        height_off=220.5, height_scale=501.0, lat_off=-12.25, lat_scale=0.07, line_off=20.0,
        line_scale=20.0, long_off=-76.75, long_scale=0.09, samp_off=30.0, samp_scale=30.0,
        line_num_coeff=terms(1), line_den_coeff=terms(2), samp_num_coeff=terms(3),
        samp_den_coeff=terms(4), err_bias=0.5, err_rand=0.25,
    )  # fmt: skip


def written(path, source):
    with open_raster(source) as raster:
        finish(write_geotiff(Ones(), path, raster=raster, classes=CLASSES))
    return path


@pytest.mark.parametrize("also", ["nothing", "gcps", "transform"])
def test_rpcs_are_copied_to_the_map(also, tmp_path):
    where = {}
    if also == "gcps":
        gcps = [GroundControlPoint(r, c, c, 50 - r) for r, c in ((0, 0), (0, 60), (40, 0))]
        where = {"gcps": gcps, "crs": "EPSG:4326"}
    elif also == "transform":
        where = {"transform": Affine(0.5, 0, 5e5, 0, -0.5, 5e6), "crs": "EPSG:32633"}
    source = image(tmp_path / "image.tif", rpcs=rpcs(), **where)
    made = written(tmp_path / "map.tif", source)
    with quiet_opening(), rasterio.open(made) as file, rasterio.open(source) as given:
        assert given.rpcs is not None
        assert file.rpcs.to_dict() == given.rpcs.to_dict()
        assert file.rpcs.lat_off == -12.25
        assert file.rpcs.samp_num_coeff[1] == 1.0
        assert (file.transform, file.crs) == (given.transform, given.crs)
        assert len(file.gcps[0]) == len(given.gcps[0])


def test_rpcs_in_a_text_file_beside_the_image(tmp_path):
    source = image(tmp_path / "image.tif", rpcs=rpcs())
    with quiet_opening(), rasterio.open(source) as file:
        tags = file.tags(ns="RPC")
    image(source)
    text = []
    for key, value in tags.items():
        numbers = value.split()
        if key.endswith("COEFF"):
            text += [f"{key}_{i}: {number}" for i, number in enumerate(numbers, start=1)]
        else:
            text.append(f"{key}: {value}")
    (tmp_path / "image_RPC.TXT").write_text("\n".join(text) + "\n")
    made = written(tmp_path / "map.tif", source)
    with quiet_opening(), rasterio.open(made) as file:
        assert file.rpcs.long_off == -76.75


def test_ground_control_points_on_both_sides_of_the_date_line(tmp_path):
    def east(x):
        return x if x <= 180 else x - 360

    corners = ((0, 0), (0, 60), (40, 0), (40, 60))
    gcps = [GroundControlPoint(r, c, east(179.997 + c * 1e-4), 10 - r * 1e-4) for r, c in corners]
    source = image(tmp_path / "image.tif", gcps=gcps, crs="EPSG:4326")
    with open_raster(source) as raster:
        assert raster_resolution(raster) == pytest.approx(11.0, rel=0.02)
        clicks = Clicks((Click(5, 10, 0), Click(5, 50, 1)))
        path = write_clicks(clicks, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
        found = [f["geometry"]["coordinates"] for f in json.loads(path.read_text())["features"]]
        assert found[0] == pytest.approx([179.99805, 9.99945], abs=1e-9)
        assert found[1] == pytest.approx([-179.99795, 9.99945], abs=1e-9)
        assert read_clicks(path, raster=raster, classes=CLASSES) == clicks
    made = written(tmp_path / "map.tif", source)
    with quiet_opening(), rasterio.open(made) as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [
            (p.row, p.col, pytest.approx(p.x), pytest.approx(p.y)) for p in gcps
        ]


@pytest.mark.parametrize("left", [179.999, -180.001, 359.9994, 0.0])
def test_areas_on_a_line_where_longitudes_jump(left, tmp_path):
    raster = ArrayRaster(
        np.zeros(SHAPE, np.uint8),
        crs=CRS.from_epsg(4326),
        transform=Affine(1e-4, 0, left, 0, -1e-4, 10),
    )
    areas = (Area.rectangle(Window(5, 5, 20, 40)), Area.rectangle(Window(30, 1, 2, 3)))
    path = write_locks(areas, tmp_path / "a.geojson", raster=raster, classes=CLASSES)
    rings = [f["geometry"]["coordinates"][0] for f in json.loads(path.read_text())["features"]]
    for ring in rings:
        xs = [x for x, _ in ring]
        assert max(xs) - min(xs) < 0.01, "an area stays in one piece"
        assert abs(sum(xs) / len(xs)) <= 180
    assert read_locks(path, raster=raster) == areas


def test_a_map_of_an_image_from_0_to_360_degrees_stays_on_its_grid(tmp_path):
    where = {"transform": Affine(0.01, 0, 285.0, 0, -0.01, 10), "crs": "EPSG:4326"}
    source = image(tmp_path / "image.tif", **where)
    with rasterio.open(written(tmp_path / "map.tif", source)) as file:
        assert file.transform == where["transform"]
    with open_raster(source) as raster:
        clicks = Clicks((Click(0, 0, 0),))
        path = write_clicks(clicks, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
        at = json.loads(path.read_text())["features"][0]["geometry"]["coordinates"]
        assert at == pytest.approx([-74.995, 9.995])
        assert read_clicks(path, raster=raster, classes=CLASSES) == clicks
