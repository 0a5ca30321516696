"""An undeclared fill value is left out and named, and can be taken for data instead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from field_scene import Field
from napari_disca.cli.app import UsageError, run
from napari_disca.core.tiling import Window
from napari_disca.inference.reading import Reading
from napari_disca.raster import open_raster
from napari_disca.session.session import Session


def holed(field: Field, path: Path, fill: int) -> Path:
    pixels = np.moveaxis(field.image, -1, 0) if field.image.shape[-1] == 3 else field.image
    values = pixels.astype(np.int16) * 12
    values[:, :76] = fill
    with rasterio.open(
        path, "w", driver="GTiff", height=256, width=256, count=3, dtype="int16", crs="EPSG:32633",
        transform=rasterio.Affine(1, 0, 5e5, 0, -1, 5e6), photometric="rgb",
    ) as file:  # fmt: skip
        file.write(values)
    return path


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
