from __future__ import annotations

import math
from pathlib import Path

import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from napari_disca.raster import open_raster
from napari_disca.raster.resolution import (
    ground_resolution,
    network_factor,
    raster_resolution,
    transform_from_gcps,
)

UTM = CRS.from_epsg(32631)
SHAPE = (200, 300)
#: At the central meridian of a UTM zone, a metre of the map is 1 / 0.9996 metres of the ground.
UTM_SCALE = 0.9996


def test_metres_are_metres() -> None:
    size = ground_resolution(UTM, Affine(0.5, 0, 500000, 0, -0.5, 5000000), SHAPE)
    assert size == pytest.approx(0.5 / UTM_SCALE, rel=1e-5)


@settings(deadline=None)
@given(st.floats(0, 360), st.booleans())
def test_turned_and_mirrored_grids_have_the_same_pixels(angle: float, south_up: bool) -> None:
    a, b = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    sign = 1 if south_up else -1
    transform = Affine(0.5 * a, -0.5 * b * sign, 500000, 0.5 * b, 0.5 * a * sign, 5000000)
    size = ground_resolution(UTM, transform, SHAPE)
    assert size == pytest.approx(0.5 / UTM_SCALE, rel=1e-4)


def test_pixels_that_are_not_square_are_averaged() -> None:
    size = ground_resolution(UTM, Affine(1, 0, 500000, 0, -4, 5000000), SHAPE)
    assert size == pytest.approx(2 / UTM_SCALE, rel=1e-4)


@pytest.mark.parametrize("latitude", [0, 45, -60, 80])
def test_web_mercator_shrinks_towards_the_poles(latitude: float) -> None:
    north = 6378137 * math.asinh(math.tan(math.radians(latitude)))
    size = ground_resolution(CRS.from_epsg(3857), Affine(0.3, 0, 0, 0, -0.3, north + 30), SHAPE)
    # On the ellipsoid a metre of the map differs from cos(latitude) by at most 0.7 %.
    assert size == pytest.approx(0.3 * math.cos(math.radians(latitude)), rel=7e-3)


def test_degrees_become_metres() -> None:
    degree = 1e-5
    size = ground_resolution(
        CRS.from_epsg(4326), Affine(degree, 0, 7, 0, -degree, 60 + 100 * degree), SHAPE
    )
    # One degree at 60 degrees north: 111 412 m of latitude, 55 800 m of longitude.
    assert size == pytest.approx(degree * math.sqrt(111412 * 55800), rel=1e-3)


def test_feet_become_metres() -> None:
    size = ground_resolution(CRS.from_epsg(2263), Affine(2, 0, 980000, 0, -2, 200000), SHAPE)
    assert size == pytest.approx(2 * 0.3048, rel=1e-3)


def test_an_engineering_crs_uses_its_unit() -> None:
    local = CRS.from_wkt('LOCAL_CS["site",UNIT["foot",0.3048],AXIS["x",EAST],AXIS["y",NORTH]]')
    size = ground_resolution(local, Affine(2, 0, 0, 0, -2, 0), SHAPE)
    assert size == pytest.approx(0.6096)


def test_coordinates_that_are_nowhere_fall_back_on_the_unit() -> None:
    size = ground_resolution(UTM, Affine(0.5, 0, 9e12, 0, -0.5, 5e13), SHAPE)
    assert size == pytest.approx(0.5)


def test_no_georeference_has_no_resolution() -> None:
    transform = Affine(0.5, 0, 500000, 0, -0.5, 5000000)
    assert ground_resolution(None, transform, SHAPE) is None
    assert ground_resolution(UTM, None, SHAPE) is None
    assert ground_resolution(UTM, Affine(0, 0, 500000, 0, 0, 5000000), SHAPE) is None
    assert ground_resolution(CRS.from_epsg(4326), Affine(1, 0, 500, 0, -1, 300), SHAPE) is None


def test_control_points_make_a_transform() -> None:
    wanted = (0.4, 0.1, 500000.0, 0.05, -0.5, 5000000.0)
    a, b, c, d, e, f = wanted

    def point(row: float, col: float) -> GroundControlPoint:
        return GroundControlPoint(row, col, a * col + b * row + c, d * col + e * row + f)

    corners = [point(0, 0), point(0, 300), point(200, 0), point(200, 300)]
    assert tuple(transform_from_gcps(corners))[:6] == pytest.approx(wanted, abs=1e-6)
    assert transform_from_gcps(corners[:2]) is None
    assert transform_from_gcps([point(i, i) for i in range(5)]) is None
    assert transform_from_gcps([point(7, 7)] * 5) is None
    assert transform_from_gcps([*corners, GroundControlPoint(1, 1, math.nan, 0)]) is None


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("geotiff/rasterio/RGB.byte.tif", 300),
        ("geotiff/riotiler/cog_hirise_mars.tif", 5),
        ("geotiff/rasterio/RGB.byte.gcp.vrt", 6.2),
        ("geotiff/riotiler/cog_gcps.tif", 202),
        ("geotiff/variants/rotated_30deg.tif", 0.132),
        ("geotiff/variants/south_up.tif", 0.132),
        ("geotiff/variants/no_crs_no_transform.tif", None),
        ("geotiff/rasterio/rotated.tif", None),
        ("drone_buildings/images/zanzibar_1.tif", 0.0745),
    ],
)
def test_real_images(shared: Path, name: str, size: float | None) -> None:
    with open_raster(shared / name) as raster:
        found = raster_resolution(raster)
    if size is None:
        assert found is None
    else:
        assert found == pytest.approx(size, rel=0.02)


@pytest.mark.parametrize(
    ("image", "network", "factor"),
    [
        (0.3, 0.3, 1.0),
        (0.37, 0.3, 1.0),
        (0.25, 0.3, 1.0),
        (0.6, 0.3, 2.0),
        (0.075, 0.3, 0.25),
        (None, 0.3, 1.0),
        (0.3, None, 1.0),
    ],
)
def test_the_network_resamples_beyond_a_quarter(
    image: float | None, network: float | None, factor: float
) -> None:
    assert network_factor(image, network) == pytest.approx(factor)


def test_an_ellipsoid_without_a_radius_is_no_reason_to_fail() -> None:
    # Found by benchmarks/fuzz.py.
    crs = CRS.from_wkt(UTM.to_wkt().replace("6378137", "7.3E-304"))
    size = ground_resolution(crs, Affine(0.5, 0, 500000, 0, -0.5, 5000000), SHAPE)
    assert size is None or size > 0


@pytest.mark.parametrize(("image", "network"), [(5e-324, 10.0), (1e308, 1e-300)])
def test_sizes_too_far_apart_for_a_number_are_not_resampled(image: float, network: float) -> None:
    assert network_factor(image, network) == 1.0
