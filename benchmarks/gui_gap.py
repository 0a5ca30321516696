"""How long the window does not answer while the network works.

    xvfb-run -a python benchmarks/gui_gap.py [--side 8192] [--seconds 20]

Opens napari with the panel and an image, then measures the time between the ticks of a Qt timer
of 5 ms: while the map is computed, while clicks are answered, while the network learns, and while
the map is redone.
"""

from __future__ import annotations

import sys
import time

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch  # noqa: F401, before Qt
from common import folder_of, image, machine, open_panel, parser, wait
from qtpy.QtCore import QTimer

_TICK = 5


class Gaps:
    """Time between ticks."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(_TICK)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now

    def print_gaps(self, what: str) -> None:
        """Print what was measured since the last time."""
        gaps = np.array(self.seconds) * 1000
        self.seconds.clear()
        if len(gaps):
            p50, p95 = np.percentile(gaps, (50, 95))
            # A tick in a long gap is one tick: weighted by time is what a user feels.
            order = np.sort(gaps)
            felt = order[np.searchsorted(order.cumsum(), 0.95 * order.sum())]
            print(
                f"{what}: {len(gaps)} ticks, median {p50:.0f} ms, p95 {p95:.0f} ms "
                f"(p95 of the time {felt:.0f} ms), max {gaps.max():.0f} ms",
                flush=True,
            )


def main() -> int:
    """Print the gaps of each phase."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--side", type=int, default=8192)
    flags.add_argument("--seconds", type=float, default=20, help="of each phase at most")
    arguments = flags.parse_args()
    with folder_of(arguments) as folder:
        viewer, panel = open_panel(image(folder, arguments.side))
        control = panel.control
        gaps = Gaps()
        wait(arguments.seconds / 4)
        gaps.print_gaps("idle")
        panel.segment()
        wait(60, lambda: control.session is not None)
        print(machine(control.session))
        wait(1)  # the layers are added once
        gaps.print_gaps("opening the session")
        wait(arguments.seconds, lambda: not control.busy)
        gaps.print_gaps("drawing")
        rng = np.random.default_rng(0)
        for _ in range(10):
            view = control.layers.view()
            row, col = (view.top + view.height // 3, view.left + view.width // 3)
            row, col = row + int(rng.integers(300)), col + int(rng.integers(300))
            control.layers.clicks[0].add((row, col))
            wait(arguments.seconds / 10)
        gaps.print_gaps("clicking")
        # Clicks at random need not agree, and what is kept close is not redrawn.
        panel.refine_panel.recipes.setCurrentText("held-out")
        panel.refine_panel._form.adopt.value = "full"
        panel.refine_panel.buttons["adapt"].click()
        wait(60, lambda: control.session.document.adapted is not None)
        gaps.print_gaps("learning")
        wait(arguments.seconds, lambda: not control.busy)
        gaps.print_gaps("redoing")
        control.cancel()
        wait(10, lambda: not control.busy)
        viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
