from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from builders import make_card
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError, ExportError
from napari_disca.exports import read_clicks, write_clicks
from napari_disca.networks import LandClass
from napari_disca.raster import ArrayRaster, open_raster

CLASSES = make_card(4).classes
SHAPE = (40, 60)
UTM = CRS.from_epsg(32633)
NORTH_UP = Affine(0.3, 0, 500_000.1, 0, -0.3, 5_000_000.7)
THREE = Clicks((Click(0, 0, 2), Click(39, 59, 0), Click(7, 21, 3)))


def make_raster(
    crs: CRS | None = UTM, transform: Affine | None = NORTH_UP, shape: tuple[int, int] = SHAPE
) -> ArrayRaster:
    return ArrayRaster(np.broadcast_to(np.uint8(0), shape), crs=crs, transform=transform)


def collection(*features: Any, **members: Any) -> dict[str, Any]:
    return {"type": "FeatureCollection", "crs": None, "features": list(features)} | members


def feature(x: Any = 1.5, y: Any = 2.5, kind: str = "Point", **properties: Any) -> dict[str, Any]:
    properties = properties or {"class_id": 0}
    geometry = {"type": kind, "coordinates": [x, y] if kind == "Point" else x}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def reading(tmp_path: Path, content: Any, raster: ArrayRaster | None = None) -> Clicks:
    path = tmp_path / "clicks.geojson"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_clicks(path, raster=raster or make_raster(None, None), classes=CLASSES)


# One entry per kind of georeference; hypothesis chooses the numbers.
_METRES = st.tuples(st.floats(0.01, 100), st.floats(-1.9e7, 1.9e7), st.floats(-1.9e7, 1.9e7))
_DEGREES = st.tuples(st.floats(1e-7, 0.01), st.floats(-179, 179), st.floats(-80, 80))


@st.composite
def georeferences(draw: st.DrawFn) -> tuple[CRS | None, Affine | None]:
    crs, strategy = draw(
        st.sampled_from(
            [
                (CRS.from_epsg(3857), _METRES),
                (UTM, _METRES),
                (CRS.from_epsg(4326), _DEGREES),
                (CRS.from_proj4("+proj=laea +lat_0=3 +lon_0=7 +R=3396190"), _METRES),
                (None, _METRES),
                (None, None),
            ]
        )
    )
    if strategy is None:
        return None, None
    size, x, y = draw(strategy)
    angle = draw(st.sampled_from([0.0, np.pi / 2, np.pi]) | st.floats(-np.pi, np.pi))
    down = draw(st.sampled_from([-1.0, 1.0, 0.7, -1.3]))
    cos, sin = size * np.cos(angle), size * np.sin(angle)
    return crs, Affine(cos, -sin * down, x, sin, cos * down, y)


@settings(max_examples=120, deadline=None)
@given(
    georeference=georeferences(),
    shape=st.tuples(st.integers(1, 100_000), st.integers(1, 100_000)),
    data=st.data(),
)
def test_every_click_comes_back(tmp_path_factory, georeference, shape, data):
    sides = [st.sampled_from([0, n - 1]) | st.integers(0, n - 1) for n in shape]
    click = st.builds(Click, *sides, st.integers(0, 3))
    clicks = Clicks(tuple(data.draw(st.lists(click, max_size=8))))
    raster = make_raster(*georeference, shape=shape)
    path = tmp_path_factory.mktemp("clicks") / "clicks.geojson"
    assert write_clicks(clicks, path, raster=raster, classes=CLASSES) == path
    assert read_clicks(path, raster=raster, classes=CLASSES) == clicks


@pytest.mark.parametrize(
    "name",
    [
        "rasterio/test_esri_wkt.tif",
        "rasterio/RGB2.byte.tif",
        "rasterio/rotated.tif",
        "riotiler/cog_gcps.tif",
        "riotiler/cog_hirise_mars.tif",
        "riotiler/cog_scale.tif",
        "riotiler/inverted_lat.tif",
        "variants/no_crs_no_transform.tif",
    ],
)
def test_every_pixel_of_a_real_image_comes_back(tmp_path, shared, name):
    with open_raster(shared / "geotiff" / name) as raster:
        rows, cols = (np.unique(np.linspace(0, n - 1, 9).astype(int)) for n in raster.shape)
        clicks = Clicks(tuple(Click(int(r), int(c), int(r + c) % 4) for r in rows for c in cols))
        write_clicks(clicks, tmp_path / "c.json", raster=raster, classes=CLASSES)
        assert read_clicks(tmp_path / "c.json", raster=raster, classes=CLASSES) == clicks


