"""What it costs to paint 512 x 512 pixels into the map of a large image, and to show them.

    xvfb-run -a python benchmarks/painting.py [--side 20000]

Opens napari with the panel and an image, cancels the first map, and paints labels at random into
*DISIR* where the window looks: all levels of the pyramid on disk, then the layer, as the panel
does it; zoomed in to single pixels and out to the whole image.
"""

from __future__ import annotations

import sys
import time

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch  # noqa: F401, before Qt
from common import folder_of, image, machine, open_panel, parser, wait

from napari_disca.core.tiling import Window
from napari_disca.gui.toolkit.windows import redraw_labels
from napari_disca.gui.viewer.canvas.camera import camera_of

_SIDE, _TIMES = 512, 20


def main() -> int:
    """Print medians and maxima."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--side", type=int, default=20_000)
    arguments = flags.parse_args()
    rng = np.random.default_rng(0)
    with folder_of(arguments) as folder:
        viewer, panel = open_panel(image(folder, arguments.side))
        control = panel.control
        panel.segment()
        wait(60, lambda: control.session is not None)
        wait(3)
        control.cancel()
        wait(30, lambda: not control.busy)
        print(machine(control.session))
        layer, pyramid = control.layers.maps["disir"], control.session.maps["disir"]
        for shown, zoom in (("single pixels", 1.0), ("the whole image", None)):
            if zoom is None:
                viewer.reset_view()
            else:
                camera_of(viewer).zoom = zoom
            wait(3)
            view = control.layers.view()
            painting, showing = [], []
            for _ in range(_TIMES):
                top = view.top + int(rng.integers(max(1, view.height - _SIDE)))
                left = view.left + int(rng.integers(max(1, view.width - _SIDE)))
                labels = rng.integers(0, 5, (_SIDE, _SIDE), dtype=np.uint8)
                began = time.perf_counter()
                pyramid.paint(Window(top, left, _SIDE, _SIDE), labels)
                painted = time.perf_counter()
                redraw_labels(layer)
                painting.append(painted - began)
                showing.append(time.perf_counter() - painted)
                wait(0.1)
            both = np.add(painting, showing) * 1000
            print(
                f"{arguments.side}², in view {shown}: {_SIDE}² painted in "
                f"{1000 * np.median(painting):.1f} ms and refreshed in "
                f"{1000 * np.median(showing):.1f} ms; together {np.median(both):.1f} ms, "
                f"{both.max():.1f} ms at most",
                flush=True,
            )
        viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
