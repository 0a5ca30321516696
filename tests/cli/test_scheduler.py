"""`predict --scheduler`: maps of many images on a Dask cluster."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import PLACE, write_image
from napari_disca.batch import cluster, cluster_tasks

EXACT = ("--precision", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a cluster of two processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        silence_logs=logging.CRITICAL,
    ) as local:
        yield local.scheduler_address


def labels_of(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def maps_in(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: labels_of(path) for path in sorted(folder.glob("*.tif"))}


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Path:
    """An image of five by five tiles, in two parts."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 255, (3, 60, 60)).astype(np.uint8)
    pixels = np.kron(coarse, np.ones((1, 32, 32), np.uint8))
    return write_image(tmp_path_factory.mktemp("large") / "large.tif", pixels, **PLACE)


@pytest.mark.slow
def test_the_maps_are_those_of_predict(run, files, large, tmp_path, scheduler):
    images = [*sorted(Path(files.images).glob("*.tif")), large]
    options = ("--weights", files.weights, *EXACT)
    here, on_cluster = tmp_path / "here", tmp_path / "there"
    assert run("predict", *images, "-o", f"{here}/", *options).code == 0
    result = run("predict", *images, "-o", f"{on_cluster}/", *options, "--scheduler", scheduler)
    assert result.code == 0, result.err
    assert sorted(result.out.split()) == sorted(str(p) for p in on_cluster.glob("*.tif"))
    assert {p.name for p in on_cluster.iterdir()} == {p.name for p in here.iterdir()}
    expected, found = maps_in(here), maps_in(on_cluster)
    assert expected.keys() == found.keys()
    for name, labels in expected.items():
        np.testing.assert_array_equal(found[name], labels)
        assert (here / name).read_bytes() == (on_cluster / name).read_bytes()


@pytest.mark.slow
def test_a_complete_map_is_not_made_again(run, files, tmp_path, scheduler):
    output = tmp_path / "map.tif"
    options = ("-o", output, "--weights", files.weights, *EXACT)
    command = ("predict", files.image, *options, "--scheduler", scheduler)
    # A map made without a scheduler counts too.
    assert run("predict", files.image, *options).code == 0
    before = output.stat().st_mtime_ns
    result = run(*command)
    assert (result.code, result.out) == (0, f"{output}\n")
    assert "was made before" in result.err
    assert output.stat().st_mtime_ns == before
    assert not output.with_name("map.tif.parts").exists()
    # Another setting is another map.
    result = run(*command, "--bands", "3,2,1")
    assert result.code == 0
    assert "was made before" not in result.err
    assert output.stat().st_mtime_ns != before


@pytest.mark.slow
def test_it_goes_on_from_the_parts_that_are_there(
    run, files, large, tmp_path, scheduler, monkeypatch
):
    output = tmp_path / "map.tif"
    command = ("predict", large, "-o", output, "--weights", files.weights, *EXACT)
    command = (*command, "--scheduler", scheduler)
    parts = []
    submit = cluster._Work._submit

    def without_the_end(self, item, piece):
        if piece is None:
            parts.extend(item.task.folder.iterdir())
            raise KeyboardInterrupt
        submit(self, item, piece)

    monkeypatch.setattr(cluster._Work, "_submit", without_the_end)
    result = run(*command)
    assert result.code == 130
    assert len(parts) == 2
    assert all(part.exists() for part in parts)
    assert not output.exists()
    sorted(parts)[0].unlink()
    submitted = []
    monkeypatch.setattr(
        cluster._Work,
        "_submit",
        lambda self, item, piece: (submitted.append(piece), submit(self, item, piece)),
    )
    assert run(*command).code == 0
    assert submitted == [0, None]
    assert output.exists()
    assert not output.with_name("map.tif.parts").exists()


@pytest.mark.slow
def test_a_failing_image_does_not_stop_the_others(run, files, tmp_path, scheduler):
    cut = tmp_path / "cut.tif"
    cut.write_bytes(Path(files.image).read_bytes()[:-20000])
    missing, output = tmp_path / "none.tif", tmp_path / "maps"
    result = run(
        *("predict", cut, missing, files.image, "-o", output),
        *("--weights", files.weights, *EXACT, "--scheduler", scheduler),
    )
    assert result.code == 2
    assert result.out == f"{output / 'north_labels.tif'}\n"
    assert [line.split(":")[1].strip() for line in result.error_lines[-2:]] == [
        "cut.tif",
        "none.tif",
    ]
    assert [path.name for path in output.glob("*[!l]")] == ["north_labels.tif"]


