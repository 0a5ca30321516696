"""Large images: the parts of an area joined again."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "mosaics.py"


@pytest.fixture
def area(tmp_path):
    """Nine parts of a smooth image, and of its mask."""
    rows, cols = np.mgrid[:96, :120]
    image = np.stack([rows * 2, cols * 2, rows + cols], axis=-1).astype(np.uint8)
    mask = ((rows // 7 + cols // 11) % 5).astype(np.uint8)
    for folder, whole, suffix in (("images", image, "jpg"), ("masks", mask, "png")):
        (tmp_path / folder).mkdir()
        for part in range(9):
            top, left = part // 3 * 32, part % 3 * 40
            Image.fromarray(whole[top : top + 32, left : left + 40]).save(
                tmp_path / folder / f"tile3_part00{part + 1}.{suffix}"
            )
    return tmp_path, image, mask


def _run(data: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--data", str(data)]
    command += ["--area", "tile3", "-o", str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_parts_of_an_area_are_joined_in_row_order(area, tmp_path):
    data, image, mask = area
    done = _run(data, tmp_path / "large")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "120 x 96 pixels" in done.stdout
    got = tifffile.imread(tmp_path / "large" / "images" / "tile3.tif").astype(int)
    assert np.abs(got - image).mean() < 4  # JPEG
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "large" / "masks" / "tile3.tif"), mask)


def test_parts_that_do_not_fit_together_are_refused(area, tmp_path):
    data, _image, _mask = area
    for part in (2, 4, 6, 8):
        file = data / "images" / f"tile3_part00{part}.jpg"
        Image.fromarray(255 - np.asarray(Image.open(file)) // 4).save(file)
    done = _run(data, tmp_path / "large")
    assert done.returncode == 1
    assert "do not fit together" in done.stdout
    assert not (tmp_path / "large").exists()


def test_an_area_has_nine_parts():
    spec = importlib.util.spec_from_file_location("mosaics", SCRIPT)
    mosaics = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mosaics)
    with pytest.raises(ValueError, match="9 parts, not 2"):
        mosaics.joined([np.zeros((4, 4), np.uint8)] * 2)
