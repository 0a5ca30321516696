"""What is saved is what is seen, whichever way napari offers to save a layer."""

from __future__ import annotations

import threading
from pathlib import Path

import npe2
import numpy as np
import pytest
import rasterio
from affine import Affine
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from rasterio.control import GroundControlPoint

import napari_disca
from builders import write_image
from napari_disca.core.errors import ExportError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import (
    EXPORTS,
    Export,
    geotiff,
    in_memory,
    read_map_classes,
    write_geotiff,
)
from napari_disca.gui.plugin.reader import read
from napari_disca.gui.plugin.writer import write_folder, write_labels
from napari_disca.gui.toolkit.writer_order import offer_our_writer_first
from napari_disca.gui.viewer.colours.class_colormap import class_colormap, class_features
from napari_disca.networks import LandClass
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.session.document import Document
from napari_disca.storage.label_pyramid import LabelPyramid

CLASSES = (
    LandClass("roof", "#d95f02"),
    LandClass("street", "#7570b3"),
    LandClass("grass", "#1b9e77"),
)
SHAPE = (90, 120)
GRID = {"transform": Affine(0.5, 0, 5e5, 0, -0.5, 5e6), "crs": rasterio.CRS.from_epsg(32633)}


class Session:
    """What a map's layer carries of its session."""

    def __init__(self, raster):
        self.raster, self.maps = raster, {}
        self.document = Document(raster.shape, CLASSES)


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "image.tif", np.full((3, *SHAPE), 80, np.uint8), **GRID)


@pytest.fixture
def ids():
    ids = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.uint8)
    ids[:10] = 255
    return ids


@pytest.fixture
def layer(image, ids):
    """A map's layer as the panel makes it."""
    return Labels(
        ids + np.uint8(1),
        name="DISCA",
        colormap=class_colormap(CLASSES),
        features=class_features(CLASSES),
        metadata={"napari_disca": {"map": "disca", "session": Session(open_raster(image))}},
    )


@pytest.fixture
def manager(npe2pm):
    """npe2 as napari has it: its own writers, and ours after them."""
    import napari_builtins

    builtins = Path(napari_builtins.__file__).with_name("builtins.yaml")
    npe2pm.register(npe2.PluginManifest.from_file(builtins))
    ours = Path(napari_disca.__file__).with_name("napari.yaml")
    npe2pm.register(npe2.PluginManifest.from_file(ours))
    return npe2pm


def check_map(path, expected, place=GRID):
    with quiet_opening(), rasterio.open(path) as file:
        assert file.dtypes == ("uint8",)
        np.testing.assert_array_equal(file.read(1), expected)
        assert file.nodata == 255
        assert (file.crs, file.transform) == (place["crs"], place["transform"])
        assert file.colormap(1)[1][:3] == (0x75, 0x70, 0xB3)
    assert read_map_classes(path) == CLASSES


def save(layer, path):
    """Save a layer as napari's dialog and `layer.save` do."""
    return npe2.write(str(path), [layer.as_layer_data_tuple()])


def test_a_map_is_saved_with_its_ids_place_colours_and_names(layer, ids, manager, tmp_path):
    assert offer_our_writer_first()
    save(layer, tmp_path / "map.tif")
    check_map(tmp_path / "map.tif", ids)


def test_a_map_that_is_painted_meanwhile_is_saved_as_it_was(layer, ids, manager, tmp_path, qtbot):
    """Writing a large map takes long: the window lives, and tasks paint the map."""
    about = layer.metadata["napari_disca"]
    canvas = about["session"].maps["disca"] = LabelPyramid(SHAPE)
    whole = Window.whole(SHAPE)
    canvas.paint(whole, ids)
    layer.data = canvas.levels[0]
    threads, check = [], geotiff._check_request

    def painted(*arguments):
        threads.append(threading.current_thread())
        canvas.paint(whole, (ids + 1) % 3)
        return check(*arguments)

    offer_our_writer_first()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geotiff, "_check_request", painted)
        save(layer, tmp_path / "map.tif")
    check_map(tmp_path / "map.tif", ids)
    assert threading.main_thread() not in threads


def test_napari_offers_our_writer_first(manager):
    first = next(iter(manager.iter_compatible_writers(["labels"])))
    assert first.command == "napari.write_labels"
    assert offer_our_writer_first()
    first = next(iter(manager.iter_compatible_writers(["labels"])))
    assert first.command == "napari-disca.write_labels"
    writer, _ = manager.get_writer("map.tif", ["labels"])
    assert writer.command == "napari-disca.write_labels"
    writer, path = manager.get_writer("map", ["labels"])
    assert (writer.command, path) == ("napari-disca.write_labels", "map.tif")
    # Other layers are as they were.
    writer, _ = manager.get_writer("photo.tif", ["image"])
    assert writer.command == "napari.write_image"


