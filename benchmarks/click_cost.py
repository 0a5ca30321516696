"""What a click costs in a large image, against a small one and against the bare network.

    python benchmarks/click_cost.py [--sides 2048 8192 20000] [--clicks 15]

Clicks at random, but so that each touches one tile, are answered in turns in images of several
sizes: from `Document.click` until all maps are painted. After each, the bare network runs on as
many tiles of zeros. So all ratios are taken in one process and hold on a noisy machine; times are
medians. The maps' first drawing is not part of it and is left out.
"""

from __future__ import annotations

import statistics
import sys
import time

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch
from common import bare_network, folder_of, image, machine, mark_as_drawn, parser

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.networks import Network, load_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session


def touched(session: Session, click: Click) -> int:
    """Number of tiles that a click reaches into."""
    return len(TileClicks.assign(Clicks((click,)), session.network_view, session.tiling).by_tile)


def answer(session: Session, rng: np.random.Generator) -> float:
    """Seconds from a click to its pixels."""
    height, width = session.raster.shape
    while True:
        click = Click(int(rng.integers(height)), int(rng.integers(width)), int(rng.integers(5)))
        if touched(session, click) == 1:
            break
    began = time.perf_counter()
    click = session.document.click(click.row, click.col, click.label)
    finish(session.refine(), session.handle)
    seconds = time.perf_counter() - began
    session.document.remove(click)
    finish(session.refine(), session.handle)
    return seconds


def bare(session: Session, network: Network) -> float:
    """Seconds of the network alone on a tile with clicks."""
    height, width = session.tiling.read_shape
    device = session.compute.device
    batch = session.compute.batch
    keep = Window(64, 64, height - 128, width - 128)
    pixels = torch.zeros(batch, 3, height, width, device=device)
    clicks = torch.zeros(batch, len(session.document.classes), height, width, device=device)
    pixels, clicks = (x.to(memory_format=torch.channels_last) for x in (pixels, clicks))
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    with torch.inference_mode(), session.compute.autocast():
        logits = network.decode_window(network.features(pixels, clicks, keep), keep)
        logits[0, 0, 0, 0].item()
    return time.perf_counter() - began


def main() -> int:
    """Print medians and ratios."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--sides", type=int, nargs="+", default=[2048, 8192, 20_000])
    flags.add_argument("--clicks", type=int, default=15)
    arguments = flags.parse_args()
    rng = np.random.default_rng(0)
    with folder_of(arguments) as folder:
        sessions = []
        for side in arguments.sides:
            session = Session(open_raster(image(folder, side)), load_network(arguments.network))
            mark_as_drawn(session)
            sessions.append(session)
        print(machine(sessions[0]))
        network = bare_network(sessions[0])
        times: list[list[float]] = [[] for _ in sessions]
        shares: list[list[float]] = [[] for _ in sessions]
        for turn in range(arguments.clicks + 2):
            order = rng.permutation(len(sessions))
            for i in (int(i) for i in order):
                seconds, alone = answer(sessions[i], rng), bare(sessions[i], network)
                if turn >= 2:  # the first two warm up
                    times[i].append(seconds)
                    shares[i].append(seconds / alone)
        medians = [statistics.median(t) for t in times]
        for side, session, median, share in zip(
            arguments.sides, sessions, medians, shares, strict=True
        ):
            ratio = median / medians[0]
            print(
                f"{side}² ({len(session.tiling)} tiles): click to pixels {median:.3f} s, "
                f"{ratio:.2f} of {arguments.sides[0]}²; "
                f"{statistics.median(share):.2f} of the bare network"
            )
            session.raster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
