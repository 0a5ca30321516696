"""Maps on a Dask cluster; what needs no cluster is told by `tests/cli/test_scheduler.py` too."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from builders import (
    PLACE,
    make_card,
    make_network,
    make_tiny_network,
    set_tiles,
    write_image,
)
from napari_disca.batch import cluster, cluster_tasks
from napari_disca.batch.cluster_tasks import MapTask, WorkerSettings, finish_map, predict_part
from napari_disca.batch.scheduler import scheduler_address
from napari_disca.batch.streaming import MapStream
from napari_disca.core.errors import DiscaError, ExportError, RasterError
from napari_disca.core.events import finish
from napari_disca.exports import read_made_with
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import fingerprint as network_fingerprint
from napari_disca.networks import load_network, save_network
from napari_disca.raster import fingerprint, open_raster


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    set_tiles(monkeypatch, 96, 16)
    monkeypatch.setattr("napari_disca.batch.read_ahead._RUN_TILES", 2)
    monkeypatch.setattr("napari_disca.batch.read_ahead._LEAST_PART", 3)
    yield
    cluster_tasks._loaded_stream.cache_clear()
    cluster_tasks._loaded_network.cache_clear()


@pytest.fixture
def plain(tmp_path, image, compute) -> tuple[MapStream, MapTask]:
    """A map's stream in this process, and what a worker is told of it."""
    path = write_image(tmp_path / "image.tif", image.transpose(2, 0, 1), **PLACE)
    weights = save_network(make_network(), tmp_path / "small.safetensors")
    network = load_network(weights)
    stream = MapStream(NetworkView(open_raster(path), network.card), network, compute)
    task = MapTask(
        str(path),
        str(tmp_path / "map.tif"),
        WorkerSettings(str(weights), "cpu", "float32"),
        stream.network_view.bands,
        1.0,
        stream.network_view.scale,
        fingerprint(stream.network_view.raster),
        network_fingerprint(network),
        stream.made_with,
    )
    return stream, task


def drawn(task: MapTask, parts) -> None:
    task.folder.mkdir(exist_ok=True)
    for part in parts:
        predict_part(task, part)


def test_the_parts_make_the_very_file_of_predict(plain, tmp_path):
    stream, task = plain
    assert len(stream.parts) > 1
    assert len(stream.parts[0]) > 1, "a part has several rows of tiles"
    drawn(task, range(len(stream.parts)))
    assert finish_map(task) == ()
    expected = finish(stream.write(tmp_path / "expected.tif"))
    assert Path(task.output).read_bytes() == expected.read_bytes()
    assert read_made_with(task.output) == stream.made_with
    assert not task.folder.exists()


def test_parts_that_lack_or_are_damaged_are_told_and_nothing_is_written(plain):
    stream, task = plain
    last = len(stream.parts) - 1
    drawn(task, range(last))
    assert finish_map(task) == (last,)
    drawn(task, [last])
    part = task.part(1)
    part.write_bytes(part.read_bytes()[:-30])
    assert finish_map(task) == (1,)
    np.savez_compressed(part, labels=np.zeros((1, 1), np.uint8))
    assert finish_map(task) == (1,)
    assert not part.exists()
    assert not Path(task.output).exists()
    drawn(task, [1])
    assert finish_map(task) == ()


def test_a_worker_refuses_what_is_not_the_users(plain, tmp_path):
    _, task = plain
    with pytest.raises(ExportError, match="does not see"):
        predict_part(task, 0)
    task.folder.mkdir()
    with pytest.raises(RasterError, match="storage that all machines share"):
        predict_part(replace(task, image=str(tmp_path / "none.tif")), 0)
    with pytest.raises(RasterError, match="another image"):
        predict_part(replace(task, raster="0"), 0)
    with pytest.raises(DiscaError, match="another network"):
        predict_part(replace(task, network="0"), 0)
    with pytest.raises(DiscaError, match="install the same"):
        predict_part(replace(task, version="0.0.1"), 0)
    assert list(task.folder.iterdir()) == []


def test_parts_of_other_settings_are_removed(plain):
    _, task = plain
    drawn(task, [0, 1])
    other = task.folder / "0123-000000.npz"
    other.write_bytes(b"of another network")
    assert cluster._existing_parts(task) == {task.part(part).name for part in (0, 1)}
    assert not other.exists()


