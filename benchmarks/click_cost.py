"""What a click costs in a large image, against a small one and against the bare network.

    python benchmarks/click_cost.py [--sides 2048 8192] [--clicks 10]

Writes generated scenes to a temporary folder, draws their maps, and times DISIR's answer to
clicks. Both sizes and the bare forward pass run in turn in one process, so that the ratios hold on
a noisy machine; times are medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from napari_disca.threads import keep_cores_free

keep_cores_free()

import numpy as np
import torch

from napari_disca.events import finish
from napari_disca.networks import load_network
from napari_disca.predict import TileClicks
from napari_disca.raster import open_raster
from napari_disca.scenes import Scene, write_scene
from napari_disca.session import Session


def drawn_session(folder: Path, side: int) -> Session:
    """A session of a scene whose maps are drawn."""
    path = folder / f"{side}.tif"
    finish(write_scene(Scene((side, side), seed=3, ground_resolution=1.0), path))
    session = Session(open_raster(path), load_network("landcover-5"))
    began = time.perf_counter()
    finish(session.refine(), session.handle)
    print(f"{side}²: {len(session.tiling)} tiles drawn in {time.perf_counter() - began:.1f} s")
    return session


def answer(session: Session, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds from a click to its pixels, and of the bare network on the tiles it touches."""
    row, col = (int(v) for v in rng.integers(0, session.raster.shape[0], 2))
    click = session.click(row, col, int(rng.integers(5)))
    began = time.perf_counter()
    finish(session.refine(), session.handle)
    seconds = time.perf_counter() - began
    tiles = len(TileClicks.assign(session.clicks, session.inputs, session.tiling).by_tile)
    session.remove(click)
    finish(session.refine(), session.handle)
    height, width = session.tiling.read_shape
    image = torch.zeros(1, 3, height, width).to(memory_format=torch.channels_last)
    guidance = torch.zeros(1, 5, height, width).to(memory_format=torch.channels_last)
    began = time.perf_counter()
    with torch.inference_mode(), session.compute.autocast():
        for _ in range(tiles):
            session.network(image, guidance)
    return seconds, time.perf_counter() - began


def main() -> int:
    """Print a table of medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs=2, default=[2048, 8192])
    parser.add_argument("--clicks", type=int, default=10)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(prefix="napari-disca-benchmark-") as folder:
        sessions = [drawn_session(Path(folder), side) for side in arguments.sides]
        for session in sessions:
            answer(session, rng)  # warm up
        times: list[list[float]] = [[] for _ in sessions]
        bare: list[list[float]] = [[] for _ in sessions]
        for _ in range(arguments.clicks):
            for i, session in enumerate(sessions):
                seconds, network = answer(session, rng)
                times[i].append(seconds)
                bare[i].append(seconds / network)
    small, large = (statistics.median(t) for t in times)
    print(f"click to pixels: {small:.3f} s and {large:.3f} s, ratio {large / small:.2f}")
    print(
        f"against the bare network: {statistics.median(bare[0]):.2f} and "
        f"{statistics.median(bare[1]):.2f} times"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
