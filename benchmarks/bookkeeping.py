"""What keeping account of tiles, clicks and batches costs in a large image, against a small one.

Four figures, each a ratio: choosing the next tile while the user pans; asking how much of a map is
up to date, with one lock over half of it; the memory of a history of 4 000 clicks against the
clicks themselves; and the passes that a run without a window makes, against full batches of 8.

    python benchmarks/bookkeeping.py
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from common import machine

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tile_scheduler import TileQueue
from napari_disca.networks import Network, load_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.session.maps.lock_index import LockIndex, TileGrid
from napari_disca.session.maps.tile_versions import Target, TileVersions
from napari_disca.session.steps.step_values import Lock

#: Tiles of 512 pixels that overlap by 128, as a session has them: 1 024 and 68 121.
_SMALL, _LARGE = 32, 261
_STRIDE, _ROUNDS = 384, 200


def median(work: Callable[[int], object]) -> float:
    """Median time of some rounds, in seconds."""
    times = []
    for number in range(_ROUNDS):
        began = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def choosing(side: int) -> float:
    """Time to choose a tile and the one after it, the view a little farther each time."""
    tiling = Tiling((side * _STRIDE + 128, side * _STRIDE + 128), 512, 64)
    every = np.ones(len(tiling), dtype=np.bool_)
    queue = TileQueue(tiling, every, ~every)
    middle = side * _STRIDE // 2

    def choose(number: int) -> None:
        view = Window(middle + 20 * number, middle, 2000, 3000)
        queue.take(1, view)
        queue.peek(1, view)

    return median(choose)


def asking(side: int) -> float:
    """Time to note that a tile was computed, and to ask how many are still to be."""
    borders = np.arange(side + 1) * _STRIDE
    grid = TileGrid(borders, borders)
    half = Area.rectangle(Window(0, 0, side * _STRIDE, side * _STRIDE // 2))
    lock = Lock(1, half, "disir", Clicks(), None, ())
    locks = LockIndex.empty(grid).updated((lock,), grid)
    clicks = TileClicks({5 * i: Clicks((Click(i, i, 0),)) for i in range(50)})
    wanted = Target("weights", clicks, locks)
    versions = TileVersions(("disca",), side * side)
    versions.stale_count("disca", wanted)

    def ask(number: int) -> None:
        versions.put("disca", number, wanted.version(number))
        versions.stale_count("disca", Target("weights", clicks, locks))

    return median(ask)


def remembering(count: int) -> float:
    """Bytes of a history of clicks, over those of the clicks themselves."""
    tracemalloc.start()
    items = [Click(i, 7 * i % 1000, i % 5) for i in range(count)]
    alone, _ = tracemalloc.get_traced_memory()
    history = [Clicks()]
    for click in items:
        history.append(history[-1].added(click))
    together, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"  {count} clicks: {alone / 1e6:.1f} MB, their history {together / 1e6:.1f} MB")
    return together / alone


def passing(network: Network, batch: int = 8) -> float:
    """Passes through a network of a map without a window, over what full ones would be."""
    side = 24 * _STRIDE + 128
    network_view = NetworkView(
        open_raster(np.zeros((side, side, 3), np.uint8)), network.card, factor=1.0
    )
    compute = replace(Compute.choose("cpu", "float32"), batch=batch)
    passes = []

    def spy(self: Network, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        passes.append(len(image))
        return (image.new_zeros(len(image), len(self.card.classes), *image.shape[-2:]),)

    kind = type(network)
    kind.encode_clickless = spy  # type: ignore[method-assign]
    kind.trimmed = lambda self, features, keep: features  # type: ignore[method-assign]
    kind.decode_window = lambda self, features, keep: features[0][  # type: ignore[method-assign]
        (..., *keep.slices)
    ]
    tiles = sum(1 for _ in MapStream(network_view, network, compute).patches())
    print(f"  {tiles} tiles in {len(passes)} passes of {batch}")
    return len(passes) * batch / tiles


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="landcover-5", metavar="NAME_OR_FILE")
    arguments = parser.parse_args()
    print(machine())
    for what, work in (("choosing a tile", choosing), ("asking what is up to date", asking)):
        small, large = work(_SMALL), work(_LARGE)
        print(
            f"{what}: {large / small:.2f} times as long among {_LARGE**2} tiles as among "
            f"{_SMALL**2} ({large * 1e6:.0f} against {small * 1e6:.0f} us)"
        )
    print(f"a history of clicks: {remembering(4000):.2f} times the clicks")
    ratio = passing(load_network(arguments.network))
    print(f"a map without a window: {ratio:.2f} times the passes of full batches")


if __name__ == "__main__":
    main()
