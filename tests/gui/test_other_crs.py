"""A second raster whose CRS is another one lies where it belongs, and is only looked at."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.warp import transform as warp

from builders import write_image
from napari_disca.core.events import finish
from napari_disca.exports import write_geotiff
from napari_disca.gui.viewer.layers.placement import WARPED
from napari_disca.gui.window.widget import DiscaWidget
from napari_disca.networks import LandClass
from napari_disca.raster import open_raster

#: Some 300 km around Banepa: an affine fit would be several pixels wrong.
DEGREES = Affine(0.005, 0, 84.0, 0, -0.005, 29.0)
METRES = Affine(500, 0, 200_000, 0, -500, 3_210_000)
SIDE = 600


def written(path, crs, place, spots=()):
    pixels = np.full((3, SIDE, SIDE), 30, np.uint8)
    for row, col in spots:
        pixels[:, row - 2 : row + 3, col - 2 : col + 3] = 250
    return write_image(path, pixels, crs=crs, transform=place)


SPOTS = [(30, 40), (300, 310), (570, 30), (20, 575), (560, 560)]


def in_the_world(world, row, col):
    """Where a pixel of `DEGREES` lies in the first image's world."""
    lon, lat = DEGREES.a * (col + 0.5) + DEGREES.c, DEGREES.e * (row + 0.5) + DEGREES.f
    (x,), (y,) = warp("EPSG:4326", "EPSG:32645", [lon], [lat])
    return world.from_map(x, y)


@pytest.fixture
def viewer(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer()
    first = written(tmp_path / "first.tif", "EPSG:32645", METRES)
    viewer.open(str(first), plugin="napari-disca")
    return viewer


def test_an_image_of_another_crs_lies_right_and_is_only_looked_at(viewer, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari.utils.notifications.show_info", said.append)
    panel = DiscaWidget(viewer)
    viewer.window.add_dock_widget(panel)
    second = written(tmp_path / "second.tif", "EPSG:4326", DEGREES, SPOTS)
    (layer,) = viewer.open(str(second), plugin="napari-disca")
    about = layer.metadata["napari_disca"]
    assert about[WARPED]
    world = about["world"]
    assert world == viewer.layers["first"].metadata["napari_disca"]["world"]
    pixels = np.asarray(layer.data)[..., 0]
    for spot in SPOTS:
        row, col = layer.world_to_data(in_the_world(world, *spot))
        top, left = int(row) - 6, int(col) - 6
        rows, cols = np.nonzero(pixels[top : top + 13, left : left + 13] > 140)
        assert abs(rows.mean() + top - row) < 1
        assert abs(cols.mean() + left - col) < 1
    assert any("second.tif has another CRS" in line for line in said)
    images = panel.image_panel.images
    assert [images.itemText(i) for i in range(images.count())] == ["first"]


def test_a_class_map_of_another_crs_keeps_its_ids(viewer, tmp_path):
    ids = np.random.default_rng(0).integers(0, 2, (SIDE, SIDE)).astype(np.uint8)
    source = written(tmp_path / "source.tif", "EPSG:4326", DEGREES)

    class Labels:
        shape = ids.shape

        def read(self, window):
            return ids[window.slices]

    classes = (LandClass("roof", "#d95f02"), LandClass("street", "#7570b3"))
    with open_raster(source) as raster:
        finish(write_geotiff(Labels(), tmp_path / "map.tif", raster=raster, classes=classes))
    (layer,) = viewer.open(str(tmp_path / "map.tif"), plugin="napari-disca")
    values = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    world = layer.metadata["napari_disca"]["world"]
    found = []
    for row, col in np.random.default_rng(1).integers(0, SIDE, (200, 2)):
        at = np.rint(layer.world_to_data(in_the_world(world, row, col))).astype(int)
        found.append(values[tuple(at)] == ids[row, col] + 1)
    # Which of two pixels is nearer to a place between them may differ.
    assert np.mean(found) > 0.75
    assert values[0, 0] == 0 or values[-1, 0] == 0, "around the map there is none"
    assert set(np.unique(values)) == {0, 1, 2}


def test_the_first_image_is_never_resampled(viewer):
    assert WARPED not in viewer.layers["first"].metadata["napari_disca"]
