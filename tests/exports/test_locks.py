from __future__ import annotations

import json

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from builders import make_card
from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window
from napari_disca.exports import read_locks, write_locks
from napari_disca.raster import ArrayRaster

CLASSES = make_card(3).classes
SHAPE = (40, 60)
WHOLE = Window.whole(SHAPE)


def make_raster(placed=True):
    crs = CRS.from_epsg(32633) if placed else None
    transform = Affine(0.3, 0, 500_000.1, 0, -0.3, 5_000_000.7) if placed else None
    return ArrayRaster(np.broadcast_to(np.uint8(0), SHAPE), crs=crs, transform=transform)


@pytest.mark.parametrize("placed", [True, False])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_areas_come_back_as_the_same_pixels(tmp_path_factory, placed, data):
    path = tmp_path_factory.mktemp("locks") / "areas.geojson"
    corner = st.tuples(st.integers(0, 40 * 8), st.integers(0, 60 * 8))
    ring = data.draw(st.lists(corner, min_size=3, max_size=6, unique=True))
    # Off the pixels' centres, where a digit of the map coordinates decides.
    area = Area((tuple((r / 8 + 1 / 16, c / 8 + 1 / 16) for r, c in ring),))
    if not area.mask(WHOLE).any():
        return
    raster = make_raster(placed)
    write_locks([area, Area.rectangle(Window(1, 2, 3, 4))], path, raster=raster, classes=CLASSES)
    first, second = read_locks(path, raster=raster)
    np.testing.assert_array_equal(first.mask(WHOLE), area.mask(WHOLE))
    assert second.mask(WHOLE).sum() == 12


def test_other_programs_find_them_in_map_coordinates(tmp_path):
    path = tmp_path / "areas.geojson"
    area = Area.rectangle(Window(0, 0, 10, 20))
    write_locks([area], path, raster=make_raster(), classes=CLASSES)
    said = json.loads(path.read_text())
    assert "32633" in said["crs"]["properties"]["name"]
    (feature,) = said["features"]
    xs, ys = zip(*feature["geometry"]["coordinates"][0], strict=True)
    assert (min(xs), max(xs)) == pytest.approx((500_000.1, 500_006.1))
    assert (min(ys), max(ys)) == pytest.approx((5_000_000.7 - 3, 5_000_000.7))


def collection(geometry):
    feature = {"type": "Feature", "properties": {}, "geometry": geometry}
    return {"type": "FeatureCollection", "crs": None, "features": [feature]}


def test_several_polygons_and_holes_of_a_gis(tmp_path):
    square = [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]
    hole = [[2, 2], [2, 4], [4, 4], [4, 2], [2, 2]]
    far = [[20, 20], [20, 22], [22, 22], [22, 20], [20, 20]]
    path = tmp_path / "a.geojson"
    geometry = {"type": "MultiPolygon", "coordinates": [[square, hole], [far]]}
    path.write_text(json.dumps(collection(geometry)))
    first, second = read_locks(path, raster=make_raster(placed=False))
    assert first.mask(WHOLE).sum() == 96
    assert second.mask(WHOLE).sum() == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("nonsense", "is not JSON.*a file of areas"),
        ('{"type": "Feature"}', "save the areas as a collection of polygons"),
        (collection({"type": "Point", "coordinates": [1, 2]}), "not a Polygon but 'Point'"),
        (collection(None), "not a Polygon"),
        (collection({"type": "Polygon", "coordinates": 3}), "not a list"),
        (collection({"type": "Polygon", "coordinates": [[[1, 2], [3, 4]]]}), "encloses nothing"),
        (collection({"type": "Polygon", "coordinates": [[[1, 2], [3, "x"]]]}), "pair of numbers"),
        (collection({"type": "Polygon", "coordinates": []}), "0 corners"),
        (
            collection({"type": "Polygon", "coordinates": [[[90, 90], [99, 90], [90, 99]]]}),
            "no pixel of the image",
        ),
        ("[" * 100_000, "nested deeper"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "areas.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(AreaError, match=message) as caught:
        read_locks(path, raster=make_raster(placed=False))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("areas.geojson")
