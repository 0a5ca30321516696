"""A full disk, a missing right, a file that goes away: the real ones, where the system allows."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import PLACE, make_network, write_image
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import DataError, ExportError, RasterError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import read_clicks, write_clicks, write_geotiff
from napari_disca.inference.reading import Reading
from napari_disca.networks import load_network, save_network
from napari_disca.raster import open_raster
from napari_disca.raster.pyramid import ImagePyramid
from napari_disca.session.preferences import remember
from napari_disca.session.session import Session
from napari_disca.storage.atomic import replacing
from napari_disca.storage.label_pyramid import LabelPyramid
from napari_disca.storage.preallocated import PreallocatedFile
from napari_disca.training.folders import _Store


def _mounted(folder: Path, options: str):
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a file system for a test")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let root mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def tiny(tmp_path):
    """A disk of eight megabytes."""
    yield from _mounted(tmp_path / "tiny", "size=8m")


@pytest.fixture
def read_only(tmp_path):
    """A folder in which nothing can be written, not even by root."""
    yield from _mounted(tmp_path / "read-only", "size=1m,ro")


def fill(folder: Path, left: int = 0) -> None:
    """Fill a disk, but for some bytes."""
    facts = os.statvfs(folder)
    with suppress(OSError), (folder / "filling").open("wb", buffering=0) as file:
        for _ in range(max(0, facts.f_bavail * facts.f_frsize - left) // 4096):
            file.write(bytes(4096))


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def tif(path: Path, shape=(300, 260), seed=0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, *shape), dtype=np.uint8)
    return write_image(path, pixels, **PLACE)


class Noise:
    """A map that does not compress."""

    shape = (1200, 1200)

    def read(self, window):
        return np.random.default_rng(0).integers(0, 3, window.shape, dtype=np.uint8)


# -------------------------------------------------------------------- a full disk


def test_a_map_on_a_full_disk_is_one_line_and_the_old_one_stays(tiny, network):
    path = tiny / "map.tif"
    path.write_bytes(b"the old map")
    raster = open_raster(np.zeros((1200, 1200, 3), np.uint8))
    fill(tiny, left=100_000)
    with pytest.raises(ExportError, match=r"cannot write .*map\.tif") as caught:
        finish(write_geotiff(Noise(), path, raster=raster, classes=network.card.classes))
    assert len(str(caught.value).splitlines()) == 1
    assert path.read_bytes() == b"the old map"
    assert names(tiny) == ["filling", "map.tif"]


def test_clicks_and_weights_on_a_full_disk(tiny, network):
    raster = open_raster(np.zeros((3000, 3000, 3), np.uint8))
    clicks = Clicks(tuple(Click(i, i, 0) for i in range(2000)))
    write_clicks(Clicks(), tiny / "a.geojson", raster=raster, classes=network.card.classes)
    before = (tiny / "a.geojson").read_bytes()
    fill(tiny, left=50_000)
    with pytest.raises(ExportError, match="No space left on device"):
        write_clicks(clicks, tiny / "a.geojson", raster=raster, classes=network.card.classes)
    with pytest.raises(ExportError, match="No space left on device"):
        save_network(network, tiny / "a.safetensors")
    assert names(tiny) == ["a.geojson", "filling"]
    assert (tiny / "a.geojson").read_bytes() == before


def test_painting_on_a_full_disk_is_an_error_not_the_end_of_the_program(tiny, monkeypatch):
    # In this process: without the room asked for first, the system would end it (SIGBUS).
    monkeypatch.setattr("napari_disca.storage.label_pyramid._IN_MEMORY", 1 << 10)
    monkeypatch.setattr("napari_disca.storage.preallocated._in_memory", lambda _: False)
    canvas = LabelPyramid((9000, 1000), tiny / "map")
    top, bottom = Window(0, 0, 300, 1000), Window(8000, 0, 300, 1000)
    patch = np.ones((300, 1000), np.uint8)
    canvas.paint(top, patch)
    fill(tiny)
    with pytest.raises(ExportError, match=r"no disk space for the map in .*No space left"):
        canvas.paint(bottom, patch)
    assert (canvas.read(top) == 1).all()
    (tiny / "filling").unlink()
    canvas.paint(bottom, patch)
    assert (canvas.read(bottom) == 1).all()


def test_a_map_in_memory_has_all_its_room_or_none(tiny, monkeypatch):
    # There even to look at what was never painted takes room.
    monkeypatch.setattr("napari_disca.storage.label_pyramid._IN_MEMORY", 1 << 10)
    with pytest.raises(ExportError, match="no disk space for a map of 3000 x 3000 pixels"):
        LabelPyramid((3000, 3000), tiny / "map")
    canvas = LabelPyramid((600, 600), tiny / "other")
    fill(tiny)
    assert (np.asarray(canvas.levels[0]) == 0).all()


def test_training_images_and_caches_on_a_full_disk(tiny, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tiny))
    with pytest.raises(DataError, match=r"no disk space for .* of training images"):
        _Store(0).empty((4000, 4000))
    fill(tiny)
    monkeypatch.setattr("napari_disca.raster.pyramid._SMALL", 1)
    raster = open_raster(np.zeros((5000, 300, 3), np.uint8))
    monkeypatch.setattr(type(raster), "overviews", ())
    pyramid = ImagePyramid(raster, cache=tiny / "levels")
    finish(pyramid.build())
    assert pyramid.complete
    assert not (tiny / "levels").exists() or not list((tiny / "levels").iterdir())
    with pytest.raises(OSError, match="No space left"):
        PreallocatedFile(tiny / "more", 4096, whole=True)
    assert not (tiny / "more").exists()


def test_the_command_line_says_it_in_one_line(tiny, tmp_path, capfd):
    from napari_disca.cli import main

    weights = save_network(make_network(), tmp_path / "small.safetensors")
    fill(tiny)
    image = tif(tmp_path / "image.tif")
    code = main(["predict", str(image), "-o", str(tiny / "o.tif"), "--weights", str(weights)])
    said = capfd.readouterr().err.splitlines()
    assert code == 2
    assert "cannot write" in said[-1]
    assert not any("Traceback" in line for line in said)
    assert names(tiny) == ["filling"]


# -------------------------------------------------------------------- missing rights


def test_a_read_only_folder_is_one_line(read_only, tmp_path, monkeypatch, capfd):
    from napari_disca.cli import main

    refused = pytest.raises(ExportError, match=r"cannot write .*a\.txt: Read-only file system")
    with refused, replacing(read_only / "a.txt") as temporary:
        temporary.write_text("a")
    weights = save_network(make_network(), tmp_path / "small.safetensors")
    image = tif(tmp_path / "image.tif")
    output = read_only / "new" / "o.tif"
    assert main(["predict", str(image), "-o", str(output), "--weights", str(weights)]) == 2
    assert "Read-only file system" in capfd.readouterr().err
    # What is remembered for comfort must not stop the work.
    monkeypatch.setattr(
        "napari_disca.session.preferences._file", lambda: read_only / "factors.json"
    )
    with open_raster(image) as raster:
        remember(raster, make_network().card, Reading(factor=0.5))


def test_an_image_without_the_right_to_read_it(tmp_path):
    if os.name != "posix" or os.geteuid() == 0:
        pytest.skip("root may read everything, and Windows has other rights")
    path = tif(tmp_path / "image.tif")
    path.chmod(0)
    with pytest.raises(RasterError, match="Permission denied"):
        open_raster(path)


# -------------------------------------------------------------------- files that change


def test_an_image_that_vanishes_is_one_line_and_comes_back(tmp_path, network, compute):
    path = tif(tmp_path / "image.tif")
    session = Session(open_raster(path), network, compute=compute)
    finish(session.predict(), session.handle)
    before = session.maps["initial"].read(Window.whole(session.raster.shape))
    path.rename(tmp_path / "elsewhere.tif")
    session.document.click(100, 100, 1)
    finish(session.refine(), session.handle)
    with pytest.raises(RasterError, match=r"image\.tif does not exist any more; put it back"):
        session.check_complete()
    assert session.document.clicks == Clicks((Click(100, 100, 1),))
    np.testing.assert_array_equal(
        session.maps["initial"].read(Window.whole(session.raster.shape)), before
    )
    (tmp_path / "elsewhere.tif").rename(path)
    finish(session.refine(), session.handle)
    assert session.map_state.up_to_date("disir") == 1


def test_an_image_that_changes_is_not_mixed_with_the_old_one(tmp_path, network, compute):
    path = tif(tmp_path / "image.tif")
    session = Session(open_raster(path), network, compute=compute)
    tif(path, seed=1)
    finish(session.predict(), session.handle)
    with pytest.raises(RasterError, match=r"image\.tif has changed on the disk since"):
        session.check_complete()
    session.document.click(1, 1, 0)
    written = write_clicks(
        session.document.clicks,
        tmp_path / "a.geojson",
        raster=session.raster,
        classes=session.document.classes,
    )
    with open_raster(path) as raster:
        assert (
            read_clicks(written, raster=raster, classes=session.document.classes)
            == session.document.clicks
        )


def test_a_viewer_is_shown_zeros_and_told_once(tmp_path):
    path = tif(tmp_path / "image.tif", (1500, 1200))
    pyramid = ImagePyramid(open_raster(path))
    path.unlink()
    with pytest.raises(RasterError):
        pyramid.levels[0][:10, :10]
    said: list[str] = []
    pyramid.report = said.append
    for _ in range(3):
        assert (pyramid.levels[0][5:10, 3] == np.zeros((5, 3))).all()
    assert len(said) == 1
    assert "does not exist any more" in said[0]


# -------------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name", ["two words", "a.b.c..d", "…ünïcödé☃", "x" * 200, "a'b\"c", "%s {0} $HOME", "-o"]
)
def test_names_of_files_and_folders(name, tmp_path, network, compute):
    if os.name == "nt" and set(name) & set('"…%'):
        pytest.skip("Windows has no such names")
    folder = tmp_path / name
    folder.mkdir()
    path = tif(folder / f"{name}.tif")
    session = Session(open_raster(path), network, compute=compute)
    session.document.click(10, 10, 1)
    finish(session.refine(), session.handle)
    written = finish(
        write_geotiff(
            session.maps["disir"], folder / f"{name}_map.tif", raster=session.raster,
            classes=session.document.classes,
        )
    )  # fmt: skip
    with rasterio.open(written) as file:
        assert file.shape == (300, 260)
    clicks = folder / f"{name}.geojson"
    write_clicks(
        session.document.clicks, clicks, raster=session.raster, classes=session.document.classes
    )
    assert (
        read_clicks(clicks, raster=session.raster, classes=session.document.classes)
        == session.document.clicks
    )
    weights = save_network(network, folder / f"{name}.safetensors")
    assert load_network(weights).card == network.card
    assert not [p for p in folder.iterdir() if ".part" in p.name]


def test_a_path_of_more_than_260_characters(tmp_path, network, compute):
    folder = tmp_path
    while len(str(folder)) < 600:
        folder /= "a folder with quite a long name, and ünïcode"
    try:
        folder.mkdir(parents=True)
        path = tif(folder / "image.tif")
    except (OSError, rasterio.errors.RasterioError):
        pytest.skip("this system takes no paths of this length")
    session = Session(open_raster(path), network, compute=compute)
    finish(session.predict(), session.handle)
    output = folder / "map.tif"
    canvas = session.maps["initial"]
    finish(write_geotiff(canvas, output, raster=session.raster, classes=session.document.classes))
    assert output.exists()


def test_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("ü" * 120 + ".json")
    with replacing(path) as temporary:
        temporary.write_text("1")
    assert path.read_text() == "1"
    refused = pytest.raises(ExportError, match="File name too long")
    with refused, replacing(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("1")
