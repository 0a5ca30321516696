"""Vectors of a GIS in pixels of an image, whatever their format, CRS and kind."""

from __future__ import annotations

import json
from contextlib import suppress

import numpy as np
import pytest
from rasterio.crs import CRS
from rasterio.warp import transform

from napari_disca.core.errors import OverlayError
from napari_disca.exports.vectors.geometry import clipped, contains
from napari_disca.exports.vectors.overlay import read_overlay
from napari_disca.exports.vectors.vector_layer import HOLE, LINE, POINT, RING
from napari_disca.raster.georeference import Frame

pyogrio = pytest.importorskip("pyogrio")
UTM = CRS.from_epsg(32645)
#: 200 x 300 pixels of 2 m.
FRAME = Frame((2.0, 0.0, 355_000.0, 0.0, -2.0, 3_056_000.0), UTM, (200, 300))


@pytest.fixture(autouse=True)
def _in_this_process(request, monkeypatch):
    """Starting a process takes most of a second; damaged files get one all the same."""
    if "share" not in request.fixturenames and "written" not in request.fixturenames:
        monkeypatch.setattr("napari_disca.exports.vectors.overlay.can_start_python", lambda: False)


def at(row, col):
    """Map coordinates of a place in pixels."""
    return 355_000 + 2 * col, 3_056_000 - 2 * row


def converted(geometry, epsg):
    """A geometry of `at` in another CRS, longitude first."""

    def moved(position):
        if isinstance(position[0], (int, float)):
            (x,), (y,) = transform(UTM, f"EPSG:{epsg}", [position[0]], [position[1]])
            return [x, y]
        return [moved(inner) for inner in position]

    return {**geometry, "coordinates": moved(geometry["coordinates"])}


ROAD = {"type": "LineString", "coordinates": [at(10, -50), at(10, 50), at(90, 50)]}
FIELD = {
    "type": "Polygon",
    "coordinates": [
        [at(20, 100), at(20, 200), at(120, 200), at(120, 100), at(20, 100)],
        [at(50, 130), at(70, 130), at(70, 150), at(50, 150), at(50, 130)],
    ],
}
TREE = {"type": "Point", "coordinates": at(150, 250)}
FAR = {"type": "Point", "coordinates": at(5000, 250)}
MIXED = [
    (ROAD, {"highway": "primary", "name": "Araniko"}),
    (FIELD, {"use": "rice"}),
    (TREE, {}),
    (None, {"use": "nothing"}),
    ({"type": "GeometryCollection", "geometries": [TREE, ROAD]}, {}),
    (FAR, {}),
]


def geojson(path, features, **members):
    collection = {
        "type": "FeatureCollection",
        **members,
        "features": [
            {"type": "Feature", "properties": properties, "geometry": shape}
            for shape, properties in features
        ],
    }
    path.write_text(json.dumps(collection))
    return path


def moved(features, epsg):
    def one(shape):
        if shape is None:
            return None
        if "geometries" in shape:
            return {**shape, "geometries": [converted(part, epsg) for part in shape["geometries"]]}
        return converted(shape, epsg)

    return [(one(shape), properties) for shape, properties in features]


NAMED = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32645"}}}


def degrees(path):
    return geojson(path, moved(MIXED, 4326))


