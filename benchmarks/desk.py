"""What a user waits for at the desk, in a large image: hide, peek, strokes, the list of changes.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/desk.py [--side 20000]

The real window is driven with mouse and keys: H hides and shows the map, zoomed in and with the
whole image in view; a lasso and a brush draw over some 400 pixels of the screen; *Adapt* learns
from a few clicks, and its list of changes fills. Each is told in milliseconds from the key, or from
the button that is let go, to the next frame of napari; of the list, from the first pixels in view
that *Adapt* has changed. Meanwhile the gaps of the event loop are measured, while the map of
the rest of the image is being computed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

# The keys are the table's, whatever the user has chosen.
_FRESH = tempfile.TemporaryDirectory()
os.environ["NAPARI_CONFIG"] = str(Path(_FRESH.name) / "napari.yaml")

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch  # noqa: F401, before Qt
from common import folder_of, image, machine, open_panel, parser, wait
from gui_gap import Gaps
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.keys.key_filter import main_window

_LEFT = Qt.MouseButton.LeftButton
#: Milliseconds until something is seen, and of them those for which the window's thread worked: on
#: a machine that does something else as well the first says more of that.
Cost: TypeAlias = tuple[float, float]
#: Side of what is painted at once, of the map that is there before anything is measured.
_BLOCK = 2048


class Desk:
    """The window, its frames, and what is pressed in it."""

    def __init__(self, path: Any, network: str) -> None:
        self.viewer, self.panel = open_panel(path, weights=network)
        self.control = self.panel.control
        self.window = main_window(self.panel)
        self.panel.refine_panel.buttons["segment"].click()
        assert wait(120, lambda: self.control.session is not None)
        wait(3)
        self.session = self.control.session
        self.frames: list[float] = []
        self.viewer.window._qt_viewer.canvas._scene_canvas.events.draw.connect(
            lambda _: self.frames.append(time.perf_counter()), position="last"
        )
        self.panel.drawing.tool.watch()
        self.canvas = self.panel.drawing.tool._canvas

    def to_the_frame(self, act: Callable[[], object]) -> Cost:
        """What it takes from what is done to the next frame."""
        wait(0.05)
        self.frames.clear()
        began, worked = time.perf_counter(), time.thread_time()
        act()
        if not self.frames and not wait(60, lambda: bool(self.frames)):
            raise SystemExit("no frame was drawn")
        return 1000 * (self.frames[0] - began), 1000 * (time.thread_time() - worked)

    def peek(self) -> list[Cost]:
        """Hold H until the map is gone, then let go; what both frames take."""
        key = Qt.Key.Key_H
        gone = self.to_the_frame(lambda: QTest.keyPress(self.window, key))
        wait(0.4)  # longer than a tap
        return [gone, self.to_the_frame(lambda: QTest.keyRelease(self.window, key))]

    def fill(self) -> None:
        """Give both maps classes everywhere, without a network."""
        rng = np.random.default_rng(0)
        side = self.session.raster.shape[0]
        coarse = rng.integers(0, 3, (_BLOCK // 64, _BLOCK // 64))
        labels = np.kron(coarse, np.ones((64, 64))).astype(np.uint8)
        for name in ("disir", "disca"):
            for top in range(0, side, _BLOCK):
                for left in range(0, side, _BLOCK):
                    window = Window(top, left, _BLOCK, _BLOCK) & Window.whole((side, side))
                    self.session.maps[name].paint(window, labels[: window.height, : window.width])
        for layer in self.control.layers.maps.values():
            layer.refresh(extent=False, thumbnail=False, highlight=False)

    def stroke(self, tool: str, rng: np.random.Generator) -> Cost:
        """Draw over some 400 pixels of the screen; what letting go takes until the frame."""
        self.panel.viewer_controls.do(tool)
        size = self.canvas.size()
        start = np.array([size.width(), size.height()]) * rng.uniform(0.3, 0.6, 2)
        turn = np.linspace(0, 1.6 * np.pi, 60)
        way = start + 65 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
        places = [QPoint(round(x), round(y)) for x, y in way]
        QTest.mousePress(self.canvas, _LEFT, Qt.KeyboardModifier.NoModifier, places[0])
        for place in places[1:]:
            QTest.mouseMove(self.canvas, place)
            wait(0.002)
        return self.to_the_frame(
            lambda: QTest.mouseRelease(
                self.canvas, _LEFT, Qt.KeyboardModifier.NoModifier, places[-1]
            )
        )


def print_costs(what: str, costs: list[Cost], aim: float) -> None:
    """Print a line about some measurements."""
    waited, worked = np.array(costs).T
    print(
        f"{what}: median {np.median(waited):.0f} ms, p95 {np.percentile(waited, 95):.0f}, "
        f"{waited.max():.0f} at most (aim {aim:.0f}); of the processor {np.median(worked):.0f} ms, "
        f"p95 {np.percentile(worked, 95):.0f}",
        flush=True,
    )


def ripple(desk: Desk) -> Cost:
    """Click, adapt, and wait for the list; milliseconds from the first changed pixels to it."""
    session, panel, control = desk.session, desk.panel, desk.control
    view = control.layers.view()
    rng = np.random.default_rng(1)
    for label in (0, 1, 2):
        row = int(rng.integers(view.top + 50, view.bottom - 50))
        col = int(rng.integers(view.left + 50, view.right - 50))
        session.document.click(row, col, label)
    wait(120, lambda: not session.map_state.stale("disir", view))
    painted: list[Cost] = []

    def on_painted(patch: Any) -> None:
        if patch.map == "disca" and session.document.adapted is not None:
            painted.append((time.perf_counter(), time.thread_time()))

    session.painted.connect(on_painted)
    panel.refine_panel.buttons["adapt"].click()
    listed = panel.ripple_panel.list
    if not wait(300, lambda: bool(listed.count())):
        raise SystemExit("the list stays empty")
    now, worked = time.perf_counter(), time.thread_time()
    session.painted.disconnect(on_painted)
    return 1000 * (now - painted[0][0]), 1000 * (worked - painted[0][1])


def main() -> int:
    """Print what is measured."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--side", type=int, default=20_000)
    flags.add_argument("--times", type=int, default=20)
    arguments = flags.parse_args()
    with folder_of(arguments) as folder:
        desk = Desk(image(folder, arguments.side), arguments.network)
        print(machine(desk.session))
        desk.control.cancel()
        wait(30, lambda: not desk.control.busy)
        desk.fill()
        rng, gaps = np.random.default_rng(0), Gaps()
        views = (("the whole image", None), ("single pixels", 1.0))
        for busy in (False, True):
            if busy:
                desk.panel.segment()
                wait(1)
            while_ = "while the rest is computed" if busy else "with nothing running"
            for shown, zoom in views:
                desk.viewer.reset_view()
                if zoom is not None:
                    camera_of(desk.viewer).zoom = zoom
                wait(1)
                gaps.seconds.clear()
                hide = [ms for _ in range(arguments.times) for ms in desk.peek()]
                print_costs(f"H pressed and let go, {shown} in view, {while_}", hide, 50)
                gaps.print_gaps("  event loop")
            for tool in ("brush", "lasso"):
                found = [desk.stroke(tool, rng) for _ in range(arguments.times)]
                print_costs(f"{tool}, {while_}", found, 50)
                gaps.print_gaps("  event loop")
        desk.panel.drawing.tool.choose("click")
        gaps.seconds.clear()
        print_costs("first entries of the list of changes", [ripple(desk)], 1000)
        gaps.print_gaps("  event loop while it learns and lists")
        desk.control.cancel()
        wait(30, lambda: not desk.control.busy)
        desk.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
