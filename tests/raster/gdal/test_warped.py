"""Images resampled into another CRS."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from rasterio.warp import transform as warp

from builders import write_image
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.gdal.warped import WarpedRaster
from napari_disca.raster.georeference import Frame
from napari_disca.raster.pyramid import ImagePyramid

UTM = CRS.from_epsg(32645)
SIDE = 600


def written(path, pixels, crs="EPSG:4326", **about):
    """A picture near Banepa whose pixels are some 5 m; in degrees it leans against UTM."""
    place = Affine(5e-5, 0, 85.5, 0, -5e-5, 27.65)
    where = {"crs": crs, "transform": place} if crs else {}
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    return write_image(path, pixels, **where, **tiles, **about), place


def on_map(place, row, col):
    return place.a * (col + 0.5) + place.c, place.e * (row + 0.5) + place.f


@pytest.fixture
def marked(tmp_path):
    """A dark picture with bright blocks of five pixels, and where those are in degrees."""
    pixels = np.full((3, SIDE, SIDE), 20, np.uint8)
    spots = [(30, 40), (300, 310), (570, 30), (20, 575), (560, 560)]
    for row, col in spots:
        pixels[:, row - 2 : row + 3, col - 2 : col + 3] = 250
    path, place = written(tmp_path / "marked.tif", pixels)
    return path, [on_map(place, row, col) for row, col in spots]


def test_what_is_seen_lies_where_it_belongs(marked):
    path, places = marked
    with WarpedRaster(path, UTM) as raster:
        assert raster.crs == UTM
        assert raster.color_interp[:3] == ("red", "green", "blue")
        pixels = raster.read(Window.whole(raster.shape), (1, 2, 3))
        valid = raster.valid(Window.whole(raster.shape))
        for lon, lat in places:
            (x,), (y,) = warp("EPSG:4326", UTM, [lon], [lat])
            row, col = Frame.of(raster).pixel(x, y)
            near = pixels[0, int(row) - 6 : int(row) + 7, int(col) - 6 : int(col) + 7]
            rows, cols = np.nonzero(near > 135)
            middle = np.array([rows.mean() + int(row) - 5.5, cols.mean() + int(col) - 5.5])
            assert np.abs(middle - (row, col)).max() < 1
        assert not valid.all(), "around the image, which is turned, there is nothing"
        assert valid[raster.shape[0] // 2, raster.shape[1] // 2]
        assert any("resampled" in note for note in raster.notes)


@pytest.mark.parametrize("about", [{"nodata": 0}, {"photometric": "RGB", "alpha": "yes"}, {}])
def test_beside_the_image_there_is_nothing(tmp_path, about):
    pixels = np.full((4 if "alpha" in about else 3, 200, 200), 255, np.uint8)
    path, _ = written(tmp_path / "white.tif", pixels, **about)
    with WarpedRaster(path, CRS.from_epsg(32644)) as raster:
        valid = raster.valid(Window.whole(raster.shape), (1, 2, 3))
        assert 0.5 < valid.mean() < 1
        assert not valid[0, 0] or not valid[-1, 0]


def test_palettes_and_class_ids_are_never_mixed(tmp_path):
    ids = np.random.default_rng(0).choice([3, 200], (1, 200, 200)).astype(np.uint8)
    path, _ = written(tmp_path / "ids.tif", ids, nodata=255)
    with WarpedRaster(path, UTM, categorical=True) as raster:
        assert set(np.unique(raster.stored(Window.whole(raster.shape)))) == {3, 200, 255}


def test_only_what_is_looked_at_is_read(tmp_path):
    side = 4096
    pixels = np.zeros((3, side, side), np.uint8)
    path, _ = written(tmp_path / "large.tif", pixels, compress="deflate")
    del pixels
    tracemalloc.start()
    try:
        with WarpedRaster(path, UTM, cache=8 << 20) as raster:
            before = tracemalloc.get_traced_memory()[0]
            raster.read(Window(2000, 2000, 256, 256))
            assert tracemalloc.get_traced_memory()[1] - before < 4 << 20
    finally:
        tracemalloc.stop()


def test_it_has_levels_for_a_viewer(marked):
    path, _ = marked
    with WarpedRaster(path, UTM) as raster:
        pyramid = ImagePyramid(raster)
        assert pyramid.rgb
        assert pyramid.levels[-1].shape[:2] == raster.shape


def test_an_image_without_crs_is_refused(tmp_path):
    path, _ = written(tmp_path / "plain.tif", np.zeros((1, 32, 32), np.uint8), crs=None)
    with pytest.raises(RasterError, match="has no CRS"):
        WarpedRaster(path, UTM)


def test_an_image_that_the_crs_cannot_reach_is_refused(tmp_path):
    moon = CRS.from_authority("IAU_2015", "30100")
    path, _ = written(tmp_path / "earth.tif", np.zeros((1, 32, 32), np.uint8))
    with pytest.raises(RasterError, match="has no place in"):
        WarpedRaster(path, moon)
