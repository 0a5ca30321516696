"""Flags that commands share: how images are read, and the table of classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from builders import Tiny, write_image
from field_scene import Field
from napari_disca.cli.app import UsageError, run
from napari_disca.core.errors import DataError
from napari_disca.core.tiling import Window
from napari_disca.exports import read_map_classes
from napari_disca.inference.reading import Reading
from napari_disca.networks import ARCHITECTURES, load_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session
from napari_disca.training.checkpoint import checkpoint_path


def holed(field: Field, path: Path, fill: int) -> Path:
    pixels = np.moveaxis(field.image, -1, 0) if field.image.shape[-1] == 3 else field.image
    values = pixels.astype(np.int16) * 12
    values[:, :76] = fill
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(1, 0, 5e5, 0, -1, 5e6)}
    return write_image(path, values, **place, photometric="rgb")


@pytest.mark.parametrize("fill", [-9999, -32768, 0])
def test_it_is_named_and_can_be_kept(tmp_path: Path, field: Field, fill: int) -> None:
    path = holed(field, tmp_path / "a.tif", fill)
    with open_raster(path) as raster:
        whole = Window.whole(raster.shape)
        left_out = Reading().view(raster, field.network.card)
        view = Reading(find_fill=False).view(raster, field.network.card)
        assert not left_out.image_valid(whole)[:76].any()
        assert f"{fill} on 30 % of the pixels taken for no data" in left_out.describe()
        assert view.image_valid(whole).all()
        assert f"{fill} on 30 % of the pixels taken for data, as was chosen" in view.describe()


def test_the_command_line_keeps_it(tmp_path: Path, field: Field, capsys) -> None:
    path = holed(field, tmp_path / "a.tif", -9999)
    for how, empty in (("auto", True), ("keep", False)):
        out = tmp_path / f"{how}.tif"
        assert run(["predict", str(path), "-o", str(out), "--fill", how, "--threads", "1"]) == 0
        with rasterio.open(out) as file:
            valid = file.dataset_mask()[:76] > 0
        assert valid.any() != empty
        said = capsys.readouterr()
        assert ("taken for no data" in said.out + said.err) == empty
        assert ("taken for data, as was chosen" in said.out + said.err) != empty


def test_the_command_line_is_told_values(tmp_path: Path, field: Field, capsys) -> None:
    path = holed(field, tmp_path / "a.tif", -9999)
    out = tmp_path / "b.tif"
    flags = ["--fill", "-9999,31000", "--threads", "1"]
    assert run(["predict", str(path), "-o", str(out), *flags]) == 0
    with rasterio.open(out) as file:
        assert not (file.dataset_mask()[:76] > 0).any()
    said = capsys.readouterr()
    assert "-9999 and 31000 on 30 % of the pixels taken for no data" in said.out + said.err
    with pytest.raises(UsageError, match="'black' are not like 'auto', 'keep' or '0,255'"):
        run(["predict", str(path), "-o", str(out), "--fill", "black"])


def test_the_journal_says_which(tmp_path: Path, field: Field, compute) -> None:
    from napari_disca.session.restore import header_of

    with open_raster(holed(field, tmp_path / "a.tif", -9999)) as raster:
        session = Session(raster, field.network, find_fill=False, compute=compute)
        scaling = json.loads(json.dumps(header_of(session, "").to_json()))["scaling"]
        assert scaling["find_fill"] is False
        assert scaling["fill"] == [None, None, None]
        assert scaling["wanted"] == "auto"
        session.close()


@pytest.fixture
def folders(tmp_path: Path, field: Field) -> list[str]:
    """Flags that name two images with a stripe of -9999, and their masks."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        holed(field, tmp_path / "images" / f"{name}.tif", -9999)
        write_image(tmp_path / "masks" / f"{name}.tif", field.truth)
    return ["--images", str(tmp_path / "images"), "--masks", str(tmp_path / "masks")]


def test_training_is_told_how_images_are_read(
    tmp_path: Path, folders: list[str], capsys, monkeypatch
) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", Tiny)
    out = tmp_path / "net.safetensors"
    classes = "building,land,road,vegetation,water"
    command = [
        *("train", *folders, "-o", str(out), "--classes", classes, "--steps", "2", "--batch", "1"),
        *("--size", "64", "--threads", "1", "--no-bfloat16", "--save-every", "1"),
        *("--architecture", "tiny"),
    ]
    assert run(command) == 0
    said = capsys.readouterr().err
    assert "in 2: -9999 taken for no data" in said
    assert "not known 29.7 %" in said
    # Stopped after its first step, it goes on with the same choice only.
    checkpoint = checkpoint_path(out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        assert run([*command, "--fill", "keep"]) == 0
    assert "not known 29.7 %" not in capsys.readouterr().err
    assert checkpoint.exists()
    with pytest.raises(DataError, match='--fill was "keep", now "auto"'):
        run(command)
    with pytest.raises(DataError, match='--scaling was "auto", now "0:3000"'):
        run([*command, "--fill", "keep", "--scaling", "0:3000"])


def test_evaluation_is_told_how_images_are_read(folders: list[str], capsys) -> None:
    command = ["evaluate", *folders, "--clicks", "1", "--recipe", "disir", "--threads", "1"]
    assert run([*command, "--only", "a"]) == 0
    assert "-9999 taken for no data" in capsys.readouterr().err
    assert run([*command, "--only", "a", "--fill", "keep", "--scaling", "0:2550"]) == 0
    assert "taken for no data" not in capsys.readouterr().err


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
