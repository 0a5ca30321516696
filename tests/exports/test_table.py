"""The table of export formats decides; a format is one file and one line, added from outside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import PLACE, make_network, write_image
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.batch import cluster_tasks
from napari_disca.batch.streaming import MapStream
from napari_disca.cli import main
from napari_disca.core.errors import ExportError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import (
    EXPORTS,
    Export,
    export_for,
    exports_of,
    has_format,
    in_memory,
    made_with_of,
    merged,
    write_map,
)
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import save_network
from napari_disca.raster import open_raster
from napari_disca.session.steps.class_table import ClassTable
from napari_disca.session.steps.review_marks import Mark
from napari_disca.session.steps.strokes import Stroke
from napari_disca.storage.atomic import replacing
from napari_disca.storage.label_pyramid import LabelPyramid

MAGIC = b"class map\n"


# ---------------------------------------------------------------- the one file of a new format


def write_plain(labels, path, *, raster, classes, made_with=""):
    pixels = yield from in_memory(labels)
    with replacing(path) as temporary:
        assert temporary.name.endswith("".join(path.suffixes))
        temporary.write_bytes(MAGIC + made_with.encode() + b"\n" + pixels.tobytes())
    return path


def plain_made_with(path):
    data = path.read_bytes()
    return data.removeprefix(MAGIC).split(b"\n")[0].decode() if data.startswith(MAGIC) else ""


@pytest.fixture(autouse=True)
def _another_format(monkeypatch):
    # ... and its one line.
    monkeypatch.setitem(
        EXPORTS,
        "plain",
        Export("Plain map", "labels", (".plain", ".plain.gz"), write_plain, plain_made_with),
    )


@pytest.fixture
def two_dots(monkeypatch):
    """A format whose ending ends like that of another one, as ``.ome.tif`` does."""
    monkeypatch.setitem(
        EXPORTS, "two dots", Export("Plain", "labels", (".Plain.tif",), write_plain)
    )


def pixels_of(path, shape=(150, 200)):
    data = path.read_bytes()
    assert data.startswith(MAGIC)
    return np.frombuffer(data.split(b"\n", 2)[2], np.uint8).reshape(shape)


@pytest.fixture
def on_disk(tmp_path, image):
    path = write_image(tmp_path / "image.tif", image.transpose(2, 0, 1), **PLACE)
    network = make_network()
    return path, network, save_network(network, tmp_path / "w.safetensors", half=False)


def expected_map(on_disk, compute, tmp_path):
    path, network, _ = on_disk
    with open_raster(path) as raster:
        stream = MapStream(NetworkView(raster, network.card), network, compute)
        written = finish(stream.write(tmp_path / "expected.tif"))
    with rasterio.open(written) as file:
        return file.read(1)


# ---------------------------------------------------------------- every path that writes


def test_the_command_line_and_streaming(on_disk, compute, tmp_path, capfd):
    path, _, weights = on_disk
    out = tmp_path / "out.plain"
    common = ["--weights", str(weights), "--device", "cpu", "--precision", "float32"]
    assert main(["predict", str(path), "-o", str(out), *common]) == 0
    np.testing.assert_array_equal(pixels_of(out), expected_map(on_disk, compute, tmp_path))
    capfd.readouterr()
    assert main(["predict", str(path), "-o", str(tmp_path / "out.png"), *common]) == 2
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "which is not a format for labels; end its name with .tif, .tiff, " in lines[0]
    assert ".plain" in lines[0]
    assert not (tmp_path / "out.png").exists()


def test_the_longest_ending_decides(on_disk, two_dots, compute, tmp_path, capfd):
    path, _, weights = on_disk
    common = ["--weights", str(weights), "--device", "cpu", "--precision", "float32"]
    for name in ("out.plain.tif", "OUT.PLAIN.TIF"):
        out = tmp_path / name
        assert main(["predict", str(path), "-o", str(out), *common]) == 0
        np.testing.assert_array_equal(pixels_of(out), expected_map(on_disk, compute, tmp_path))
    assert export_for("map.v2.tif", "labels") is EXPORTS["geotiff"]
    assert export_for("plain.tif", "labels") is EXPORTS["geotiff"]
    assert export_for(".plain.tif", "labels") is EXPORTS["geotiff"], "its stem is .plain"
    for name in (".tif", "map", "map.", "map.tif.bak"):
        assert not has_format(name, "labels")
    # For several maps it is one file, not a folder.
    two = [str(path), str(path.with_name("other.tif"))]
    assert main(["predict", *two, "-o", str(tmp_path / "maps.plain.tif"), *common]) == 2
    assert "is one file for 2 maps" in capfd.readouterr().err


def test_a_session_on_the_command_line(on_disk, tmp_path, capfd):
    path, _, weights = on_disk
    clicks = tmp_path / "c.csv"
    clicks.write_text("row,col,class_id\n3,4,1\n")
    out, journal = tmp_path / "out.plain", tmp_path / "j.jsonl"
    common = ["--weights", str(weights), "--device", "cpu", "--precision", "float32"]
    line = ["refine", str(path), "--clicks", str(clicks), "-o", str(out), "--recipe", "disir"]
    assert main([*line, "--journal", str(journal), *common]) == 0, capfd.readouterr().err
    assert pixels_of(out)[3, 4] == 1


def test_dask(on_disk, compute, tmp_path):
    path, network, weights = on_disk
    out = tmp_path / "out.plain"
    with open_raster(path) as raster:
        stream = MapStream(NetworkView(raster, network.card), network, compute)
        task = cluster_tasks.MapTask(
            str(path), str(out), cluster_tasks.WorkerSettings(str(weights), "cpu", "float32"),
            stream.network_view.bands, 1.0, stream.network_view.scale, cluster_fingerprint(raster),
            network_fingerprint(network), stream.made_with,
        )  # fmt: skip
        task.folder.mkdir()
        for part in range(len(stream.parts)):
            cluster_tasks.predict_part(task, part)
        assert cluster_tasks.finish_map(task) == ()
        assert made_with_of(out) == stream.made_with
    np.testing.assert_array_equal(pixels_of(out), expected_map(on_disk, compute, tmp_path))
    cluster_tasks._loaded_stream.cache_clear()
    cluster_tasks._loaded_network.cache_clear()


def test_a_worker_that_does_not_know_the_format_says_so_at_once(on_disk, compute, tmp_path):
    """Not when all tiles are computed, and the map is joined."""
    path, network, weights = on_disk
    with open_raster(path) as raster:
        stream = MapStream(NetworkView(raster, network.card), network, compute)
        task = cluster_tasks.MapTask(
            str(path), str(tmp_path / "out.unknown"), cluster_tasks.WorkerSettings(str(weights)),
            stream.network_view.bands, 1.0, stream.network_view.scale, cluster_fingerprint(raster),
            network_fingerprint(network), stream.made_with,
        )  # fmt: skip
        with pytest.raises(ExportError, match=r"worker does not know the format of out\.unknown"):
            cluster_tasks.predict_part(task, 0)


def cluster_fingerprint(raster):
    from napari_disca.raster import fingerprint

    return fingerprint(raster)


def network_fingerprint(network):
    from napari_disca.networks import fingerprint

    return fingerprint(network)


def test_filters_of_dialogs():
    """napari's writers are tested in `tests/gui/plugin/test_writer.py`."""
    pytest.importorskip("qtpy")
    from napari_disca.gui.window.dialogs import file_filter

    maps = file_filter("labels").split(";;")
    assert maps[0] == "GeoTIFF label map (*.tif *.tiff)"
    assert "Plain map (*.plain *.plain.gz)" in maps
    clicks = file_filter("clicks").split(";;")
    assert clicks[:2] == ["GeoJSON clicks (*.geojson *.json)", "GeoPackage of clicks (*.gpkg)"]


