"""What a stroke costs in a large image, beside a small one.

    python benchmarks/strokes.py [--sides 2000,20000] [--strokes 40]

A brush of 20 pixels is drawn over some 400 pixels of a map that is computed where the user looks:
from `Drawing.draw` until the pixels in view are painted, as the window does when the button is
released.
The last line is the ratio of the medians.
"""

from __future__ import annotations

import sys
import time

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
from common import folder_of, image, machine, parser

from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.tiling import Window
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.session.maps.refresh import patch_of
from napari_disca.session.maps.rendered_tiles import RenderedTile
from napari_disca.session.session import MAPS, Session

_VIEW = 1600


def main() -> int:
    """Print medians and maxima, and their ratio."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--sides", default="2000,20000")
    flags.add_argument("--strokes", type=int, default=40)
    arguments = flags.parse_args()
    medians = []
    for side in map(int, arguments.sides.split(",")):
        with folder_of(arguments) as folder:
            raster = open_raster(image(folder, side))
            session = Session(raster, load_network(arguments.network))
            if not medians:
                print(machine(session))
            found = 1000 * np.array(_strokes(session, side, arguments.strokes))
            medians.append(float(np.median(found)))
            print(
                f"{side}²: {medians[-1]:.1f} ms a stroke, {np.percentile(found, 95):.1f} ms p95, "
                f"{found.max():.1f} ms at most",
                flush=True,
            )
            session.close()
            raster.close()
    if len(medians) > 1:
        print(f"ratio of the last to the first: {medians[-1] / medians[0]:.2f}")
    return 0


def _strokes(session: Session, side: int, count: int) -> list[float]:
    """Seconds of each stroke."""
    top = (side - min(side, _VIEW)) // 2
    view = Window(top, top, min(side, _VIEW), min(side, _VIEW))
    session.viewport.window = view
    _draw(session, view)
    rng = np.random.default_rng(0)
    seconds = []
    for _ in range(count):
        start = rng.uniform(top + 20, top + view.height - 20, 2)
        end = np.clip(start + rng.uniform(-300, 300, 2), top + 20, top + view.height - 20)
        way = start + np.linspace(0, 1, 60)[:, None] * (end - start)
        began = time.perf_counter()
        session.drawing.draw(BrushPath(tuple(map(tuple, way.tolist())), 20), int(rng.integers(3)))
        session.paint_cached()
        seconds.append(time.perf_counter() - began)
    return seconds


def _draw(session: Session, view: Window) -> None:
    """Draw the maps where the user looks, without a network."""
    rng = np.random.default_rng(1)
    for name in MAPS:
        target = session.map_state.target(name)
        for tile in session.map_state.stale(name, view):
            window = session.network_view.image_window(tile.keep)
            coarse = rng.integers(0, 3, (-(-window.height // 32), -(-window.width // 32)))
            labels = np.kron(coarse, np.ones((32, 32)))[: window.height, : window.width]
            drawn = RenderedTile(labels.astype(np.uint8))
            version = target.version(tile.index)
            session.handle(patch_of(name, window, tile, version, drawn))


if __name__ == "__main__":
    sys.exit(main())
