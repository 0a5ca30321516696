"""An undeclared fill value is left out and named, and can be taken for data instead."""

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
from napari_disca.inference.reading import Reading
from napari_disca.networks import ARCHITECTURES
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
        kept = Reading(find_fill=False).view(raster, field.network.card)
        assert not left_out.image_valid(whole)[:76].any()
        assert f"{fill} on 30 % of the pixels taken for no data" in left_out.describe()
        assert kept.image_valid(whole).all()
        assert f"{fill} on 30 % of the pixels taken for data, as was chosen" in kept.describe()


def test_the_command_line_keeps_it(tmp_path: Path, field: Field, capsys) -> None:
    path = holed(field, tmp_path / "a.tif", -9999)
    for how, empty in (("auto", True), ("keep", False)):
        out = tmp_path / f"{how}.tif"
        assert run(["predict", str(path), "-o", str(out), "--fill", how, "--threads", "1"]) == 0
        with rasterio.open(out) as file:
            known = file.dataset_mask()[:76] > 0
        assert known.any() != empty
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
        told = json.loads(json.dumps(header_of(session, "").to_json()))["scaling"]
        assert told["find_fill"] is False
        assert told["fill"] == [None, None, None]
        assert told["wanted"] == "auto"
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
