"""The first pass of a tile: an architecture's time against LinkNet's, on the same cores.

    python benchmarks/first_pass.py [--network landcover-5] [--against landcover-5-linknet]
                                    [--batch 2] [--rounds 12] [--threads 2]

A tile of 512 pixels with a halo of 64, without clicks: features, then the logits of the tile
itself, as a map is computed for the first time. Both networks in turn; the shortest of the rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from napari_disca.core.threads import limit_spinning, reuse_freed_memory

limit_spinning()

import torch
from common import parser

from napari_disca.core.tiling import Window
from napari_disca.networks import Network, load_network, prepared

#: Side of a tile and of the halo around it, pixels.
_TILE, _HALO = 512, 64


def _pass(network: Network, image: torch.Tensor) -> Callable[[], object]:
    """What draws a batch of tiles for the first time."""
    keep = Window(_HALO, _HALO, _TILE, _TILE)

    def run() -> torch.Tensor:
        return network.decode_window(network.features(image, None, keep), keep)

    return run


def main() -> int:
    """Print a line for each number format."""
    flags = parser((__doc__ or "").splitlines()[0])
    flags.add_argument("--against", default="landcover-5-linknet", metavar="NAME_OR_FILE")
    flags.add_argument("--batch", type=int, default=2)
    flags.add_argument("--rounds", type=int, default=12)
    flags.add_argument("--threads", type=int, default=2)
    args = flags.parse_args()
    reuse_freed_memory()
    torch.set_num_threads(args.threads)
    networks = [load_network(name) for name in (args.network, args.against)]
    side = _TILE + 2 * _HALO
    for dtype in (torch.float32, torch.bfloat16):
        runs = []
        for network in networks:
            ready = prepared(network, torch.device("cpu"), dtype, folded=True)
            image = torch.rand(args.batch, len(network.card.bands), side, side)
            runs.append(_pass(ready, image.contiguous(memory_format=torch.channels_last)))
        best = [float("inf")] * len(runs)
        with (
            torch.inference_mode(),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16),
        ):
            for _ in range(args.rounds):
                for index, run in enumerate(runs):
                    began = time.perf_counter()
                    run()
                    best[index] = min(best[index], time.perf_counter() - began)
        first, second = (1e3 * seconds / args.batch for seconds in best)
        print(
            f"{str(dtype).removeprefix('torch.')}: {first:.0f} ms a tile, {args.against} "
            f"{second:.0f} ms: {first / second:.2f} of it"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