def test_what_is_written(tmp_path):
    write_clicks(THREE, tmp_path / "c.geojson", raster=make_raster(), classes=CLASSES)
    written = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    assert written["type"] == "FeatureCollection"
    assert written["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    assert [f["properties"] for f in written["features"]] == [
        {"class_id": 2, "class": "class 2", "row": 0, "col": 0, "order": 0},
        {"class_id": 0, "class": "class 0", "row": 39, "col": 59, "order": 1},
        {"class_id": 3, "class": "class 3", "row": 7, "col": 21, "order": 2},
    ]
    first = written["features"][0]["geometry"]
    assert first["type"] == "Point"
    assert first["coordinates"] == pytest.approx([500_000.25, 5_000_000.55], abs=1e-6)
    assert "napari_disca" not in written


@pytest.mark.parametrize(
    ("crs", "name"),
    [
        (CRS.from_epsg(4326), "urn:ogc:def:crs:OGC:1.3:CRS84"),
        (CRS.from_user_input("ESRI:54009"), "urn:ogc:def:crs:ESRI::54009"),
    ],
)
def test_the_crs_has_a_name_that_gdal_reads(tmp_path, crs, name):
    raster = make_raster(crs, Affine(1e-5, 0, 10, 0, -1e-5, 50))
    write_clicks(THREE, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
    written = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    assert written["crs"] == {"type": "name", "properties": {"name": name}}
    assert CRS.from_user_input(name).to_dict(projjson=True)


def test_a_crs_without_authority_is_written_as_wkt(tmp_path):
    # GDAL says EPSG:25833, which would move the clicks: it has no such shift.
    crs = CRS.from_proj4("+proj=utm +zone=33 +ellps=GRS80 +towgs84=5,5,5 +units=m")
    assert crs.to_authority() == ("EPSG", "25833")
    write_clicks(THREE, tmp_path / "c.geojson", raster=make_raster(crs), classes=CLASSES)
    name = json.loads((tmp_path / "c.geojson").read_text())["crs"]["properties"]["name"]
    assert name.startswith(("PROJCS[", "BOUNDCRS["))
    assert CRS.from_wkt(name) == crs


def test_without_georeference_pixels_are_written_and_the_file_says_so(tmp_path):
    raster = make_raster(None, None)
    write_clicks(THREE, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
    written = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    assert written["crs"] is None
    assert written["napari_disca"]["coordinates"] == "pixels"
    assert [f["geometry"]["coordinates"] for f in written["features"]] == [
        [0.5, 0.5],
        [59.5, 39.5],
        [21.5, 7.5],
    ]
    # Pixels are pixels, also of a copy of the image that has a georeference.
    assert read_clicks(tmp_path / "c.geojson", raster=make_raster(), classes=CLASSES) == THREE


def test_ground_control_points_give_map_coordinates(tmp_path):
    raster = make_raster(None, None)
    raster.gcps = (
        [
            GroundControlPoint(row, col, 10 + col * 1e-4, 50 - row * 1e-4)
            for row, col in ((0, 0), (0, 60), (40, 0), (40, 60))
        ],
        CRS.from_epsg(4326),
    )
    write_clicks(THREE, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
    written = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    x, y = written["features"][0]["geometry"]["coordinates"]
    assert (x, y) == pytest.approx((10.00005, 49.99995), abs=1e-9)
    assert read_clicks(tmp_path / "c.geojson", raster=raster, classes=CLASSES) == THREE
    # All in one line: no transform fits, so pixels.
    raster.gcps = ([GroundControlPoint(i, i, 10 + i, 50 + i) for i in range(4)], UTM)
    write_clicks(THREE, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
    assert "napari_disca" in json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    assert read_clicks(tmp_path / "c.geojson", raster=raster, classes=CLASSES) == THREE


def test_nothing_is_written_of_clicks_that_do_not_fit(tmp_path):
    for click in (Click(40, 0, 0), Click(0, 0, 4)):
        with pytest.raises(ClickError, match=f"row {click.row}"):
            write_clicks(
                Clicks((click,)), tmp_path / "c.geojson", raster=make_raster(), classes=CLASSES
            )
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="cannot write"):
        write_clicks(THREE, tmp_path / "file/c.geojson", raster=make_raster(), classes=CLASSES)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_geometry_decides_where_and_order_when(tmp_path):
    raster = make_raster()
    write_clicks(THREE, tmp_path / "c.geojson", raster=raster, classes=CLASSES)
    written = json.loads((tmp_path / "c.geojson").read_text(encoding="utf-8"))
    first = written["features"][0]["geometry"]["coordinates"]
    first[0], first[1] = first[0] + 4 * 0.3 + 0.14, first[1] - 2 * 0.3 - 0.14
    written["features"].reverse()
    new = {"class_id": 1, "order": None}
    written["features"].insert(0, written["features"][0] | {"properties": new})
    moved = Clicks((Click(2, 4, 2), Click(39, 59, 0), Click(7, 21, 3), Click(7, 21, 1)))
    assert reading(tmp_path, written, raster) == moved


@pytest.mark.parametrize("authority", ["EPSG:3857", "EPSG:4326", "EPSG:2326", "EPSG:4258"])
@pytest.mark.parametrize(
    "form", ["{0}:{1}", "urn:ogc:def:crs:{0}::{1}", "urn:ogc:def:crs:{0}:9:{1}"]
)
def test_other_crs_are_converted(tmp_path, authority, form):
    raster = make_raster()
    xs, ys = [], []
    for click in THREE:
        xs.append(NORTH_UP.c + NORTH_UP.a * (click.col + 0.5))
        ys.append(NORTH_UP.f + NORTH_UP.e * (click.row + 0.5))
    xs, ys = reproject(UTM, authority, xs, ys)
    crs = {"type": "name", "properties": {"name": form.format(*authority.split(":"))}}
    features = [
        feature(x, y, class_id=click.label) for x, y, click in zip(xs, ys, THREE, strict=True)
    ]
    assert reading(tmp_path, collection(*features, crs=crs), raster) == THREE


def test_without_a_crs_member_coordinates_are_longitude_and_latitude(tmp_path):
    [x], [y] = reproject(UTM, "EPSG:4326", [500_000.1 + 0.45], [5_000_000.7 - 0.75])
    content = collection(feature(x, y, class_id=1))
    del content["crs"]
    assert reading(tmp_path, content, make_raster()) == Clicks((Click(2, 1, 1),))
    # ... never pixels, unless no degrees can be meant.
    content = collection(feature(1.5, 2.5, class_id=1))
    del content["crs"]
    with pytest.raises(ClickError, match=r'no georeference.*"crs": null'):
        reading(tmp_path, content, make_raster(None, None))
    content = collection(feature(1.5, 2.5, class_id=1), feature(140.5, 101, class_id=0))
    del content["crs"]
    expected = Clicks((Click(2, 1, 1), Click(101, 140, 0)))
    assert reading(tmp_path, content, make_raster(None, None, (150, 200))) == expected


def test_multipoints_heights_and_byte_order_marks(tmp_path):
    several = feature([[0.2, 0.9], [5, 6, 123.4]], kind="MultiPoint", class_id=2)
    text = json.dumps(collection(several))
    expected = Clicks((Click(0, 0, 2), Click(6, 5, 2)))
    assert reading(tmp_path, b"\xef\xbb\xbf" + text.encode()) == expected


def test_the_latest_of_two_clicks_on_a_pixel_wins(tmp_path):
    content = collection(feature(class_id=2), feature(9, 9, class_id=1), feature(class_id=3))
    assert reading(tmp_path, content) == Clicks((Click(9, 9, 1), Click(2, 1, 3)))


def test_no_clicks_are_fine(tmp_path):
    assert reading(tmp_path, collection()) == Clicks()
    assert reading(tmp_path, {"type": "FeatureCollection", "features": []}) == Clicks()
    write_clicks(Clicks(), tmp_path / "c.geojson", raster=make_raster(), classes=CLASSES)
    assert read_clicks(tmp_path / "c.geojson", raster=make_raster(), classes=CLASSES) == Clicks()


@pytest.mark.parametrize(
    ("properties", "label"),
    [
        ({"class_id": 3}, 3),
        ({"class_id": 3.0}, 3),
        ({"class_id": "3"}, 3),
        ({"class_id": 3, "class": "renamed"}, 3),
        ({"class_id": None, "class": "class 2"}, 2),
        ({"class": " Class 2 "}, 2),
        ({"label": "class 2"}, 2),
        ({"name": "class 2", "id": 1}, 2),
    ],
)
def test_the_class_is_an_id_or_a_name(tmp_path, properties, label):
    assert reading(tmp_path, collection(feature(**properties))) == Clicks((Click(2, 1, label),))


def test_names_that_differ_in_case_only_are_told_apart(tmp_path):
    classes = (LandClass("road", "#000000"), LandClass("Road", "#111111"))
    for index, land in enumerate(classes):
        path = tmp_path / "clicks.geojson"
        path.write_text(json.dumps(collection(feature(**{"class": land.name}))))
        (click,) = read_clicks(path, raster=make_raster(None, None), classes=classes)
        assert click.label == index


CRS_TO = {"type": "name", "properties": {"name": "EPSG:3857"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "contains 9{20}..., which is too large a number"),
        ("[" * 200_000, "is nested deeper than 64 levels"),
        ("[]", r"not a GeoJSON FeatureCollection but '\[\]'"),
        ({"type": "Feature"}, "not a GeoJSON FeatureCollection but 'Feature'"),
        ({"type": "FeatureCollection", "features": {}}, "not a GeoJSON FeatureCollection"),
        (collection(7), "feature 1 is not a Point but 'null'"),
        (collection({"type": "Feature", "geometry": None}), "feature 1 is not a Point"),
        (collection(feature([[0, 0], [1, 1]], kind="LineString")), "Point but 'LineString'"),
        (collection(feature(kind="MultiPoint")), "coordinates of feature 1 are '1.5', not a list"),
        (collection(feature(x="7")), "feature 1 has the position .* not a pair of numbers"),
        (collection(feature(x=True)), "feature 1 has the position .* not a pair of numbers"),
        (collection(feature(x=10**400)), "too large a number"),
        (collection(feature(x=float("nan"))), "contains NaN"),
        (collection(feature(x=float("inf"))), "contains Infinity"),
        (json.dumps(collection(feature(x=7))).replace("[7", "[1e999"), "too large a number"),
        (collection(feature(x=1e300)), r"feature 1 at \(1e\+300, 2.5\) lies outside"),
        (collection(feature(x=-0.001)), "feature 1 .* lies outside the image of 40 x 60 pixels"),
        (collection(feature(y=40)), "feature 1 .* lies outside"),
        (collection(feature(class_id=4)), "class_id '4'; the classes are 0 class 0, 1 class 1"),
        (collection(feature(class_id=-1)), "class_id '-1'"),
        (collection(feature(class_id=0.5)), "class_id '0.5'"),
        (collection(feature(class_id=True)), "class_id 'true'"),
        (collection(feature(class_id=[0])), "class_id"),
        (collection(feature(class_id="road")), "class_id 'road'"),
        (collection(feature(**{"class": "sea"})), "feature 1 has class 'sea'; the classes are 0"),
        (collection(feature(row=1, id=2)), "feature 1 has no class_id and no class"),
        (collection(feature(class_id=1, label="class 2")), "class_id 1, which is 'class 1', but"),
        (collection(feature() | {"properties": [1]}), "properties of feature 1"),
        (collection(feature(), crs=CRS_TO), "in EPSG:3857, but the image has no georeference"),
        (collection(feature(), crs=3), "unknown CRS '3'"),
        (
            collection(feature(), crs={"type": "link", "properties": {"href": "x"}}),
            "unknown CRS .{.type",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path, content, message):
    with pytest.raises(ClickError, match=message) as caught:
        reading(tmp_path, content)
    assert str(caught.value).startswith("clicks.geojson")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_files_that_cannot_be_read(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.geojson"):
        with pytest.raises(ClickError, match="cannot be read"):
            read_clicks(path, raster=make_raster(), classes=CLASSES)
    with (tmp_path / "huge.geojson").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ClickError, match="has 1048576 MB; 32 MB are the most"):
        read_clicks(tmp_path / "huge.geojson", raster=make_raster(), classes=CLASSES)


@pytest.mark.parametrize("where", ["file", "file:///{0}", "http://127.0.0.1:9/crs", "+proj=x"])
def test_a_crs_is_never_fetched_from_elsewhere(tmp_path, where):
    # rasterio would read this file.
    (tmp_path / "crs.wkt").write_text(UTM.to_wkt())
    assert CRS.from_user_input(str(tmp_path / "crs.wkt")) == UTM
    name = str(tmp_path / "crs.wkt") if where == "file" else where.format(tmp_path / "crs.wkt")
    content = collection(
        feature(500_001, 5_000_000), crs={"type": "name", "properties": {"name": name}}
    )
    with pytest.raises(ClickError, match="unknown CRS"):
        reading(tmp_path, content, make_raster())


def test_coordinates_that_have_no_place_in_the_images_crs(tmp_path):
    content = collection(feature(500, 100), feature(500_000, 5_000_000))
    del content["crs"]
    with pytest.raises(
        ClickError, match=r"clicks\.geojson: has coordinates like \(500, 100\) but names no CRS"
    ):
        reading(tmp_path, content, make_raster())
    mars = CRS.from_proj4("+proj=eqc +a=3396190 +b=3396190 +units=m")
    with pytest.raises(ClickError, match="names no CRS"):
        reading(tmp_path, content, make_raster(mars))


def test_ids_that_begin_at_0_are_not_taken_for_ids_from_1(tmp_path):
    """One id is too large, and only that click is left out."""
    ids = range(len(CLASSES) + 1)
    content = collection(
        *(feature(i + 0.5, 2.5, class_id=i) for i in ids), napari_disca={"coordinates": "pixels"}
    )
    clicks = reading(tmp_path, content)
    assert [click.label for click in clicks] == [*range(len(CLASSES))]
