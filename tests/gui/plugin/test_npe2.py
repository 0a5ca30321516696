"""Reader, writer and samples as napari calls them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from builders import write_image
from napari_disca.core.events import finish
from napari_disca.exports import write_geotiff
from napari_disca.gui.plugin.reader import get_reader
from napari_disca.gui.plugin.samples import arid, temperate
from napari_disca.gui.plugin.writer import write_labels
from napari_disca.networks import LandClass
from napari_disca.raster import open_raster, quiet_opening

CLASSES = (LandClass("roof", "#d95f02"), LandClass("street", "#7570b3"))


def test_other_files_are_left_to_other_readers():
    assert get_reader("picture.png") is None
    assert get_reader(["a.tif", "b.txt"]) is None
    assert get_reader("A.TIFF") is not None
    assert get_reader("mosaic.vrt") is not None


@pytest.mark.parametrize(
    ("name", "driver"),
    [("a.img", "HFA"), ("a.dat", "ENVI"), ("a.gpkg", "GPKG"), ("A.BIL", "EHdr"), ("a.rst", "RST")],
)
def test_what_the_command_line_reads_opens_in_napari(tmp_path, name, driver):
    pixels = np.arange(48 * 64, dtype=np.uint8).reshape(1, 48, 64)
    path = tmp_path / name
    try:
        transform = rasterio.Affine(1.0, 0.0, 355_000.0, 0.0, -1.0, 3_056_000.0)
        write_image(path, pixels, driver=driver, crs="EPSG:32645", transform=transform)
    except rasterio.errors.RasterioError as error:
        pytest.skip(f"this GDAL does not write it: {error}")
    read = get_reader(str(path))
    assert read is not None
    ((data, keywords, kind),) = read(str(path))
    assert kind == "image"
    level = data[0] if keywords["multiscale"] else data
    shown = np.asarray(level[10:20, 30:50])
    expected = pixels[0, 10:20, 30:50]
    np.testing.assert_array_equal(shown[..., 0] if shown.ndim == 3 else shown, expected)


def test_the_reader_is_lazy_and_keeps_the_place(scene):
    ((data, keywords, kind),) = get_reader(str(scene))(str(scene))
    assert kind == "image"
    about = keywords["metadata"]["napari_disca"]
    with rasterio.open(scene) as file:
        assert about["transform"] == tuple(file.transform)[:6]
        assert rasterio.CRS.from_wkt(about["crs"]) == file.crs
        level = data[0] if keywords["multiscale"] else data
        np.testing.assert_array_equal(
            np.asarray(level[10:20, 30:50]), file.read()[:, 10:20, 30:50].transpose(1, 2, 0)
        )


def test_a_label_map_opens_as_labels_with_its_colours(tmp_path, scene, make_napari_viewer):
    ids = np.zeros((300, 260), np.uint8)
    ids[100:] = 1
    ids[200:] = 255
    _write(tmp_path / "map.tif", ids, scene)
    ((data, keywords, kind),) = get_reader(str(tmp_path / "map.tif"))(str(tmp_path / "map.tif"))
    assert kind == "labels"
    np.testing.assert_array_equal(np.asarray(data), ids + np.uint8(1))
    layer = make_napari_viewer().add_labels(data, **keywords)
    np.testing.assert_allclose(layer.get_color(1)[:3], (0xD9 / 255, 0x5F / 255, 2 / 255), atol=0.01)
    written = write_labels(str(tmp_path / "again.tif"), data, {"metadata": keywords["metadata"]})
    with rasterio.open(written[0]) as again, rasterio.open(scene) as source:
        np.testing.assert_array_equal(again.read(1), ids)
        assert (again.crs, again.transform) == (source.crs, source.transform)


def _write(path, ids, scene):
    class Source:
        shape = ids.shape

        def read(self, window):
            return ids[window.slices]

    with open_raster(scene) as raster:
        finish(write_geotiff(Source(), path, raster=raster, classes=CLASSES))


def test_any_labels_layer_can_be_written(tmp_path):
    values = np.arange(12, dtype=np.int32).reshape(3, 4)
    (written,) = write_labels(str(tmp_path / "plain.tif"), values, {})
    with quiet_opening(), rasterio.open(written) as file:
        np.testing.assert_array_equal(file.read(1), values)


@pytest.mark.parametrize("values", [np.full((3, 4), 0.5), np.zeros(4, int)])
def test_what_is_no_labels_is_refused(tmp_path, values):
    from napari_disca.core.errors import ExportError

    with pytest.raises(ExportError):
        write_labels(str(tmp_path / "no.tif"), values, {})
    assert not list(tmp_path.glob("*.tif"))


@pytest.mark.parametrize("sample", [temperate, arid])
def test_samples_are_georeferenced_images(sample, monkeypatch):
    monkeypatch.setattr("napari_disca.gui.plugin.samples.SIDE", 128)
    ((data, keywords, kind),) = sample()
    assert kind == "image"
    assert keywords["rgb"]
    assert keywords["metadata"]["napari_disca"]["crs"]
    assert np.asarray(data).shape == (128, 128, 3)
