"""How soon *Adapt* is answered: first pixels in view and the whole map, beside a plain loop.

    python benchmarks/answer.py [--height 3072] [--width 4096] [--clicks 3]

A generated scene is segmented, clicked and adapted with the default recipe, twice: the second time
what is asked of an image once is known. The plain loop does what the authors' plugin does with its
LinkNet: 10 passes of SGD over the 512-pixel tiles with clicks, then a float32 pass over all tiles,
one by one, and nothing is shown before the end. All in one run, so the ratios hold on a busy
machine, too. Encoder features are on disk where memory does not hold them.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch
from common import machine, parser

from napari_disca.core.events import Patch, finish
from napari_disca.core.tiling import Window
from napari_disca.inference.features import FeatureCache
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import load_network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.recipes import crops_for, recipe_named
from napari_disca.scenes import Scene
from napari_disca.session.session import Session


def main() -> int:
    """Print seconds and ratios."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--height", type=int, default=3072)
    flags.add_argument("--width", type=int, default=4096)
    flags.add_argument("--clicks", type=int, default=3)
    flags.add_argument("--plain", default="landcover-5-linknet", help="network of the plain loop")
    arguments = flags.parse_args()
    scene = Scene((arguments.height, arguments.width), seed=3, ground_resolution=1.0)
    raster, truth = open_raster(scene.image()), scene.labels()
    features = FeatureCache(disk=4 << 30)
    session = Session(raster, load_network(arguments.network), factor=1.0, features=features)
    print(machine(session))
    began = time.perf_counter()
    finish(session.predict(), session.handle)
    one_pass = time.perf_counter() - began
    print(f"the network's map: {one_pass:.1f} s for {len(session.tiling)} tiles")
    rng = np.random.default_rng(0)
    shown = session.maps["initial"].read(Window.whole(raster.shape))
    rows, cols = np.nonzero(shown != truth)
    for i in rng.integers(len(rows), size=2 * arguments.clicks):
        session.document.click(int(rows[i]), int(cols[i]), int(truth[rows[i], cols[i]]))
        finish(session.refine(), session.handle)
        if len(session.document.clicks) == arguments.clicks:
            break
    session.viewport.window = Window(0, 0, 800, 1000)
    # Another strength is another run, so that no tile is known from the first one.
    answers = [_answer(session, strength) for strength in (1.0, 1.001)]
    for title, (first, whole) in zip(("first time", "again"), answers, strict=True):
        print(
            f"Adapt, {title}: first pixels in view after {first:.2f} s, whole map after "
            f"{whole:.1f} s ({whole / one_pass:.2f} of a pass)"
        )
    plain = _plain(session, arguments.plain)
    first, whole = answers[-1]
    print(
        f"plain loop: {plain:.1f} s; {plain / whole:.1f} times the whole map, "
        f"{plain / first:.0f} times the first pixels"
    )
    return 0


def _answer(session: Session, strength: float) -> tuple[float, float]:
    """Seconds to the first pixels in view and to the whole map; everything is undone."""
    began, first = time.perf_counter(), 0.0
    with closing(session.adapt(recipe_named("default", strength=strength), ("disca",))) as job:
        for event in job:
            session.handle(event)
            if not first and isinstance(event, Patch):
                first = time.perf_counter() - began
    whole = time.perf_counter() - began
    session.document.undo()
    finish(session.refine(), session.handle)
    return first, whole


def _plain(session: Session, name: str) -> float:
    """Seconds of the plain loop."""
    began = time.perf_counter()
    network = load_network(name)
    recipe = recipe_named("paper")
    crops = finish(crops_for(recipe, session.network_view, session.document.clicks, session.tiling))
    learned = finish(recipe.adapt(network, crops, compute=Compute.choose("cpu", "float32"))).network
    classes = len(network.card.classes)
    for tile in tiling_for(session.network_view):
        image = torch.from_numpy(session.network_view.read(tile.read))[None]
        with torch.inference_mode():
            learned(image, torch.zeros(1, classes, *image.shape[-2:])).argmax(dim=1)
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