# ---------------------------------------------------------------- the table itself


def test_a_temporary_name_has_both_suffixes(tmp_path, image):
    """Libraries choose by them; `write_plain` checks it."""
    raster = open_raster(image)
    job = write_map(
        LabelPyramid(raster.shape), tmp_path / "m.plain.gz", raster=raster,
        classes=make_network().card.classes,
    )  # fmt: skip
    assert finish(job).read_bytes().startswith(MAGIC)


def test_every_format_writes_what_it_says(tmp_path, image):
    raster = open_raster(image)
    labels = LabelPyramid(raster.shape)
    labels.paint(Window.whole(raster.shape), np.ones(raster.shape, np.uint8))
    classes = make_network().card.classes
    content = {
        "labels": labels,
        "clicks": Clicks((Click(3, 4, 1),)),
        "areas": (Area.rectangle(Window(3, 4, 20, 20)),),
        "classes": ClassTable.of(classes),
        "review": (Mark(Window(3, 4, 20, 20), "note", "a hedge"),),
        "strokes": (Stroke(1, PixelSet.from_json([3, 4, 20]), 1, "brush"),),
    }
    for name, export in EXPORTS.items():
        path = tmp_path / f"{name}{export.suffixes[0]}"
        job = export_for(path, export.content).write(
            content[export.content], path, raster=raster, classes=classes
        )
        assert finish(job) == path
        assert path.stat().st_size > 0
        assert export_for(str(path).upper(), export.content) is export
        assert export in exports_of(export.content)


def test_what_no_format_writes_is_said_at_once(tmp_path, image):
    raster = open_raster(image)
    labels = LabelPyramid(raster.shape)
    with pytest.raises(ExportError, match=r"map\.geojson has .* not a format for labels; end"):
        write_map(labels, Path("map.geojson"), raster=raster, classes=())
    with pytest.raises(ExportError, match=r"end its name with \.geojson, \.json"):
        export_for(tmp_path / "clicks.shp", "clicks")


def test_a_map_is_written_as_it_is_when_that_is_asked_for(tmp_path, image):
    raster = open_raster(image)
    labels = LabelPyramid(raster.shape)
    whole = Window.whole(raster.shape)
    labels.paint(whole, np.zeros(raster.shape, np.uint8))
    job = write_map(
        labels, tmp_path / "m.plain", raster=raster, classes=make_network().card.classes
    )
    labels.paint(whole, np.ones(raster.shape, np.uint8))
    assert not pixels_of(finish(job)).any()
    # Likewise where classes are merged in it.
    values = np.arange(256, dtype=np.uint8)
    values[1] = 2
    job = write_map(
        merged(labels, values),
        tmp_path / "m.plain",
        raster=raster,
        classes=make_network().card.classes,
    )
    labels.paint(whole, np.zeros(raster.shape, np.uint8))
    assert (pixels_of(finish(job)) == 2).all()
