"""Whether the last of many clicks costs what the first one did, in time and in memory.

    python benchmarks/many_clicks.py [--clicks 2000] [--side 1536] [--window]

Clicks at random on a generated scene, one by one, each until its pixels are there, and takes one
back now and then. Compared are the last tenth of the clicks and the first, and the memory of the
process after both, all in one run, in CPU time because machines are busy. The time of a click is
that of the network on the tiles it touches plus all else; since the network would hide the rest,
both are told apart. With --window napari and the panel are there too (on Linux without a screen:
under xvfb-run).

What must grow is said too: more clicks in a tile are more cones to draw.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np

from napari_disca.core.events import finish
from napari_disca.inference import tiles
from napari_disca.networks import Network, load_network
from napari_disca.raster import open_raster
from napari_disca.scenes import Scene, write_scene
from napari_disca.session.session import Session

#: Mebibytes; clicks are some hundred bytes each, and undo may keep recent tiles.
_PAGES = 1 << 20


def resident() -> float:
    """Memory of this process, MiB."""
    import psutil

    return psutil.Process().memory_info().rss / _PAGES


def without_freed_blocks() -> float:
    """Memory of this process without the freed blocks that malloc keeps for the next tile, MiB."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no malloc_trim
            ctypes.CDLL(None).malloc_trim(0)
    return resident()


class Stopwatch:
    """Seconds within the network, and within the copies of it that are ready for prediction."""

    def __init__(self, network: Network) -> None:
        self.seconds = 0.0
        for name in ("features", "decode_window"):
            setattr(type(network), name, self._timed(getattr(type(network), name)))

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.process_time()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.process_time() - began

        return timed


def engine(path: Path, network: Network) -> tuple[Session, Callable[[], None]]:
    """A session, and what brings its maps up to date."""
    session = Session(open_raster(path), network)
    return session, lambda: finish(session.refine(), session.handle)


def window(path: Path, weights: str) -> tuple[Session, Callable[[], None]]:
    """The same with napari and the panel."""
    from qtpy.QtCore import QEventLoop
    from qtpy.QtWidgets import QApplication

    from napari_disca.gui.plugin.app import open_window

    viewer = open_window([path], weights=weights, block=False)
    (panel,) = [w for w in viewer.window.dock_widgets.values() if hasattr(w, "control")]
    panel.segment()

    def settle() -> None:
        while panel.control.busy:
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        QApplication.processEvents()

    settle()
    return panel.control.session, settle


def main() -> int:
    """Print ratios; 1 if the last clicks cost more than half as much again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=2000)
    parser.add_argument("--side", type=int, default=1536)
    parser.add_argument("--weights", default="landcover-5")
    parser.add_argument(
        "--tile", type=int, default=512, help="smaller tiles: a faster run, and more of all else"
    )
    parser.add_argument("--window", action="store_true")
    arguments = parser.parse_args()
    tiles.TILE_SIZE, tiles.TILE_HALO = arguments.tile, arguments.tile // 8
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="napari-disca-benchmark-") as folder:
        path = Path(folder) / "scene.tif"
        scene = Scene((arguments.side,) * 2, seed=3, ground_resolution=1.0)
        finish(write_scene(scene, path))
        if arguments.window:
            session, settle = window(path, arguments.weights)
        else:
            session, settle = engine(path, load_network(arguments.weights))
        settle()
        watch = Stopwatch(session.network)
        classes = len(session.document.classes)
        rows: list[tuple[float, float]] = []
        memory = []
        tenth = max(1, arguments.clicks // 10)
        for done in range(arguments.clicks):
            row, col = (int(v) for v in rng.integers(0, arguments.side, 2))
            before, began = watch.seconds, time.process_time()
            session.document.click(row, col, int(rng.integers(classes)))
            settle()
            network = watch.seconds - before
            rows.append((network, time.process_time() - began - network))
            if done % 10 == 9:  # as users do; not timed
                session.document.undo()
                settle()
                session.document.redo()
                settle()
            memory.append(resident())
            if (done + 1) % tenth == 0:
                shown = [statistics.median(r[k] for r in rows[-tenth:]) for k in (0, 1)]
                print(
                    f"{done + 1:6d} clicks: network {shown[0] * 1e3:.0f} ms, "
                    f"all else {shown[1] * 1e3:.1f} ms, {memory[-1]:.0f} MiB",
                    flush=True,
                )
    total = [a + b for a, b in rows]
    time_ratio = statistics.median(total[-tenth:]) / statistics.median(total[:tenth])
    rest = [b for _, b in rows]
    rest_ratio = statistics.median(rest[-tenth:]) / statistics.median(rest[:tenth])
    print(
        f"the last {tenth} of {arguments.clicks} clicks against the first {tenth}: time "
        f"{time_ratio:.2f}, without the network {rest_ratio:.2f}, memory "
        f"{memory[-1] / memory[tenth - 1]:.3f} (+{memory[-1] - memory[tenth - 1]:.0f} MiB); "
        f"{without_freed_blocks():.0f} MiB without freed blocks that malloc keeps"
    )
    return int(time_ratio > 1.5)


if __name__ == "__main__":
    sys.exit(main())
