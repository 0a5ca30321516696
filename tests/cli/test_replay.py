"""`replay`, and what `refine` writes down and holds to."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio

from napari_disca.annotations.areas import Area
from napari_disca.cli import main
from napari_disca.core.tiling import Window
from napari_disca.exports import write_locks
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.session.journal.journal_format import read_journal

EXACT = ("--precision", "float32", "--device", "cpu")


def labels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def areas_file(files, path: Path) -> Path:
    with open_raster(files.image) as raster:
        classes = load_network(files.weights).card.classes
        return write_locks(
            [Area.rectangle(Window(60, 60, 50, 70))], path, raster=raster, classes=classes
        )


@pytest.fixture(scope="module")
def recorded(files, tmp_path_factory):
    """Folder with a map that learned from clicks and held to an area, its journal and the cache."""
    folder = tmp_path_factory.mktemp("recorded")
    areas = areas_file(files, folder / "areas.geojson")
    command = (
        *("refine", files.image, "--clicks", files.clicks, "-o", str(folder / "map.tif")),
        *("--locks", str(areas), "--journal", str(folder / "north.jsonl")),
        *("--weights", files.weights, "--recipe", "held-out", "--passes", "2"),
        *("--adopt", "full", "--seed", "5", *EXACT),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        assert main(command) == 0
    return folder


@pytest.fixture
def refined(recorded, tmp_path):
    """A map and its journal, as if they had just been made; what was learned is cached."""
    shutil.copytree(recorded / "cache", os.environ["XDG_CACHE_HOME"])
    return tuple(
        Path(shutil.copy(recorded / name, tmp_path)) for name in ("map.tif", "north.jsonl")
    )


@pytest.mark.parametrize("options", [(), ("--learn-again",), EXACT])
def test_a_replay_is_the_map_pixel_for_pixel(run, files, tmp_path, refined, options):
    output, journal = refined
    again = tmp_path / "again.tif"
    result = run("replay", journal, files.image, "-o", again, *options)
    assert result.code == 0, result.err
    assert result.out == f"{again}\n"
    np.testing.assert_array_equal(labels_of(again), labels_of(output))
    with rasterio.open(again) as first, rasterio.open(output) as second:
        assert first.tags() == second.tags()
        assert first.crs == second.crs


def test_any_map_can_be_had(run, files, tmp_path, refined):
    _, journal = refined
    maps = {}
    for name in ("initial", "disir", "disca"):
        run("replay", journal, files.image, "-o", tmp_path / f"{name}.tif", "--map", name)
        maps[name] = labels_of(tmp_path / f"{name}.tif")
    run("predict", files.image, "-o", tmp_path / "p.tif", "--weights", files.weights, *EXACT)
    np.testing.assert_array_equal(maps["initial"], labels_of(tmp_path / "p.tif"))
    inside = np.s_[60:110, 60:130]
    np.testing.assert_array_equal(maps["disir"][inside], maps["disca"][inside])
    assert (maps["disir"] != maps["disca"]).any(), "it learned something elsewhere"


def test_the_journal_tells_what_was_done(refined, files):
    _, journal = refined
    record = read_journal(journal)
    assert [event["do"] for event in record.events] == ["clicks", "lock", "adapt", "export"]
    assert record.header.seed == record.events[2]["seed"] == 5
    assert record.header.network_file == files.weights
    assert record.events[2]["recipe"]["passes"] == 2


def test_another_image_is_refused_in_one_line(run, files, tmp_path, refined):
    _, journal = refined
    other = Path(files.images) / "south.tif"
    result = run("replay", journal, other, "-o", tmp_path / "m.tif")
    assert result.code == 2
    assert len(result.error_lines) == 1
    assert "written for another image, 'north.tif'" in result.err
    assert not (tmp_path / "m.tif").exists()


def test_a_network_that_moved_is_named(run, files, tmp_path, refined):
    output, journal = refined
    moved = shutil.copy(files.weights, tmp_path / "moved.safetensors")
    journal.write_text(journal.read_text().replace(files.weights, "/nowhere/small.safetensors"))
    result = run("replay", journal, files.image, "-o", tmp_path / "m.tif")
    assert result.code == 2
    assert "/nowhere/small.safetensors is neither a file nor" in result.err
    result = run("replay", journal, files.image, "-o", tmp_path / "m.tif", "--weights", moved)
    assert result.code == 0
    np.testing.assert_array_equal(labels_of(tmp_path / "m.tif"), labels_of(output))
    result = run("replay", journal, files.image, "-o", tmp_path / "m.tif", "--weights", "buildings")
    assert result.code == 2
    assert "was written with another network" in result.err


def test_a_journal_that_is_none_is_refused_in_one_line(run, files, tmp_path):
    for content in ("", "nonsense\n", json.dumps({"format": 1}) + "\n"):
        (tmp_path / "j.jsonl").write_text(content)
        result = run("replay", tmp_path / "j.jsonl", files.image, "-o", tmp_path / "m.tif")
        assert result.code == 2
        assert len(result.error_lines) == 1
    result = run("replay", tmp_path / "none.jsonl", files.image, "-o", tmp_path / "m.tif")
    assert (result.code, len(result.error_lines)) == (2, 1)


def test_of_a_damaged_journal_the_good_part_can_be_had(run, files, tmp_path, refined):
    _, journal = refined
    clicks, *others = journal.read_text().splitlines(keepends=True)[1:]
    header = journal.read_text().splitlines(keepends=True)[0]
    m = tmp_path / "m.tif"
    for damage in ("{nonsense\n", '{"do": "dance"}\n'):
        journal.write_text("".join((header, clicks, damage, *others)))
        result = run("replay", journal, files.image, "-o", m)
        assert (result.code, result.error_lines[-1].count("line 3 of north.jsonl")) == (2, 1)
        assert "add --before 3" in result.err
        assert not m.exists()
        result = run("replay", journal, files.image, "-o", m, "--before", "3")
        assert result.code == 0, result.err
        disir = ("refine", files.image, "--clicks", files.clicks, "--recipe", "disir")
        run(*disir, "-o", tmp_path / "d.tif", "--weights", files.weights, *EXACT)
        np.testing.assert_array_equal(labels_of(m), labels_of(tmp_path / "d.tif"))
        m.unlink()


@pytest.mark.parametrize("threads", [0, 100000])
def test_threads_that_no_machine_has_are_refused(run, files, tmp_path, refined, threads):
    _, journal = refined
    output = tmp_path / "o.tif"
    result = run("replay", journal, files.image, "-o", output, "--threads", threads)
    assert (result.code, len(result.error_lines)) == (2, 1)
    assert "--threads" in result.err
    assert not output.exists()


def test_a_journal_is_not_written_over(run, files, tmp_path, refined):
    _, journal = refined
    before = journal.read_bytes()
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "-o", tmp_path / "m.tif"),
        *("--journal", journal, "--weights", files.weights, "--recipe", "disir"),
    )
    assert result.code == 2
    assert "exists already" in result.err
    assert journal.read_bytes() == before


def test_a_damaged_image_gives_no_half_map(run, files, tmp_path):
    image = tmp_path / "half.tif"
    data = Path(files.image).read_bytes()
    image.write_bytes(data[: len(data) * 2 // 3])
    result = run("predict", image, "-o", tmp_path / "m.tif", "--weights", files.weights)
    assert result.code == 2
    assert len([line for line in result.error_lines if "half.tif" in line]) >= 1
    assert not (tmp_path / "m.tif").exists()
