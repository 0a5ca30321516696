"""Clicks as a GIS, a spreadsheet or a colleague hands them over."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError
from napari_disca.exports import class_columns, load_clicks, write_clicks
from napari_disca.networks import LandClass
from napari_disca.raster.arrays import ArrayRaster

CLASSES = tuple(
    LandClass(name, colour)
    for name, colour in (("Building", "#d95f02"), ("Road", "#7570b3"), ("Water", "#1f78b4"))
)
SHAPE = (100, 120)
UTM = CRS.from_epsg(32633)
GRID = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
WANTED = Clicks((Click(10, 20, 0), Click(33, 44, 1), Click(99, 119, 2)))


def raster(crs=UTM, transform=GRID, shape=SHAPE):
    return ArrayRaster(np.broadcast_to(np.uint8(0), shape), crs=crs, transform=transform)


def places(clicks=WANTED, transform=GRID, crs=None):
    xs = [transform.c + transform.a * (c.col + 0.5) for c in clicks]
    ys = [transform.f + transform.e * (c.row + 0.5) for c in clicks]
    if crs is not None:
        xs, ys = reproject(UTM, crs, xs, ys)
    return list(zip(xs, ys, strict=True))


def point(place, **properties):
    geometry = {"type": "Point", "coordinates": list(place)}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def odd_features():
    good = [
        point(place, Class=CLASSES[click.label].name.upper())
        for place, click in zip(places(), WANTED, strict=True)
    ]
    ring = [[500_001, 4_999_999], [500_005, 4_999_999], [500_005, 4_999_990], [500_001, 4_999_999]]
    return [
        {"type": "Feature", "properties": {"Class": "Road"}, "geometry": None},
        good[0],
        {
            "type": "Feature",
            "properties": {"Class": "Road"},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        },
        good[1],
        point((600_000, 5_000_000), Class="Road"),
        point(places()[0], Class="Lava"),
        good[2],
        {"type": "Feature", "properties": {"Class": "Road"}},
        point((float(places()[0][0]), "north"), Class="Road"),
    ]


def collection(features, crs="urn:ogc:def:crs:EPSG::32633"):
    member = {"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}
    return json.dumps({"type": "FeatureCollection", **member, "features": features})


def test_what_is_usable_is_used_and_the_rest_is_counted_and_named(tmp_path):
    path = tmp_path / "field work.geojson"
    path.write_text(collection(odd_features()))
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert loaded.clicks == WANTED
    assert loaded.left_out == {
        "without a geometry": 2,
        "Polygons": 1,
        "damaged": 1,
        "outside the image": 1,
        "of no class": 1,
    }
    line = loaded.describe(path.name)
    assert "\n" not in line
    assert line.startswith("3 clicks from field work.geojson; left out: 2 without a geometry")


def test_several_points_in_one_feature(tmp_path):
    path = tmp_path / "c.geojson"
    several = {
        "type": "Feature",
        "properties": {"CLASS_ID": "2"},
        "geometry": {"type": "MultiPoint", "coordinates": [[*p, 101.5] for p in places()]},
    }
    path.write_text(collection([several]))
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert loaded.clicks == Clicks(tuple(Click(c.row, c.col, 2) for c in WANTED))
    assert not loaded.left_out


@pytest.mark.parametrize(
    ("properties", "column", "understood"),
    [
        ([{"LandUse": land.name} for land in CLASSES], None, "LandUse"),
        ([{"lc": i, "fid": i + 7, "height": 3.5} for i in range(3)], None, "lc"),
        ([{"name": "P1", "kind": land.name} for land in CLASSES], None, "kind"),
        ([{"Code": str(i), "class": "x"} for i in range(3)], "code", "Code"),
        ([{"a": CLASSES[i].name, "b": "Road"} for i in range(3)], "a", "a"),
    ],
)
def test_any_column_is_the_class_by_name_or_by_id(properties, column, understood, tmp_path):
    path = tmp_path / "c.geojson"
    features = [point(place, **given) for place, given in zip(places(), properties, strict=True)]
    path.write_text(collection(features))
    loaded = load_clicks(path, raster=raster(), classes=CLASSES, column=column)
    assert loaded.clicks == WANTED
    assert loaded.note == f"classes from the column {understood}"


def test_which_column_is_meant_is_asked_rather_than_guessed(tmp_path):
    path = tmp_path / "c.geojson"
    path.write_text(collection([point(p, before="Road", after="Water") for p in places()]))
    with pytest.raises(ClickError, match=r"classes in the columns before, after; .*--class-column"):
        load_clicks(path, raster=raster(), classes=CLASSES)
    with pytest.raises(ClickError, match="has no column 'when'; its columns are before, after"):
        load_clicks(path, raster=raster(), classes=CLASSES, column="when")


@pytest.mark.parametrize(
    ("properties", "columns", "usual"),
    [
        ({"before": "Road", "after": "Water"}, ("before", "after"), None),
        ({"fid": 3, "Kind": "Road"}, ("fid", "Kind"), "Kind"),
        ({"when": "now", "Class": "Road"}, ("when", "Class"), "Class"),
        ({"height": 3.5, "when": "now"}, ("height", "when"), None),
    ],
)
def test_columns_that_may_say_the_class(properties, columns, usual, tmp_path):
    path = tmp_path / "c.geojson"
    path.write_text(collection([point(places()[0], **properties)]))
    found = class_columns(path, raster=raster(), classes=CLASSES)
    assert (found.columns, found.usual, found.ours) == (columns, usual, False)


def test_our_own_files_leave_nothing_to_choose(tmp_path):
    path = write_clicks(WANTED, tmp_path / "c.geojson", raster=raster(), classes=CLASSES)
    assert class_columns(path, raster=raster(), classes=CLASSES).ours
    path.write_text("no clicks")
    with pytest.raises(ClickError, match=r"c\.geojson"):
        class_columns(path, raster=raster(), classes=CLASSES)


# ------------------------------------------------------------------ vector files of a GIS


def write_vector(path, features, crs="EPSG:32633", layer=None, layer_type="Unknown"):
    """Write ``(well-known binary or None, name of a class)`` pairs."""
    raw = pytest.importorskip("pyogrio.raw")
    shapes = np.array([shape for shape, _ in features], dtype=object)
    names = np.array([name for _, name in features], dtype=object)
    options = {"layer": layer} if layer else {}
    raw.write(
        path, shapes, [names], ["Kind"], crs=crs, geometry_type=layer_type, append=path.exists(),
        **options,
    )  # fmt: skip
    return path


def wkb(place):
    return struct.pack("<BIdd", 1, 1, *place)


def polygon(place):
    x, y = place
    corners = [(x, y), (x + 1, y), (x + 1, y + 1), (x, y)]
    return struct.pack("<BIII", 1, 3, 1, 4) + b"".join(struct.pack("<dd", *c) for c in corners)


def points(crs=None):
    return [
        (wkb(place), CLASSES[click.label].name)
        for place, click in zip(places(crs=crs), WANTED, strict=True)
    ]


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857"])
def test_vector_files_of_a_gis(suffix, crs, tmp_path):
    path = write_vector(
        tmp_path / f"clicks{suffix}",
        points(None if crs == "EPSG:32633" else crs),
        crs,
        layer_type="Point",
    )
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert set(loaded.clicks) == set(WANTED)  # FlatGeobuf sorts by place
    assert loaded.note == "classes from the column Kind"
    assert not loaded.left_out


def test_a_geopackage_with_polygons_nulls_and_another_layer(tmp_path):
    path = tmp_path / "project.gpkg"
    write_vector(path, [(polygon(places()[0]), "Road")], layer="parcels", layer_type="Polygon")
    odd = [(None, "Road"), (polygon(places()[0]), "Road"), (wkb((0, 0)), "Water")]
    write_vector(path, [*points(), *odd], layer="samples", layer_type="Unknown")
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert loaded.clicks == WANTED
    assert loaded.left_out == {"without a geometry": 1, "Polygons": 1, "outside the image": 1}


def test_two_layers_of_points_are_named(tmp_path):
    path = tmp_path / "project.gpkg"
    for layer in ("spring", "autumn"):
        write_vector(path, points(), layer=layer, layer_type="Point")
    with pytest.raises(ClickError, match="several layers of points, spring, autumn"):
        load_clicks(path, raster=raster(), classes=CLASSES)


def test_a_shapefile_without_its_prj_lies_where_the_image_does(tmp_path):
    path = write_vector(tmp_path / "c.shp", points(), layer_type="Point")
    path.with_suffix(".prj").unlink()
    assert load_clicks(path, raster=raster(), classes=CLASSES).clicks == WANTED
    with pytest.raises(ClickError, match=r"lies outside the image .*\(and 2 more\)"):
        load_clicks(path, raster=raster(transform=Affine(0.5, 0, 0, 0, -0.5, 0)), classes=CLASSES)


def test_without_pyogrio_it_is_said_what_to_install(tmp_path, monkeypatch):
    path = write_vector(tmp_path / "c.gpkg", points(), layer_type="Point")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ClickError, match=r'c\.gpkg: is a GeoPackage, .*"napari-disca\[vector\]"'):
        load_clicks(path, raster=raster(), classes=CLASSES)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_a_damaged_vector_file_is_one_line(suffix, tmp_path):
    path = write_vector(tmp_path / f"c{suffix}", points(), layer_type="Point")
    data = path.read_bytes()
    for cut in (0, 20, 100, len(data) // 2):
        path.write_bytes(data[:cut] + b"\xff" * (len(data) - cut) * (cut > 90))
        with pytest.raises(ClickError) as caught:
            load_clicks(path, raster=raster(), classes=CLASSES)
        assert len(str(caught.value).splitlines()) == 1


# ------------------------------------------------------------------ tables


def table(header, rows, delimiter=","):
    return "\n".join(delimiter.join(map(str, row)) for row in [header, *rows]) + "\n"


def rows_of(xy):
    return [(x, y, CLASSES[c.label].name) for (x, y), c in zip(xy, WANTED, strict=True)]


@pytest.mark.parametrize(
    ("text", "referenced"),
    [
        (table(("X", "Y", "Class"), rows_of(places())), True),
        (table(("Lon", "Lat", "class"), rows_of(places(crs="EPSG:4326"))), True),
        (
            table(
                ("lat", "lon", "class"), [(y, x, n) for x, y, n in rows_of(places(crs="EPSG:4326"))]
            ),
            True,
        ),
        (table(("row", "col", "class_id"), [(c.row, c.col, c.label) for c in WANTED]), True),
        (table(("row", "col", "class_id"), [(c.row, c.col, c.label) for c in WANTED]), False),
        (
            table(
                ("index", "axis-0", "axis-1", "kind"),
                [(i, float(c.row), float(c.col), c.label) for i, c in enumerate(WANTED)],
            ),
            False,
        ),
        (
            table(
                ("x", "y", "label"),
                [(str(x).replace(".", ","), str(y).replace(".", ","), n) for x, y, n in
                 rows_of(places())],
                ";",
            ),
            True,
        ),
        (
            table(("WKT", "name"), [(f"POINT ({x} {y})", n) for x, y, n in rows_of(places())]),
            True,
        ),
        ("\ufeff" + table(("x", "y", "class"), rows_of(places()), "\t"), True),
    ],
    ids=["xy", "lonlat", "latlon", "pixels", "unreferenced", "napari", "comma", "wkt", "tabs"],
)  # fmt: skip
def test_tables(text, referenced, tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text(text, encoding="utf-8")
    image = raster() if referenced else raster(None, None)
    assert load_clicks(path, raster=image, classes=CLASSES).clicks == WANTED


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\n" + table(("x", "y", "class"), rows_of(places()), ";"),
        "# exported by a survey\n\n" + table(("x", "y", "class"), rows_of(places())),
        table(("Easting (m)", "Northing [m]", "class"), rows_of(places())),
        table(("lon_dd", "lat_dd", "class"), rows_of(places(crs="EPSG:4326"))),
        # A stack's points: the first axis is the frame.
        table(
            ("index", "axis-0", "axis-1", "axis-2", "kind"),
            [(i, 7.0, float(c.row), float(c.col), c.label) for i, c in enumerate(WANTED)],
        ),
        table(("geom", "name"), [(f"SRID=32633;POINT({x} {y})", n) for x, y, n in
                                 rows_of(places())]),
        table(("geom", "name"), [(f"SRID=4326;POINT({x} {y})", n) for x, y, n in
                                 rows_of(places(crs="EPSG:4326"))]),
        table(("WKT", "name"), [(f'"MULTIPOINT (({x} {y}))"', n) for x, y, n in rows_of(places())]),
        table(("x", "y", "class", "x", "y"), [(*row, 1, 2) for row in rows_of(places())]),
    ],
    ids=["excel", "comments", "units", "degrees", "stack", "ewkt", "ewkt degrees", "multipoint",
         "twice"],
)  # fmt: skip
def test_tables_as_spreadsheets_databases_and_surveys_write_them(text, tmp_path):
    path = tmp_path / "clicks.csv"
    path.write_text(text, encoding="utf-8")
    assert load_clicks(path, raster=raster(), classes=CLASSES).clicks == WANTED


def test_points_in_several_crs_are_refused(tmp_path):
    path = tmp_path / "clicks.csv"
    x, y = places()[0]
    path.write_text(f"geom,class\nSRID=32633;POINT({x} {y}),Road\nSRID=4326;POINT(15 45),Road\n")
    with pytest.raises(
        ClickError, match=r"in several CRS \(SRID 32633, 4326\); convert all to one"
    ):
        load_clicks(path, raster=raster(), classes=CLASSES)


@pytest.mark.parametrize("column", ["class_id", "class", "landuse"])
def test_class_ids_counted_from_1_are_not_the_next_classes(column, tmp_path):
    path = tmp_path / "clicks.csv"
    rows = [(x, y, c.label + 1) for (x, y), c in zip(places(), WANTED, strict=True)]
    path.write_text(table(("x", "y", column), rows))
    given = None if column != "landuse" else column
    with pytest.raises(ClickError, match=r"ids from 1 to 3, but the classes are 0 Bui.*subtract 1"):
        load_clicks(path, raster=raster(), classes=CLASSES, column=given)


@pytest.mark.parametrize("member", ["EPSG:32633", {"type": "EPSG", "properties": {"code": 32633}}])
def test_ways_to_name_the_crs_of_geojson(member, tmp_path):
    path = tmp_path / "c.geojson"
    features = [
        point(place, **{"class": CLASSES[click.label].name})
        for place, click in zip(places(), WANTED, strict=True)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": member, "features": features}))
    assert load_clicks(path, raster=raster(), classes=CLASSES).clicks == WANTED


def test_lines_of_a_table_that_cannot_be_used_are_counted(tmp_path):
    path = tmp_path / "clicks.csv"
    rows = [("", "", "Road"), *rows_of(places()), (1, 2, "Road"), (*places()[0], "Lava")]
    path.write_text(table(("x", "y", "class"), rows))
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert loaded.clicks == WANTED
    assert loaded.left_out == {"without a position": 1, "outside the image": 1, "of no class": 1}
    assert "line 2" in loaded.first


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.csv",
            "when,who,class\n1,2,Road\n",
            "columns when, who, class, none of which are positions",
        ),
        ("a.csv", "", "is empty"),
        ("a.csv", "x,y,class\n", None),
        ("a.csv", "x,y,class\n12.4924,41.8902,Road\n", "may be degrees, but the image has no geo"),
        ("a.csv", "lon,lat,class\n12,41,Road\n", "longitude and latitude, but the image has no g"),
        ("a.kml", "<kml></kml>", "is not a file of clicks; GeoJSON, GeoPackage"),
        ("a.shp", "not one", "cannot be read as a Shapefile"),
    ],
)
def test_what_is_no_table_of_clicks_is_one_line(name, text, message, tmp_path):
    path = tmp_path / name
    path.write_text(text)
    image = raster(None, None)
    if message is None:
        assert load_clicks(path, raster=image, classes=CLASSES).clicks == Clicks()
        return
    with pytest.raises(ClickError, match=message) as caught:
        load_clicks(path, raster=image, classes=CLASSES)
    assert len(str(caught.value).splitlines()) == 1


# ------------------------------------------------------------------ what coordinates mean


def test_projected_clicks_without_a_crs_are_one_clear_line(tmp_path):
    path = tmp_path / "c.geojson"
    path.write_text(collection([point(p, **{"class": "Road"}) for p in places()], crs=None))
    with pytest.raises(ClickError, match=r"like \(500010.25, 4999994.75\) but names no CRS, which"):
        load_clicks(path, raster=raster(), classes=CLASSES)


def test_one_point_beyond_the_globe_does_not_keep_the_others_out(tmp_path):
    path = tmp_path / "c.geojson"
    good = [
        point(p, **{"class": CLASSES[c.label].name})
        for p, c in zip(places(crs="EPSG:4326"), WANTED, strict=True)
    ]
    path.write_text(collection([*good, point((10, 4000), **{"class": "Road"})], crs=None))
    loaded = load_clicks(path, raster=raster(), classes=CLASSES)
    assert loaded.clicks == WANTED
    assert sum(loaded.left_out.values()) == 1


def test_degrees_are_never_taken_for_pixel_numbers(tmp_path):
    path = tmp_path / "c.geojson"
    path.write_text(collection([point((12.49245, 41.89015), **{"class": "Road"})], crs=None))
    with pytest.raises(ClickError, match="longitude and latitude, but the image has no georef"):
        load_clicks(path, raster=raster(None, None), classes=CLASSES)
    # A grid in metres that names no CRS is no place for degrees either.
    with pytest.raises(ClickError, match="the image names no CRS and does not lie in degrees"):
        load_clicks(path, raster=raster(None), classes=CLASSES)
    degrees = Affine(1e-4, 0, 12.49, 0, -1e-4, 41.8952)
    assert load_clicks(path, raster=raster(None, degrees), classes=CLASSES).clicks == Clicks(
        (Click(50, 24, 1),)
    )


LONGITUDES = [
    # the image's left edge, a click's longitude as people write it, its column
    (179.9995, 180.0005, 100),
    (179.9995, -179.9995, 100),
    (-180.0005, 180.0, 50),
    (-180.0005, 179.9997, 20),
    (350.0, -9.9995, 50),
    (350.0, 350.0005, 50),
    (-10.0, 350.0005, 50),
    (10.0, 370.0005, 50),
    (190.0, -169.9995, 50),
]


@pytest.mark.parametrize(("left", "longitude", "col"), LONGITUDES)
def test_longitudes_have_a_period(left, longitude, col, tmp_path):
    transform = Affine(1e-5, 0, left, 0, -1e-5, 10)
    image = raster(CRS.from_epsg(4326), transform)
    path = tmp_path / "c.geojson"
    at = (longitude + 0.5e-5, 10 - 5.5e-5)
    path.write_text(collection([point(at, **{"class": "Road"})], crs=None))
    assert load_clicks(path, raster=image, classes=CLASSES).clicks == Clicks((Click(5, col, 1),))
    written = write_clicks(WANTED, tmp_path / "w.geojson", raster=image, classes=CLASSES)
    xs = [f["geometry"]["coordinates"][0] for f in json.loads(written.read_text())["features"]]
    assert all(-180 <= x <= 180 for x in xs)
    assert load_clicks(written, raster=image, classes=CLASSES).clicks == WANTED


def test_a_projected_image_takes_longitudes_beyond_180(tmp_path):
    image = raster(CRS.from_epsg(32601), Affine(1, 0, 304_500, 0, -1, 1_106_000))
    [x], [y] = reproject(CRS.from_epsg(32601), "EPSG:4326", [304_520.5], [1_105_990.5])
    path = tmp_path / "c.geojson"
    for longitude in (x, x + 360):
        path.write_text(collection([point((longitude, y), **{"class": "Road"})], crs=None))
        found = load_clicks(path, raster=image, classes=CLASSES).clicks
        assert found == Clicks((Click(9, 20, 1),))


@pytest.mark.parametrize("mark", ["\x0c", "\x1c", "\u2028", "\x85"])
def test_marks_in_the_names_of_columns_do_not_break_the_line(tmp_path, mark):
    path = tmp_path / "a.csv"
    path.write_text(f"row{mark},class\n1,road\n", "utf-8")
    with pytest.raises(ClickError) as caught:
        load_clicks(path, raster=raster(), classes=CLASSES)
    assert len(str(caught.value).splitlines()) == 1
