"""Coordinates as people write them."""

from __future__ import annotations

import pytest
from rasterio.crs import CRS

from napari_disca.gui.viewer.canvas.coordinates import (
    CoordinateError,
    Grid,
    degrees,
    find,
    from_degrees,
    map_text,
)

UTM = CRS.from_epsg(32645).to_wkt()
#: The image's corner, and a pixel of half a metre.
EAST, NORTH, PIXEL = 355_000.0, 3_056_000.0, 0.5
SHAPE = (400, 600)


def pixel(x, y):
    return (NORTH - y) / PIXEL, (x - EAST) / PIXEL


GRID = Grid(SHAPE, UTM, pixel)
#: Centre of the pixel at row 100, column 200.
X, Y = EAST + 200.5 * PIXEL, NORTH - 100.5 * PIXEL
LATITUDE, LONGITUDE = degrees(UTM, X, Y)


def sexagesimal(value, letters):
    letter, value = letters[value < 0], abs(value)
    minutes = value % 1 * 60
    return f"{int(value)}°{int(minutes)}'{minutes % 1 * 60:.3f}\"{letter}"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (f"{X}, {Y}", "map coordinates"),
        (f"{X} {Y}", "map coordinates"),
        (f"({X}; {Y})", "map coordinates"),
        (f"E {X}  N {Y}", "map coordinates"),
        (f"x={X}, y={Y}", "map coordinates"),
        (f"{LATITUDE:.7f}, {LONGITUDE:.7f}", "latitude and longitude"),
        (f"{LATITUDE:.7f}°, {LONGITUDE:.7f}°", "latitude and longitude"),
        (f"{LATITUDE:.7f}N {LONGITUDE:.7f}E", "latitude and longitude"),
        (f"N{LATITUDE:.7f} E{LONGITUDE:.7f}", "latitude and longitude"),
        (f"{LONGITUDE:.7f}E, {LATITUDE:.7f}N", "latitude and longitude"),
        (f"{sexagesimal(LATITUDE, 'NS')} {sexagesimal(LONGITUDE, 'EW')}", "latitude and longitude"),
        (
            f"{sexagesimal(LATITUDE, 'NS')}, {sexagesimal(LONGITUDE, 'EW')}",
            "latitude and longitude",
        ),
        ("px 100, 200", "row and column"),
        ("row 100, col 200", "row and column"),
        ("100, 200", "row and column"),
    ],
)
def test_all_ways_to_write_a_place_find_the_same_pixel(text, read_as):
    found = find(text, GRID)
    assert found.read_as == read_as
    assert (round(found.row), round(found.col)) == (100, 200)


@pytest.mark.parametrize("text", ["", "Banepa", "27.6", "1, 2, 3", "N 27 N 85", "px"])
def test_what_is_no_place_is_told_so(text):
    with pytest.raises(CoordinateError, match="is not a place"):
        find(text, GRID)


@pytest.mark.parametrize("text", ["px 400, 0", "-1, -1", "0N 0E", f"E {X + 1000} N {Y}"])
def test_what_lies_outside_is_told_so(text):
    with pytest.raises(CoordinateError, match="outside the image"):
        find(text, GRID)


def test_without_a_crs_only_pixels_are_places():
    grid = Grid(SHAPE, None, None)
    assert find("100, 200", grid).read_as == "row and column"
    with pytest.raises(CoordinateError, match="is not a place"):
        find(f"{LATITUDE}N {LONGITUDE}E", grid)


def test_degrees_go_there_and_back():
    assert from_degrees(UTM, LATITUDE, LONGITUDE) == pytest.approx((X, Y), abs=1e-3)
    assert map_text(UTM, X, Y) == "E 355,100.2  N 3,055,949.8"
    assert map_text(CRS.from_epsg(4326).to_wkt(), 85.5, 27.6) == "27.600000°, 85.500000°"
