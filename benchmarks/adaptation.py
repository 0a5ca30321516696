"""How long learning from ten clicks takes, on crops around them and on whole tiles.

    python benchmarks/adaptation.py [--clicks 10] [--passes 20]

Clicks lie at random in a scene of 4096 x 4096 pixels, so that no two share a crop. Early stopping
is off: every pass is taken. What each way is worth in accuracy is measured on real images:

    napari-disca evaluate --images DIR --masks DIR --recipe default --mode one-shot
    napari-disca evaluate --images DIR --masks DIR --recipe default --crops tiles --mode one-shot
"""

from __future__ import annotations

import sys
import time

from napari_disca.threads import keep_cores_free

keep_cores_free()

import numpy as np
from common import folder_of, image, machine, mark_as_drawn, parser

from napari_disca.events import finish
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import crops_for, recipe_named
from napari_disca.session import Session


def main() -> int:
    """Print seconds per way."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--clicks", type=int, default=10)
    flags.add_argument("--passes", type=int, default=20)
    arguments = flags.parse_args()
    with folder_of(arguments) as folder:
        session = Session(open_raster(image(folder, 4096)), load_network(arguments.network))
        mark_as_drawn(session)
        print(machine(session))
        rng = np.random.default_rng(0)
        for _ in range(arguments.clicks):
            row, col = (int(v) for v in rng.integers(300, 3700, 2))
            session.click(row, col, int(rng.integers(len(session.classes))))
        for title, changes in (
            ("crops around clicks", {}),
            ("decoder only, crops around clicks", {"parameters": "decoder batchnorm"}),
            ("whole tiles", {"crops": "tiles"}),
        ):
            recipe = recipe_named("default", passes=arguments.passes, tolerance=0.0, **changes)
            began, cores = time.perf_counter(), time.process_time()
            crops = finish(crops_for(recipe, session.inputs, session.clicks, session.tiling))
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
