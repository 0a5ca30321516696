"""What the benchmarks share: large images that are made quickly, and a line about the machine."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window as RasterioWindow

from napari_disca.networks import Network, prepared
from napari_disca.scenes import Scene
from napari_disca.session.session import MAPS, Session

#: Side of the generated scene that larger images repeat.
_SCENE = 2048


def parser(description: str) -> argparse.ArgumentParser:
    """Flags that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--folder", type=Path, help="where images are made and kept (a temporary folder)"
    )
    made.add_argument("--network", default="landcover-5", metavar="NAME_OR_FILE")
    return made


@contextmanager
def folder_of(arguments: argparse.Namespace) -> Iterator[Path]:
    """Folder for images: the one given, or one that is removed at the end."""
    if arguments.folder is not None:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        yield arguments.folder
    else:
        with tempfile.TemporaryDirectory(prefix="napari-disca-benchmark-") as name:
            yield Path(name)


def image(folder: Path, side: int, **options: Any) -> Path:
    """GeoTIFF of `side` x `side` pixels without overviews: a generated scene, repeated.

    To generate 20 000 x 20 000 pixels would take longer than most benchmarks. What is measured
    does not depend on what is in the picture.

    Parameters
    ----------
    options
        Of GDAL's GeoTIFF driver; tiles of 512 pixels with deflate by default.
    """
    form = "-".join(f"{k}{v}" for k, v in sorted(options.items())).replace("/", "")
    path = folder / f"scene-{side}{'-' + form if form else ''}.tif"
    if path.exists():
        return path
    pattern = folder / "scene.npy"
    if not pattern.exists():
        np.save(pattern, Scene((_SCENE, _SCENE), seed=3, ground_resolution=1.0).image())
    scene = np.load(pattern).transpose(2, 0, 1)
    strip = np.tile(scene, (1, 1, -(-side // _SCENE)))[:, :, :side]
    profile: dict[str, Any] = {
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "compress": "deflate",
        "zlevel": 1,
        "interleave": "pixel",
        "bigtiff": "if_safer",
    }
    part = path.with_suffix(".part")
    with rasterio.open(
        part,
        "w",
        driver="GTiff",
        width=side,
        height=side,
        count=3,
        dtype="uint8",
        crs="EPSG:32631",
        transform=rasterio.Affine(1, 0, 500_000, 0, -1, 5_000_000),
        **(options or profile),
    ) as file:
        for top in range(0, side, _SCENE):
            rows = min(_SCENE, side - top)
            file.write(strip[:, :rows], window=RasterioWindow(0, top, side, rows))
    part.rename(path)
    return path


def mark_as_drawn(session: Session) -> None:
    """Let a session believe that all its maps are computed, where the computing is not measured."""
    for name in MAPS:
        for tile in range(len(session.tiling)):
            session._maps.versions.put(name, tile, session.weights)


def machine(session: Session | None = None, *, load: bool = True) -> str:
    """Line for the table: processor, device and precision, load, date."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    facts = [f"{os.cpu_count()} cores of {name}"]
    if session is not None:
        facts.append(str(session.compute))
    if load and hasattr(os, "getloadavg"):
        facts.append(f"load {os.getloadavg()[0]:.1f}")
    return ", ".join([*facts, str(datetime.date.today())])


def wait(seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
    """Let Qt's event loop run; whether what was waited for happened."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()
        if until():
            return True
        time.sleep(0.001)
    return False


def open_panel(path: Path, **options: Any) -> tuple[Any, Any]:
    """Window of napari with an image, and its panel; options as of `open_window`."""
    from qtpy.QtWidgets import QApplication

    from napari_disca.gui.plugin.app import open_window
    from napari_disca.gui.window.widget import DiscaWidget

    viewer = open_window([path], block=False, **options)
    viewer.window._qt_window.resize(1400, 900)
    panel = next(w for w in QApplication.allWidgets() if isinstance(w, DiscaWidget))
    wait(3)
    return viewer, panel


def bare_network(session: Session) -> Network:
    """The network as a session has it ready, with nothing around it."""
    compute = session.compute
    return prepared(session.network, compute.device, compute.dtype, folded=compute.folded)
