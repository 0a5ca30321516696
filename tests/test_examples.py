"""The examples of README and docs run, and show every public name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

import napari_disca
from builders import PLACE, write_image

ROOT = Path(__file__).resolve().parents[1]


def examples(name: str) -> list[str]:
    """Blocks of Python in a text."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run(name: str) -> None:
    """Run all blocks of a text one after the other, as a script of another process."""
    blocks = examples(name)
    assert blocks, name
    Path("example.py").write_text("\n".join(blocks), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "example.py"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an image, to which relative names of files belong."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 200, 400)).astype(np.uint8)
    write_image(tmp_path / "image.tif", pixels, **PLACE)
    return tmp_path


@pytest.mark.parametrize("name", ["README.md", "docs/api.md"])
def test_they_run(name, folder):
    run(name)
    assert (folder / "map.tif").is_file()


def test_those_of_the_page_of_formats_run(folder):
    run("docs/formats.md")


def test_weights_of_others_are_put_into_a_network(folder):
    from napari_disca import Card, LandClass, build_network, load_network

    classes = (LandClass("a", "#d95f02"), LandClass("b", "#e6d3a3"))
    card = Card(name="theirs", architecture="linknet", options={"encoder": "resnet34"},
                classes=classes, mean=(0.4, 0.4, 0.4), std=(0.2, 0.2, 0.2))  # fmt: skip
    save_file(build_network(card).state_dict(), folder / "my-tensors.safetensors")
    run("docs/howto/own-network.md")
    assert load_network("my-network.safetensors").card.options == {"encoder": "resnet34"}


def test_every_public_name_has_one():
    shown = "\n".join(examples("README.md") + examples("docs/api.md"))
    public = {*napari_disca.__all__} - {"__version__"}
    assert {name for name in public if not re.search(rf"\b{name}\b", shown)} == set()
    assert all(hasattr(napari_disca, name) for name in napari_disca.__all__)