def degrees_by_name(path):
    """EPSG:4326, whose axes an authority has the other way round."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4326"}}
    return geojson(path, moved(MIXED, 4326), crs=crs)


def mercator(path):
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    return geojson(path, moved(MIXED, 3857), crs=crs)


@pytest.mark.parametrize("written", [degrees, degrees_by_name, mercator])
def test_mixed_geometries_lie_where_they_belong(tmp_path, written):
    overlay = read_overlay(written(tmp_path / "mixed.geojson"), FRAME)
    (layer,) = overlay.layers
    assert (len(layer), layer.total, layer.cut) == (4, 6, False)
    assert list(layer.kinds) == [LINE, RING, HOLE, POINT, POINT, LINE]
    assert list(layer.owners) == [0, 1, 1, 2, 3, 3]
    np.testing.assert_allclose(layer.places[:3], [(10, -50), (10, 50), (90, 50)], atol=0.01)
    np.testing.assert_allclose(layer.places[-4], (150, 250), atol=0.01)
    assert layer.attributes(0) == {"highway": "primary", "name": "Araniko"}
    line = overlay.describe(layer, FRAME, "scene")
    assert "4 of 6 features" in line
    assert "to the image's CRS" in line


@pytest.mark.parametrize(
    ("name", "driver"), [("a.gpkg", "GPKG"), ("a.shp", "ESRI Shapefile"), ("a.fgb", "FlatGeobuf")]
)
def test_formats_of_a_gis_are_read(tmp_path, name, driver):
    from pyogrio.raw import write

    path = tmp_path / name
    road = converted(ROAD, 4326)
    write(
        path,
        np.array([_wkb(road["coordinates"])], dtype=object),
        [np.array(["primary"], dtype=object)],
        ["highway"],
        geometry_type="LineString",
        crs="EPSG:4326",
        driver=driver,
    )
    (layer,) = read_overlay(path, FRAME).layers
    np.testing.assert_allclose(layer.places, [(10, -50), (10, 50), (90, 50)], atol=0.01)
    assert layer.attributes(0) == {"highway": "primary"}


def _wkb(line):
    head = b"\x01" + np.array([2, len(line)], "<u4").tobytes()
    return head + np.array(line, "<f8").tobytes()


def test_layers_of_a_file_are_each_one_and_what_lies_elsewhere_is_left_out(tmp_path):
    from pyogrio.raw import write

    path = tmp_path / "osm.gpkg"
    for name, line in (("roads", ROAD), ("rivers", ROAD), ("far", None)):
        places = line["coordinates"] if line else [at(9000, 0), at(9000, 50)]
        write(
            path,
            np.array([_wkb(places)], dtype=object),
            [],
            [],
            geometry_type="LineString",
            crs="EPSG:32645",
            driver="GPKG",
            layer=name,
            append=path.exists(),
        )
    overlay = read_overlay(path, FRAME)
    assert [layer.name for layer in overlay.layers] == ["roads", "rivers"]
    assert overlay.elsewhere == 1


def test_a_polygon_around_the_image_lies_on_it(tmp_path):
    outer = [at(-900, -900), at(-900, 900), at(900, 900), at(900, -900), at(-900, -900)]
    beside = [at(-900, -900), at(-900, -500), at(900, -500), at(-900, -900)]
    shapes = [({"type": "Polygon", "coordinates": [ring]}, {}) for ring in (outer, beside)]
    (layer,) = read_overlay(geojson(tmp_path / "town.geojson", shapes, **NAMED), FRAME).layers
    assert len(layer) == 1


def test_only_so_many_features_are_read_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_disca.exports.vectors.overlay_process.MOST_FEATURES", 5)
    path = geojson(tmp_path / "many.geojson", [(ROAD, {})] * 20, **NAMED)
    overlay = read_overlay(path, FRAME)
    (layer,) = overlay.layers
    assert (len(layer), layer.total, layer.cut) == (5, 20, True)
    assert "the first 5 of 20 features" in overlay.describe(layer, FRAME, "scene")


def test_longitudes_may_be_stored_a_turn_away(tmp_path):
    """An image on the date line whose longitudes go on to 181 degrees."""
    frame = Frame((0.01, 0.0, 179.0, 0.0, -0.01, 1.0), CRS.from_epsg(4326), (200, 200))
    line = {"type": "LineString", "coordinates": [[-179.5, 0.5], [-179.2, 0.5]]}
    round_the_back = {"type": "LineString", "coordinates": [[-2, 0.5], [2, 0.5]]}
    path = geojson(tmp_path / "line.geojson", [(line, {}), (round_the_back, {})])
    (layer,) = read_overlay(path, frame).layers
    assert len(layer) == 1
    np.testing.assert_allclose(layer.places, [(50, 150), (50, 180)], atol=1e-6)


PIXELS = {"napari_disca": {"coordinates": "pixels"}, "crs": None}


def test_without_georeference_only_pixels_have_a_place(tmp_path):
    frame = Frame(None, None, (200, 300))
    line = {"type": "LineString", "coordinates": [[5.0, 10.0], [50.0, 10.0]]}
    (layer,) = read_overlay(geojson(tmp_path / "a.geojson", [(line, {})], **PIXELS), frame).layers
    np.testing.assert_allclose(layer.places, [(10, 5), (10, 50)])
    with pytest.raises(OverlayError, match=r"mixed\.geojson: .*image has no georeference"):
        read_overlay(degrees(tmp_path / "mixed.geojson"), frame)


def test_without_a_crs_the_images_own_is_taken_and_that_is_said(tmp_path):
    path = geojson(tmp_path / "own.geojson", [(ROAD, {})], crs=None)
    overlay = read_overlay(path, FRAME)
    np.testing.assert_allclose(overlay.layers[0].places[0], (10, -50))
    assert "names no CRS" in overlay.describe(overlay.layers[0], FRAME, "scene")


def broken(path):
    path.write_text('{"type": "FeatureCollection", "features": [{"type": "Fea')


def text(path):
    path.write_text("roads of Banepa")


def empty(path):
    path.write_bytes(b"")


def no_feature(path):
    geojson(path, [])


def far(path):
    geojson(path, moved([(FAR, {})], 4326))


def unnamed_metres(path):
    geojson(path, [(ROAD, {})])


def other_json(path):
    path.write_text('{"tables": [1, 2, 3]}')


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (broken, "cannot be read"),
        (text, "is not a vector file"),
        (empty, "is not a vector file"),
        (no_feature, "none of its 0 features|no layer|nothing"),
        (far, "none of its 1 features lies on the image"),
        (unnamed_metres, "names no CRS, which means longitude and latitude"),
        (other_json, "cannot be read"),
    ],
)
def test_what_cannot_be_laid_over_is_refused_in_one_line(tmp_path, written, message):
    path = tmp_path / "roads.geojson"
    written(path)
    with pytest.raises(OverlayError, match=message) as refused:
        read_overlay(path, FRAME)
    line = str(refused.value)
    assert line.startswith("roads.geojson: ")
    assert "\n" not in line


@pytest.mark.parametrize("share", [0.1, 0.7])
@pytest.mark.parametrize(("name", "driver"), [("a.gpkg", "GPKG"), ("a.fgb", "FlatGeobuf")])
def test_a_file_that_is_cut_short_is_refused_or_read(tmp_path, name, driver, share):
    from pyogrio.raw import write

    path = tmp_path / name
    lines = np.array([_wkb(ROAD["coordinates"])] * 500, dtype=object)
    write(path, lines, [], [], geometry_type="LineString", crs="EPSG:32645", driver=driver)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with suppress(OverlayError):  # anything else would be a bug
        read_overlay(path, FRAME)


def test_lines_are_cut_to_a_rectangle():
    starts = np.array([(0, 0), (5, -5), (-1, 3), (20, 20), (np.nan, 0), (4, 4)], float)
    ends = np.array([(10, 10), (5, 15), (11, 3), (30, 30), (1, 1), (4, 4)], float)
    inside, begin, end = clipped(starts, ends, (0, 0), (10, 8))
    assert list(inside) == [True, True, True, False, False, True]
    np.testing.assert_allclose(begin[:3], [(0, 0), (5, 0), (0, 3)])
    np.testing.assert_allclose(end[:3], [(8, 8), (5, 8), (10, 3)])


def test_a_hole_is_not_inside():
    outer = np.array([(0, 0), (0, 10), (10, 10), (10, 0), (0, 0)], float)
    inner = 3 + 0.4 * outer
    starts = np.concatenate([outer[:-1], inner[:-1]])
    ends = np.concatenate([outer[1:], inner[1:]])
    owners = np.zeros(len(starts), int)
    assert contains(starts, ends, owners, 1, (1, 1))[0]
    assert not contains(starts, ends, owners, 1, (5, 5))[0]
    assert not contains(starts, ends, owners, 1, (11, 5))[0]
