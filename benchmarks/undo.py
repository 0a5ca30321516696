"""How soon after Ctrl+Z the pixels in view are those of before: clicks, adaptations, locks.

    python benchmarks/undo.py [--side 2048] [--weights landcover-5]

An undo needs no network while the session keeps the tiles, so its cost does not depend on it; the
last column says what drawing the view afresh takes in the same run.
"""

from __future__ import annotations

import argparse
import time

from napari_disca.threads import keep_cores_free

keep_cores_free()

import numpy as np

from napari_disca.areas import Area
from napari_disca.events import Patch, finish
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session import Session
from napari_disca.tiling import Window

VIEW = 900


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--weights", default="landcover-5")
    arguments = parser.parse_args()
    side = arguments.side
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (side // 32 + 1, side // 32 + 1, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((32, 32, 1), np.uint8))[:side, :side]
    measure(Session(open_raster(image), load_network(arguments.weights), factor=1.0))


def measure(session: Session) -> None:
    """Do, take back, and do again each kind of step, with a stop-watch."""
    side = session.raster.shape[0]
    middle = side // 2
    session.viewport.window = Window(middle - VIEW // 2, middle - VIEW // 2, VIEW, VIEW)
    finish(session.refine(), session.handle)
    steps = {
        "click": lambda: session.click(middle, middle, 0),
        "adapt": lambda: finish(session.adapt(Disca(passes=2)), session.handle),
        "lock": lambda: session.lock(Area.rectangle(session.viewport.window)),
    }
    print(f"{len(session.tiling)} tiles, view of {VIEW} x {VIEW} pixels")
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        seen(session)
        fresh = time.perf_counter() - began
        finish(session.refine(), session.handle)
        undone, redone = timed(session, session.undo), timed(session, session.redo)
        print(
            f"{name:6} undo {undone * 1e3:6.1f} ms, redo {redone * 1e3:6.1f} ms; "
            f"done afresh in {fresh * 1e3:8.1f} ms"
        )


def timed(session: Session, verb: object) -> float:
    """Seconds from a verb to the last pixel in view, the best of three; then the rest."""
    back = session.redo if verb == session.undo else session.undo
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        verb()
        seen(session)
        best = min(best, time.perf_counter() - began)
        finish(session.refine(), session.handle)
        back()
        finish(session.refine(), session.handle)
    verb()
    finish(session.refine(), session.handle)
    return best


def seen(session: Session) -> None:
    """Refresh until all in view is up to date."""
    left = {
        (name, tile.index)
        for name in ("disir", "disca")
        for tile in session.stale(name, session.viewport.window)
    }
    job = session.refine()
    while left:
        event = next(job)
        session.handle(event)
        if isinstance(event, Patch):
            left.discard((event.map, event.tile))
    job.close()


if __name__ == "__main__":
    main()