def test_napari_offers_every_format_of_the_table(manager, monkeypatch, layer, ids, tmp_path):
    def write(labels, path, *, raster, classes, made_with=""):
        pixels = yield from in_memory(labels)
        np.save(path, pixels)
        return path

    monkeypatch.setitem(EXPORTS, "npy", Export("NumPy map", "labels", (".npy",), write))
    offer_our_writer_first()
    save(layer, tmp_path / "map.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), ids)


def test_a_painted_copy_is_saved_as_painted(layer, ids, manager, tmp_path):
    offer_our_writer_first()
    data, state, kind = layer.as_layer_data_tuple()
    copy = Labels.create(data.copy(), state, kind)
    copy.paint((40, 50), 3)
    copy.data_setitem((np.array([20]), np.array([30])), np.array([0]))
    painted = copy.data - np.uint8(1)
    assert (painted != ids).any()
    save(copy, tmp_path / "copy.tif")
    check_map(tmp_path / "copy.tif", painted)
    save(layer, tmp_path / "map.tif")
    check_map(tmp_path / "map.tif", ids)


@pytest.mark.parametrize("dtype", ["int32", "uint16", "int64"])
def test_a_copy_of_another_type_is_the_same_map(dtype, layer, ids, tmp_path):
    data, state, _ = layer.as_layer_data_tuple()
    (written,) = write_labels(str(tmp_path / "copy.tif"), data.astype(dtype), state)
    check_map(written, ids)


def test_what_stands_for_no_class_is_refused_by_its_number(layer, tmp_path):
    data, state, _ = layer.as_layer_data_tuple()
    for value in (-1, 300, 9):
        wrong = data.astype(np.int32)
        wrong[30, 40] = value
        with pytest.raises(ExportError, match=str(value if value != 9 else 8)):
            write_labels(str(tmp_path / "no.tif"), wrong, state)
    assert not list(tmp_path.glob("no*"))


def _reopened(path, ids, image):
    class Source:
        shape = SHAPE

        def read(self, window):
            return ids[window.slices]

    with open_raster(image) as raster:
        finish(write_geotiff(Source(), path, raster=raster, classes=CLASSES))
    ((data, keywords, kind),) = read(str(path))
    return Labels.create(data, keywords, kind)


def test_a_reopened_map_may_be_painted_and_saved_over_itself(image, ids, manager, tmp_path):
    path = tmp_path / "map.tif"
    layer = _reopened(path, ids, image)
    offer_our_writer_first()
    layer.fill((0, 0), 2)
    painted = np.asarray(layer.data) - np.uint8(1)
    assert (painted[:10] == 1).all()
    save(layer, path)
    check_map(path, painted)


def test_a_reopened_map_keeps_ground_control_points(ids, tmp_path):
    corners = ((0, 0), (0, 120), (90, 0))
    gcps = [GroundControlPoint(r, c, 10 + c * 1e-4, 50 - r * 1e-4) for r, c in corners]
    path = write_image(
        tmp_path / "gcps.tif", np.full((3, *SHAPE), 80, np.uint8), gcps=gcps, crs="EPSG:4326"
    )
    layer = _reopened(tmp_path / "map.tif", ids, path)
    data, state, _ = layer.as_layer_data_tuple()
    (written,) = write_labels(str(tmp_path / "again.tif"), data, state)
    with quiet_opening(), rasterio.open(written) as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [
            (p.row, p.col, p.x, p.y) for p in gcps
        ]


def test_all_layers_saved_into_a_folder(layer, ids, manager, tmp_path):
    offer_our_writer_first()
    picture = (np.zeros((*SHAPE, 3), np.uint8), {"name": "photo", "rgb": True}, "image")
    points = (np.zeros((2, 2)), {"name": "clicks", "properties": {}}, "points")
    written = npe2.write(str(tmp_path / "all"), [picture, layer.as_layer_data_tuple(), points])
    assert {Path(file).name for file in written} == {"photo.tif", "DISCA.tif", "clicks.csv"}
    check_map(tmp_path / "all" / "DISCA.tif", ids)


def test_names_that_are_no_file_names(layer, ids, manager, tmp_path):
    data, state, kind = layer.as_layer_data_tuple()
    (written,) = write_folder(str(tmp_path / "f"), [(data, {**state, "name": "a/b: c"}, kind)])
    assert Path(written).parent == tmp_path / "f"
    check_map(written, ids)


# ------------------------------------------------------------------ labels of other programs

FOREIGN = {
    "cells": np.arange(90 * 120, dtype=np.int32).reshape(SHAPE) % 4000,
    "few": np.arange(90 * 120, dtype=np.uint8).reshape(SHAPE) % 7,
    "negative": np.arange(-30, 90 * 120 - 30, dtype=np.int64).reshape(SHAPE),
    "wide": np.full(SHAPE, 2**31 + 5, np.uint32),
    "mask": np.arange(90 * 120).reshape(SHAPE) % 2 == 0,
    "volume": np.arange(4 * 30 * 40, dtype=np.uint16).reshape(4, 30, 40),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_labels_of_another_program_come_back_as_they_were(name, manager, tmp_path):
    values = FOREIGN[name]
    offer_our_writer_first()
    scale = [3.0, 0.5, 0.5][-values.ndim :]
    layer = Labels(values, name=name, scale=scale)
    layer.colormap = DirectLabelColormap(color_dict={1: "#ff0000", 2: "#0000ff80", None: "black"})
    path = tmp_path / f"{name}.tif"
    save(layer, path)
    ((data, keywords, kind),) = read(str(path))
    assert kind == "labels"
    again = Labels.create(data, keywords, kind)
    np.testing.assert_array_equal(again.data, values)
    assert again.data.dtype == (np.uint8 if values.dtype == bool else values.dtype)
    assert list(again.scale) == scale
    np.testing.assert_allclose(again.get_color(2), layer.get_color(2), atol=1e-3)


def test_foreign_labels_on_one_of_our_images_keep_its_place(image, manager, tmp_path):
    ((_, keywords, _),) = read(str(image))
    layer = Labels(FOREIGN["cells"], metadata=keywords["metadata"])
    offer_our_writer_first()
    save(layer, tmp_path / "cells.tif")
    with rasterio.open(tmp_path / "cells.tif") as file:
        assert (file.crs, file.transform) == (GRID["crs"], GRID["transform"])
        np.testing.assert_array_equal(file.read(1), FOREIGN["cells"])