def flaky(marks, times):
    """A task that fails some times before the tiles are computed.

    It is a function in a function, which Dask sends by value: workers cannot import this file.
    """

    def task_of(task, part):
        if part == 0 and len(list(Path(marks).iterdir())) < times:
            (Path(marks) / os.urandom(4).hex()).touch()
            raise OSError("the storage went away")
        return cluster_tasks.predict_part(task, part)

    return task_of


@pytest.mark.slow
@pytest.mark.parametrize(("times", "code"), [(2, 0), (99, 2)])
def test_failed_tiles_are_tried_again(
    run, files, large, tmp_path, scheduler, monkeypatch, times, code
):
    distributed = pytest.importorskip("distributed")
    marks, output = tmp_path / "marks", tmp_path / "map.tif"
    marks.mkdir()

    class Flaky(distributed.Client):
        def submit(self, function, *arguments, **options):
            if function is cluster_tasks.predict_part:
                return super().submit(flaky(str(marks), times), *arguments, **options)
            return super().submit(function, *arguments, **options)

    monkeypatch.setattr(distributed, "Client", Flaky)
    result = run(
        *("predict", large, "-o", output, "--weights", files.weights, *EXACT),
        *("--scheduler", scheduler),
    )
    assert result.code == code, result.err
    assert output.exists() == (code == 0)
    assert len(list(marks.iterdir())) == min(times, 1 + cluster.RETRIES)
    if code:
        assert result.error_lines[-1] == "napari-disca: large.tif: the storage went away"


def test_workers_without_the_package_are_told_at_once(run, files, tmp_path, monkeypatch):
    """A worker that cannot import a task never answers."""
    distributed = pytest.importorskip("distributed")

    def lacks(self, function, *arguments, **options):
        raise ModuleNotFoundError("No module named 'napari_disca'", name="napari_disca")

    monkeypatch.setattr(distributed.Client, "run", lacks)
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL
    ) as local:
        result = run(
            *("predict", files.image, "-o", tmp_path / "o.tif", "--weights", files.weights, *EXACT),
            *("--scheduler", local.scheduler_address),
        )
    assert (result.code, result.out) == (2, "")
    assert len(result.error_lines) == 1, result.err
    assert "a worker cannot import napari_disca; install the same version" in result.err


def test_nobody_answers(run, files, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    predict_images = cluster.predict_images
    monkeypatch.setattr(
        cluster, "predict_images", lambda *a, **k: predict_images(*a, timeout=0.5, **k)
    )
    for address in ("tcp://127.0.0.1:9", "nonsense", "foo://x:1"):
        result = run(
            *("predict", files.image, "-o", tmp_path / "maps" / "o.tif"),
            *("--weights", files.weights, "--scheduler", address),
        )
        assert (result.code, result.out) == (2, "")
        assert len(result.error_lines) == 1, result.err
        assert f"no Dask scheduler answers at {address}" in result.err
    assert not (tmp_path / "maps").exists()


def test_the_extra_is_missing(run, files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = run(
        *("predict", files.image, "-o", tmp_path / "o.tif"),
        *("--weights", files.weights, "--scheduler", "tcp://127.0.0.1:8786"),
    )
    assert (result.code, result.out) == (2, "")
    assert len(result.error_lines) == 1
    assert 'pip install "napari-disca[distributed]"' in result.err


def test_a_file_that_is_no_schedulers(run, files, tmp_path):
    pytest.importorskip("distributed")
    wrong = tmp_path / "scheduler.json"
    wrong.write_text(json.dumps({"id": 1}))
    result = run(
        *("predict", files.image, "-o", tmp_path / "o.tif"),
        *("--weights", files.weights, "--scheduler", wrong),
    )
    assert result.code == 2
    assert len(result.error_lines) == 1
    assert "scheduler.json is not a file of a Dask scheduler" in result.err


def test_the_help_names_them(run):
    text = run("predict", "--help").out
    assert "--scheduler ADDRESS" in text
    assert "--workers N" in text
    assert "--workers N" in run("refine", "--help").out
    assert "--scheduler" not in run("refine", "--help").out