def test_dask_is_imported_only_when_it_is_asked_for():
    script = (
        "import sys, napari_disca.batch.cluster, napari_disca.cli.predict;"
        "import napari_disca.batch.streaming;"
        "print(*sorted({'distributed', 'dask'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert result.stdout == "\n"


def test_the_scheduler_is_found_by_its_file(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text('{"type": "Scheduler", "address": "tcp://10.0.0.1:8786"}')
    assert scheduler_address(str(file)) == "tcp://10.0.0.1:8786"
    assert scheduler_address("tcp://10.0.0.2:8786") == "tcp://10.0.0.2:8786"
    file.write_text("{}")
    with pytest.raises(DiscaError, match="not a file of a Dask scheduler"):
        scheduler_address(str(file))


def test_a_map_of_another_card_is_another_map(plain, compute):
    stream, _ = plain
    other = make_network(make_card(name="other"))
    assert MapStream(stream.network_view, other, compute).made_with != stream.made_with


@pytest.mark.parametrize(
    ("shape", "most"),
    [((1000, 1000), 1.8), ((1000, 50), 1.9), ((50, 1000), 2.4), ((400, 400), 2.6)],
)
def test_a_worker_gives_the_network_full_batches(compute, monkeypatch, shape, most):
    """A pass of one tile costs a GPU as much as a full one; at borders tiles have other forms."""
    set_tiles(monkeypatch, 48, 8)
    monkeypatch.setattr("napari_disca.batch.read_ahead._RUN_TILES", 8)
    monkeypatch.setattr("napari_disca.batch.read_ahead._LEAST_PART", 16)
    batch, passes, network = 8, [], make_tiny_network()
    pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3)).astype(np.uint8)
    network_view = NetworkView(open_raster(pixels), network.card, factor=1.0)
    stream = MapStream(network_view, network, replace(compute, batch=batch))

    def spy(self, asked, box, clicked, fallback):
        passes.append(len(asked))
        return [(np.zeros(one.window.shape, np.uint8), None) for one, _ in asked]

    monkeypatch.setattr(Predictor, "_predicted", spy)
    for part in stream.parts:
        list(stream.patches(part))
    tiles = sum(passes)
    assert tiles == len(tiling_for(network_view))
    assert max(passes) <= batch
    assert batch * len(passes) / tiles <= most


def test_a_map_is_divided_for_several_workers_and_no_tile_is_left_out(compute, monkeypatch):
    set_tiles(monkeypatch, 48, 8)
    for name, value in (("_RUN_TILES", 8), ("_LEAST_PART", 16), ("_PART_TILES", 64)):
        monkeypatch.setattr(f"napari_disca.batch.read_ahead.{name}", value)
    for shape, least in (((40, 40), 1), ((330, 330), 4), ((700, 900), 8), ((2000, 1500), 20)):
        raster = open_raster(np.ones((*shape, 3), np.uint8))
        network_view = NetworkView(raster, make_card(), factor=1.0, find_fill=False)
        stream = MapStream(network_view, make_network(), compute)
        found = [tile.index for part in stream.parts for run in part for tile in run]
        assert found == list(range(len(tiling_for(network_view))))
        assert len(stream.parts) >= least
        assert max(sum(map(len, part)) for part in stream.parts) < 64 + 8


def test_it_is_told_each_time_that_all_workers_have_gone(monkeypatch):
    """Tasks wait for the next worker; nobody would know why nothing happens."""
    workers = iter([1, 0, 0, 1, 0])  # the first is asked for at the start

    class Client:
        loop = None

        def nthreads(self):
            return {"tcp://one": 1} if next(workers) else {}

    class Completed:
        def __init__(self, loop):
            self.looks = 0

        def has_ready(self):
            self.looks += 1
            return self.looks > 4

    monkeypatch.setattr(cluster, "_POLL", 0.0)
    monkeypatch.setattr(cluster, "_WORKERS_INTERVAL", 0.0)
    settings = WorkerSettings("small.safetensors", "cpu", "float32")
    distributed = SimpleNamespace(as_completed=Completed)
    work = cluster._Work(distributed, Client(), make_network(), open_raster, settings, "float32")
    assert list(work._wait()) == [cluster.Waiting(), cluster.Waiting()]
