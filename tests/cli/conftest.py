"""A small image, its mask, clicks and a small network on disk; and `run`, the command line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from builders import make_card, make_network
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.cli import main
from napari_disca.core.events import finish
from napari_disca.exports import write_clicks
from napari_disca.networks import LandClass, save_network
from napari_disca.raster import open_raster
from napari_disca.scenes import LAND_COVER, Scene, write_scene


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.splitlines()


@dataclass(frozen=True)
class Files:
    """Paths as text, as a shell would give them."""

    images: str
    masks: str
    image: str
    clicks: str
    weights: str


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("cli")
    for name, seed in (("north", 3), ("south", 4)):
        scene = Scene((150, 200), seed=seed, ground_resolution=0.5)
        finish(
            write_scene(
                scene, folder / "images" / f"{name}.tif", folder / "masks" / f"{name}.tif", block=64
            )
        )
    classes = tuple(LandClass(c.name, c.color) for c in LAND_COVER)
    weights = save_network(make_network(make_card(classes=classes)), folder / "small.safetensors")
    image = folder / "images" / "north.tif"
    with open_raster(image) as raster:
        clicks = write_clicks(
            Clicks((Click(0, 0, 4), Click(70, 90, 2))),
            folder / "clicks.geojson",
            raster=raster,
            classes=classes,
        )
    return Files(
        *map(str, (folder / "images", folder / "masks", image, clicks, weights)),
    )


@pytest.fixture(autouse=True)
def settings_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered must be neither the user's nor another test's."""
    monkeypatch.setattr(
        "napari_disca.session.preferences._file", lambda: tmp_path / "state" / "f.json"
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command line in this process; file descriptors, because GDAL writes to them too."""

    def call(*arguments: object) -> Result:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    return call


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux without a screen."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
