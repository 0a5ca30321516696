"""Sentinel-2's offset since processing baseline 04.00, of which files do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from builders import make_card, write_image
from napari_disca.core.tiling import Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import Scaling, open_raster
from napari_disca.raster.report import reading_lines
from napari_disca.scenes import Scene

CARD = make_card(bands=("red", "green", "blue"))
WHOLE = Window(0, 0, 128, 128)


def reflectance(seed: int = 3) -> NDArray[np.float64]:
    """Red, green and blue of a scene with water and shadows."""
    image = np.moveaxis(Scene((128, 128), seed=seed, ground_resolution=1.0).image(), -1, 0)
    return (image / 255.0 - 0.12).clip(0.002, 1) * 0.35


def write(path: Path, values: NDArray[np.float64], names: tuple[str, ...] = ()) -> Path:
    return write_image(path, np.rint(values).astype(np.uint16), names=names)


def read(path: Path, **options: Any) -> tuple[NDArray[np.float32], str]:
    with open_raster(path) as raster:
        view = NetworkView(raster, CARD, **options)
        return view.read(WHOLE), view.scale.text


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("stack.tif", ("B04", "B03", "B02")),
        ("stack.tif", ("B04 (665 nm)", "B03 (560 nm)", "B02 (490 nm)")),
        ("stack.tif", ("B4", "B3", "B2", "B8A")),
        ("S2B_MSIL2A_20230602T103629_N0509_R008_T32TQM_20230602T141858.tif", ()),
        ("T32TQM_20230602T103629_B04_10m.tif", ()),
        ("Sentinel2_mosaic.tif", ()),
    ],
)
def test_it_is_taken_off_and_said(tmp_path: Path, name: str, names: tuple[str, ...]) -> None:
    true = reflectance()
    true = np.concatenate([true, true[:1]])[: max(3, len(names))]
    (tmp_path / "old").mkdir()
    before, _ = read(write(tmp_path / "old" / "stack.tif", true * 10_000, names))
    now, line = read(write(tmp_path / name, true * 10_000 + 1000, names))
    np.testing.assert_allclose(now, before, atol=2e-3)
    assert "minus 1000" in line
    assert "baseline 04.00" in line


def test_what_was_made_before_is_left_alone(tmp_path: Path) -> None:
    true = reflectance() * 10_000
    names = ("B04", "B03", "B02")
    desert = true + 2500
    old = "S2B_MSIL2A_20210602T103629_N0300_R008_T32TQM_20210602T141858.tif"
    for path in (
        write(tmp_path / "a.tif", true, names),
        write(tmp_path / "b.tif", desert, names),
        write(tmp_path / old, true + 1000),
        write(tmp_path / "c.tif", true + 1000, ("red", "green", "blue")),
        write(tmp_path / "landsat.tif", true + 1000, ("SR_B4", "SR_B3", "SR_B2")),
    ):
        assert "minus 1000" not in read(path)[1], path


def test_a_scaling_that_is_given_is_in_the_values_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", reflectance() * 10_000 + 1000, ("B04", "B03", "B02"))
    pixels, line = read(path, scaling=Scaling("range", 1000, 4000))
    np.testing.assert_allclose(pixels, (reflectance() / 0.3).clip(0, 1), atol=1e-3)
    assert line == "values from 1000 to 4000 (given)"


def test_where_nothing_tells_the_sensor_info_mentions_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", reflectance() * 10_000 + 1000)
    with open_raster(path) as raster:
        text = "\n".join(reading_lines(raster))
    assert "odd: values begin near 1000" in text
    assert "--scaling 1000:" in text
    for factor, offset in ((10_000, 0), (60_000, 20)):
        with open_raster(write(tmp_path / "b.tif", reflectance() * factor + offset)) as raster:
            assert "begin near" not in "\n".join(reading_lines(raster))
