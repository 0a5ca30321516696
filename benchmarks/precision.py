"""How many pixels bfloat16 changes, and how much faster it is.

    python benchmarks/precision.py [IMAGE.tif ...] [--network NAME_OR_FILE]

Without images a generated scene. Draws each map in float32, in bfloat16, and in bfloat16 with
BatchNorm folded into the convolutions, and compares the classes.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

from common import folder_of, image, machine, parser

from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.networks import load_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.session.session import Session


def main() -> int:
    """Print a line per image."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("images", type=Path, nargs="*")
    flags.add_argument("--factor", type=float, help="network pixels per image pixel")
    arguments = flags.parse_args()
    network = load_network(arguments.network)
    half = Compute.choose(precision="bfloat16")
    ways = {
        "float32": Compute.choose(precision="float32"),
        "bfloat16": replace(half, folded=False),
        "bfloat16 folded": replace(half, folded=True),
    }
    print(machine())
    worst = 0.0
    with folder_of(arguments) as folder:
        for path in arguments.images or [image(folder, 2048)]:
            maps, seconds = {}, {}
            for name, compute in ways.items():
                session = Session(
                    open_raster(path), network, factor=arguments.factor, compute=compute
                )
                began = time.process_time()
                finish(session.predict(), session.handle)
                seconds[name] = time.process_time() - began
                maps[name] = session.maps["initial"].read(Window.whole(session.raster.shape))
            differ = {
                name: float((maps[name] != maps["float32"]).mean()) for name in list(ways)[1:]
            }
            text = [
                f"{name}: {share:.3%} of the pixels differ, "
                f"{seconds['float32'] / seconds[name]:.2f} times faster"
                for name, share in differ.items()
            ]
            worst = max(worst, *differ.values())
            print(f"{path.name}: " + "; ".join(text), flush=True)
    print(f"worst: {worst:.3%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
