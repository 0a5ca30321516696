"""`--classes`: names, colours and merged classes of a map that is written without a window."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from napari_disca.exports import read_map_classes
from napari_disca.networks import load_network

EXACT = ("--precision", "float32", "--device", "cpu")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "classes.csv"
    path.write_text("id,name,color,group\n0,houses,#010203,\n1,wood,#00ff00,green\n2,,,green\n")
    return path


def labels_of(path):
    with rasterio.open(path) as file:
        return file.read(1)


def check(plain, changed, network):
    ids = np.arange(256)
    ids[2] = 1
    assert (labels_of(plain) == 2).any()
    np.testing.assert_array_equal(labels_of(changed), ids[labels_of(plain)])
    legend = read_map_classes(changed)
    assert [land.name for land in legend[:3]] == ["houses", "green", "green"]
    assert [land.color for land in legend[:2]] == ["#010203", "#00ff00"]
    assert legend[3:] == network.card.classes[3:]


def test_predict_takes_a_table_of_classes(run, files, tmp_path, table):
    plain, changed = tmp_path / "plain.tif", tmp_path / "changed.tif"
    command = ("predict", files.image, "--weights", files.weights, *EXACT, "-o")
    assert run(*command, plain).code == 0
    assert run(*command, changed, "--classes", table).code == 0
    check(plain, changed, load_network(files.weights))


def test_replay_takes_one_too(run, files, tmp_path, table):
    plain, changed, journal = (tmp_path / name for name in ("p.tif", "c.tif", "j.jsonl"))
    result = run(
        *("refine", files.image, "--clicks", files.clicks, "-o", plain, "--journal", journal),
        *("--recipe", "disir", "--weights", files.weights, *EXACT),
    )
    assert result.code == 0
    result = run("replay", journal, files.image, "-o", changed, "--classes", table)
    assert result.code == 0, result.err
    check(plain, changed, load_network(files.weights))


def test_a_table_that_does_not_fit_is_told_in_one_line(run, files, tmp_path):
    table = tmp_path / "x.csv"
    table.write_text("id,name\n77,ice\n")
    output = tmp_path / "map.tif"
    command = ("predict", files.image, "--weights", files.weights, "-o", output)
    result = run(*command, "--classes", table)
    assert (result.code, output.exists()) == (2, False)
    assert result.err.splitlines()[-1].startswith(
        "napari-disca: x.csv: it has none of the network's classes"
    )
    result = run(*command, "--classes", table, "--scheduler", "x")
    assert result.code == 2
    assert "--classes cannot be used with --scheduler" in result.err
