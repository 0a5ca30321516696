"""Where layers lie: metres, from the first image's first pixel."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from napari.layers import Image
from rasterio.crs import CRS
from rasterio.warp import transform as warp

from napari_disca.gui.viewer.layers.placement import on_cells, place, same_crs

UTM = CRS.from_epsg(32645).to_wkt()
SHAPE = (40, 60)


def transform(east=355_000.0, north=3_056_000.0, size=0.5, turn=0.0, south_up=False):
    cos, sin = math.cos(turn) * size, math.sin(turn) * size
    down = -1 if south_up else 1
    return (cos, sin * down, east, sin, -cos * down, north)


def corner_map(about, row, col):
    a, b, c, d, e, f = about
    return a * (col + 0.5) + b * (row + 0.5) + c, d * (col + 0.5) + e * (row + 0.5) + f


def layer_of(found):
    return Image(np.zeros(SHAPE), **found.keywords)


@pytest.mark.parametrize("turn", [0.0, 0.3, math.pi / 2])
@pytest.mark.parametrize("south_up", [False, True])
def test_a_pixel_is_where_the_map_has_it(turn, south_up):
    about = transform(turn=turn, south_up=south_up)
    found = place(UTM, about, SHAPE)
    layer = layer_of(found)
    assert str(layer.units[0]) == "meter"
    for row, col in ((0, 0), (39, 59), (12, 50)):
        world = layer.data_to_world((row, col))
        assert found.world.to_map(*world) == pytest.approx(corner_map(about, row, col), abs=1e-4)


def test_the_first_image_begins_at_zero_with_its_pixels_size():
    found = place(UTM, transform(), SHAPE)
    assert found.keywords["translate"] == pytest.approx((0, 0))
    # UTM's metre is 0.9996 to 1.001 of the ground's.
    assert found.keywords["scale"] == pytest.approx((0.5, 0.5), rel=2e-3)


def test_a_second_image_lies_beside_the_first():
    first = place(UTM, transform(), SHAPE)
    second = place(UTM, transform(east=355_030.0, north=3_055_990.0, size=2.0), SHAPE, first.world)
    assert second.world is first.world
    for row, col in ((0, 0), (7, 3)):
        world = layer_of(second).data_to_world((row, col))
        expected = corner_map(transform(east=355_030.0, north=3_055_990.0, size=2.0), row, col)
        assert first.world.to_map(*world) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("epsg", [4326, 3857, 32644])
def test_metres_are_those_of_the_ground(epsg):
    """In degrees, in web-mercator at 27.6 N, and a zone beside its own."""
    (x,), (y,) = warp("EPSG:4326", f"EPSG:{epsg}", [85.5], [27.6])
    size = 1e-5 if epsg == 4326 else 1.0
    about = (size, 0.0, x, 0.0, -size, y)
    found = place(CRS.from_epsg(epsg).to_wkt(), about, SHAPE)
    layer = layer_of(found)
    ends = [found.world.to_map(*layer.data_to_world(at)) for at in ((20, 10), (20, 50), (30, 10))]
    lon, lat = warp(f"EPSG:{epsg}", "EPSG:4326", *zip(*ends, strict=True))
    geod = pyproj.Geod(ellps="WGS84")
    _, _, right = geod.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, down = geod.inv(lon[0], lat[0], lon[2], lat[2])
    origin = np.array(layer.data_to_world((20, 10)))
    assert np.linalg.norm(layer.data_to_world((20, 50)) - origin) == pytest.approx(right, rel=1e-3)
    assert np.linalg.norm(layer.data_to_world((30, 10)) - origin) == pytest.approx(down, rel=1e-3)


def test_an_image_of_another_crs_lies_right_within_a_pixel():
    first = place(UTM, transform(), SHAPE)
    (x,), (y,) = warp(UTM, "EPSG:3857", [355_010.0], [3_055_990.0])
    about = (0.5, 0.0, x, 0.0, -0.5, y)
    second = place(CRS.from_epsg(3857).to_wkt(), about, SHAPE, first.world)
    assert second.error < 1
    for row, col in ((0, 0), (39, 59)):
        east, north = first.world.to_map(*layer_of(second).data_to_world((row, col)))
        (there_x,), (there_y,) = warp(UTM, "EPSG:3857", [east], [north])
        assert (there_x, there_y) == pytest.approx(corner_map(about, row, col), abs=0.25)


@pytest.mark.parametrize(
    ("crs", "about"), [(None, transform()), (UTM, None), ("nonsense", transform())]
)
def test_without_georeference_there_is_no_world(crs, about):
    found = place(crs, about, SHAPE)
    assert found.world is None
    assert found.keywords == {}


def test_cells_cover_the_pixels_they_are_made_of():
    image = layer_of(place(UTM, transform(turn=0.3), SHAPE))
    placement = {
        "scale": image.scale,
        "translate": image.translate,
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
    }
    cells = Image(np.zeros((10, 15)), **on_cells(placement, (4, 4)))
    np.testing.assert_allclose(
        cells.data_to_world((2, 3)), image.data_to_world((2 * 4 + 1.5, 3 * 4 + 1.5)), atol=1e-9
    )


def test_a_crs_is_the_same_however_it_is_written():
    assert same_crs(UTM, "EPSG:32645")
    assert not same_crs(UTM, "EPSG:32644")
