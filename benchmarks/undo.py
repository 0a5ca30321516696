"""How soon after Ctrl+Z the pixels in view are those of before: clicks, adaptations, locks.

    python benchmarks/undo.py [--side 2048] [--weights landcover-5] [--window]

An undo needs no network while the session keeps the tiles, so its cost does not depend on it; the
last column says what drawing the view afresh takes in the same run. With --window it is the time
until napari has drawn the layer anew, with nothing running, and while the rest of the map is being
brought up to date; and until what the session has forgotten is hatched as out of date (on Linux
without a screen: under xvfb-run).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np

from napari_disca.annotations.areas import Area
from napari_disca.core.events import Patch, finish
from napari_disca.core.tiling import Window
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session.session import MAPS, Session

VIEW = 900


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--weights", default="landcover-5")
    parser.add_argument("--window", action="store_true")
    arguments = parser.parse_args()
    side = arguments.side
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (side // 32 + 1, side // 32 + 1, 3), dtype=np.uint8)
    image = np.kron(coarse, np.ones((32, 32, 1), np.uint8))[:side, :side]
    if arguments.window:
        measure_window(image, arguments.weights)
    else:
        measure(Session(open_raster(image), load_network(arguments.weights), factor=1.0))


def measure(session: Session) -> None:
    """Do, take back, and do again each kind of step, with a stop-watch."""
    side = session.raster.shape[0]
    middle = side // 2
    session.viewport.window = Window(middle - VIEW // 2, middle - VIEW // 2, VIEW, VIEW)
    finish(session.refine(), session.handle)
    steps = {
        "click": lambda: session.document.click(middle, middle, 0),
        "class": lambda: session.document.relabel(session.document.clicks.items[-1], 1),
        "adapt": lambda: finish(session.adapt(Disca(passes=2)), session.handle),
        "lock": lambda: session.document.lock(Area.rectangle(session.viewport.window)),
    }
    print(f"{len(session.tiling)} tiles, view of {VIEW} x {VIEW} pixels")
    for name, step in steps.items():
        began = time.perf_counter()
        step()
        seen(session)
        fresh = time.perf_counter() - began
        finish(session.refine(), session.handle)
        undone, redone = (
            timed(session, session.document.undo),
            timed(session, session.document.redo),
        )
        print(
            f"{name:6} undo {undone * 1e3:6.1f} ms, redo {redone * 1e3:6.1f} ms; "
            f"done afresh in {fresh * 1e3:8.1f} ms"
        )


def measure_window(image: np.ndarray, weights: str) -> None:
    """Do the same in napari: from the key to the frame."""
    import napari
    from common import wait

    from napari_disca.gui.viewer.canvas.camera import camera_of
    from napari_disca.gui.window.widget import DiscaWidget

    viewer = napari.Viewer()
    viewer.window.resize(1600, 1000)
    viewer.add_image(image, rgb=True)
    panel = DiscaWidget(viewer)
    viewer.window.add_dock_widget(panel)
    panel.image_panel.choose_network(weights)
    control = panel.control
    wait(1)
    panel.segment()
    wait(60, lambda: control.session is not None)
    session = control.session
    side = session.raster.shape[0]
    camera_of(viewer).center, camera_of(viewer).zoom = (side / 2, side / 2), 1.0
    wait(1)
    view = control.layers.view()
    idle = lambda: not control.busy  # noqa: E731
    wait(600, idle)
    row, col = view.top + view.height // 2, view.left + view.width // 2
    steps = {
        "click": lambda: session.document.click(row, col, 0),
        "class": lambda: session.document.relabel(session.document.clicks.items[-1], 1),
        "adapt": lambda: control.adapt(Disca(passes=2)),
        "lock": lambda: control.locking.lock(Area.rectangle(view)),
    }
    print(f"{len(session.tiling)} tiles, view of {view.height} x {view.width} pixels")
    frames: list[float] = []
    viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(
        lambda _: frames.append(time.perf_counter()), position="last"
    )

    #: When the last pixel in view was painted, and when a layer was last made anew.
    painted, renewed = [0.0], [0.0]

    def on_painted(patch: Patch) -> None:
        if patch.window & view:
            painted[0] = time.perf_counter()

    def on_renewed(_: object) -> None:
        renewed[0] = time.perf_counter()

    session.painted.connect(on_painted)
    for layer in control.layers.maps.values():
        layer.events.set_data.connect(on_renewed)

    def timed_key(verb: Callable[[], object]) -> float:
        frames.clear()
        began = time.perf_counter()
        verb()
        shown: list[float] = []

        def drawn() -> bool:
            """Whether a frame came after the layer was renewed with all that is in view."""
            if any(session.map_state.stale(name, view) for name in ("disir", "disca")):
                return False
            # A layer that is hidden, or right as it is, is not made anew.
            if not shown and (renewed[0] > painted[0] or not control.layers._dirty):
                shown.append(max(painted[0], renewed[0], began))
            return bool(shown) and bool(frames) and frames[-1] > shown[0]

        # Asked at once, too: the events that come next may be many.
        assert drawn() or wait(60, drawn), "it is never drawn"
        return next(frame for frame in frames if frame > shown[0]) - began

    for name, step in steps.items():
        step()
        wait(600, idle)
        found: dict[str, list[float]] = {}
        for _ in range(3):
            for key, verb in (("undo", control.undo), ("redo", control.redo)):
                found.setdefault(key, []).append(timed_key(verb))
                wait(600, idle)
        for _ in range(3):
            # The rest of the map is being computed again, and a tile of it is at work.
            for tile in session.tiling:
                if not session._renderer.window(tile) & view:
                    for shown in MAPS:
                        session._maps.versions.put(shown, tile.index, "other")
                    session._renderer.recent.forget(tile.index)
            control.segment()
            wait(0.3)
            assert control.busy
            found.setdefault("undo at work", []).append(timed_key(control.undo))
            wait(600, idle)
            control.redo()
            wait(600, idle)
        for _ in range(3):
            # What is in view is not known any more: that is hatched until it is computed again.
            session._renderer.recent.forget()
            frames.clear()
            began = time.perf_counter()
            control.undo()
            assert wait(60, lambda: bool(frames))
            assert control.layers.stale is not None
            found.setdefault("hatched where forgotten", []).append(frames[0] - began)
            wait(600, idle)
            control.redo()
            wait(600, idle)
        line = ", ".join(
            f"{k} {min(v) * 1e3:.0f} to {max(v) * 1e3:.0f} ms" for k, v in found.items()
        )
        print(f"{name:6} {line}", flush=True)
    viewer.close()


def timed(session: Session, verb: object) -> float:
    """Seconds from a verb to the last pixel in view, the best of three; then the rest."""
    back = session.document.redo if verb == session.document.undo else session.document.undo
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
        for tile in session.map_state.stale(name, session.viewport.window)
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
