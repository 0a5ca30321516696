"""How long learning from ten clicks takes, on crops around them and on whole tiles.

    python benchmarks/adaptation.py [--clicks 10]

Clicks lie at random in a scene of 4096 x 4096 pixels, so that no two share a crop, and their
classes are drawn, too. The first figure is a whole answer of the recipe `held-out`: learning from
two folds, and asking each of the other's clicks.
"""

from __future__ import annotations

import sys
import time

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
from common import folder_of, image, machine, mark_as_drawn, parser

from napari_disca.core.events import finish
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca, crops_for, recipe_named
from napari_disca.session.session import Session


def main() -> int:
    """Print seconds per way."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--clicks", type=int, default=10)
    arguments = flags.parse_args()
    with folder_of(arguments) as folder:
        session = Session(open_raster(image(folder, 4096)), load_network(arguments.network))
        mark_as_drawn(session)
        print(machine(session))
        rng = np.random.default_rng(0)
        for _ in range(arguments.clicks):
            row, col = (int(v) for v in rng.integers(300, 3700, 2))
            session.document.click(row, col, int(rng.integers(len(session.document.classes))))
        for title, recipe in (
            ("held-out", recipe_named("held-out")),
            ("the same, decoder only", recipe_named("held-out", parameters="decoder batchnorm")),
            ("the same passes, all clicks at once", Disca(rate=1e-3, passes=6)),
            ("the same, on whole tiles", Disca(rate=1e-3, passes=6, crops="tiles")),
        ):
            began, cores = time.perf_counter(), time.process_time()
            crops = finish(
                crops_for(recipe, session.network_view, session.document.clicks, session.tiling)
            )
            learned = finish(recipe.adapt(session.network, crops, compute=session.compute))
            print(
                f"{title}: {len(crops)} crops, {learned.steps} passes, "
                f"{time.perf_counter() - began:.1f} s, {time.process_time() - cores:.1f} s of "
                f"processor time; {learned.note}",
                flush=True,
            )
        session.raster.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
