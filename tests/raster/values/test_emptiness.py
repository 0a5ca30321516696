"""A file in which nothing has data is refused in one line; one in which a little has is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rasterio.enums import ColorInterp

from builders import make_card, write_image
from napari_disca.cli import main
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


def write(path: Path, kind: str, size: tuple[int, int] = (60, 90), data: bool = False) -> Path:
    """Write an image without data, of one kind; with `data`, one pixel has some."""
    height, width = size
    alpha = kind == "alpha"
    pixels = np.full((3 + alpha, height, width), 90, dtype=np.float32 if kind == "nan" else "u1")
    mask = np.zeros((height, width), np.uint8)
    if kind == "nan":
        pixels[:] = np.nan
    if alpha:
        pixels[3] = 0
    if data:
        pixels[:, height - 7, 5] = 255 if alpha else 40
        mask[height - 7, 5] = 255
    nodata = {"nodata": 90} if kind == "nodata" else {}
    colours = (*RGB, ColorInterp.alpha)[: len(pixels)]
    inside = mask if kind == "mask" else None
    return write_image(path, pixels, colorinterp=colours, mask=inside, **nodata)


KINDS = ("nodata", "alpha", "mask", "nan")
CARD = make_card(bands=("red", "green", "blue"), mean=(0.4,) * 3, std=(0.25,) * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_refused_and_one_pixel_is_enough(tmp_path: Path, kind: str) -> None:
    with (
        open_raster(write(tmp_path / "a.tif", kind)) as raster,
        pytest.raises(RasterError, match=r"^a\.tif has no pixel with data in bands 1.*; ") as e,
    ):
        NetworkView(raster, CARD)
    assert "\n" not in str(e.value)
    if kind in ("nodata", "alpha"):
        assert {"nodata": "no-data value 90", "alpha": "alpha in band 4"}[kind] in str(e.value)
    large = (1100, 1300)  # the pixel lies beside all samples
    with open_raster(write(tmp_path / "b.tif", kind, large, data=True)) as raster:
        assert NetworkView(raster, CARD).image_valid(Window(1080, 0, 20, 1300)).sum() == 1


def test_nothing_in_one_band_that_is_read(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).normal(100, 9, (60, 90, 3)).astype(np.float32)
    pixels[..., 1] = np.nan
    with pytest.raises(RasterError, match="no pixel with data in bands 1, 2, 3"):
        NetworkView(open_raster(pixels), CARD)
    assert NetworkView(open_raster(pixels), CARD, bands=(1, 1, 3)).bands == (1, 1, 3)


def test_predict_refine_and_train_end_with_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = write(tmp_path / "empty.tif", "nodata")
    output = tmp_path / "map.tif"
    clicks = tmp_path / "clicks.csv"
    clicks.write_text("row,col,class_id\n3,4,1\n")
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    write(images / "empty.tif", "nodata")
    Image.fromarray(np.eye(90, dtype=np.uint8)[:60]).save(masks / "empty.png")
    common = ["--weights", "landcover-5", "--device", "cpu"]
    for words in (
        ["predict", str(image), "--output", str(output), *common],
        ["refine", str(image), "--clicks", str(clicks), "--output", str(output), *common],
        [
            *("train", "--images", str(images), "--masks", str(masks), "--classes", "other,roof"),
            *("--output", str(tmp_path / "new.safetensors")),
        ],
    ):
        assert main(words) == 2, words
        last = capsys.readouterr().err.strip().splitlines()[-1]
        assert "empty.tif has no pixel with data in bands 1, 2, 3 (no-data value 90); " in last
    assert not output.exists()


def test_a_session_is_refused(tmp_path: Path) -> None:
    with (
        open_raster(write(tmp_path / "a.tif", "alpha")) as raster,
        pytest.raises(RasterError, match="no pixel with data"),
    ):
        Session(raster, load_network("landcover-5"))
