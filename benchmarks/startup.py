"""How soon things are there, and how soon they stop.

    xvfb-run -a python benchmarks/startup.py [--side 20000]

- ``import napari_disca``, and the panel after napari itself, each in fresh processes: the best of
  five;
- a GeoTIFF without overviews, striped and tiled: from the file to its first pixels on the canvas,
  and to the whole image;
- *Cancel* while the map is computed and while the network learns, until nothing runs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import platformdirs
from common import folder_of, image, machine, open_panel, parser, wait

_IMPORT = """
import time
began = time.perf_counter()
import napari_disca
print(time.perf_counter() - began)
"""
_PANEL = """
import time
import torch  # the command line has it before Qt, too
import napari
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
began = time.perf_counter()
from napari_disca.gui.window.widget import DiscaWidget
panel = DiscaWidget(viewer)
viewer.window.add_dock_widget(panel)
QApplication.processEvents()
print(time.perf_counter() - began)
viewer.close()
"""


def best(code: str, rounds: int) -> float:
    """Shortest of some fresh processes, in seconds."""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(rounds)
    ]
    return min(float(run.stdout.split()[-1]) for run in runs)


def first_pixels(path: Path) -> tuple[float, float]:
    """Seconds until something, and until all of an image is on the canvas."""
    import napari

    from napari_disca.gui.tasks.opening.layer_data import layer_data

    viewer = napari.Viewer()
    wait(1)
    began = time.perf_counter()
    data, keywords, _ = layer_data(path)
    layer = viewer.add_image(data, **keywords)
    pyramid = keywords["metadata"]["napari_disca"]["pyramid"]
    wait(120, lambda: bool(np.asarray(layer._slice.image.view).any()))
    something = time.perf_counter() - began
    wait(600, lambda: pyramid.complete)
    everything = time.perf_counter() - began
    viewer.close()
    return something, everything


def cancelling(path: Path, network: str) -> dict[str, float]:
    """Longest time from *Cancel* to nothing running, per kind of work."""
    viewer, panel = open_panel(path, weights=network)
    control = panel.control
    panel.segment()
    wait(60, lambda: control.session is not None)
    print(machine(control.session))
    longest: dict[str, float] = {}

    def cancel(what: str) -> None:
        began = time.perf_counter()
        control.cancel()
        wait(60, lambda: not control.busy)
        longest[what] = max(longest.get(what, 0.0), time.perf_counter() - began)

    rng = np.random.default_rng(0)
    wait(5)
    cancel("drawing")
    for _ in range(5):
        control.segment()
        wait(float(rng.uniform(0.5, 1.5)))
        cancel("drawing")
    for _ in range(10):
        row, col = (int(v) for v in rng.integers(0, control.session.raster.shape[0], 2))
        control.session.document.click(row, col, 0)
    wait(1)
    control.cancel()
    wait(60, lambda: not control.busy)
    for _ in range(5):
        panel.refine_panel.buttons["adapt"].click()
        wait(float(rng.uniform(0.5, 3)))
        what = "learning" if control.learning else "redoing"
        cancel(what)
    viewer.close()
    return longest


def main() -> int:
    """Print a line per figure."""
    flags = parser(__doc__.splitlines()[0])
    flags.add_argument("--side", type=int, default=20_000)
    flags.add_argument("--rounds", type=int, default=5)
    arguments = flags.parse_args()
    print(f"import napari_disca: {best(_IMPORT, arguments.rounds):.3f} s", flush=True)
    print(f"panel after napari: {best(_PANEL, arguments.rounds):.2f} s", flush=True)
    import torch  # noqa: F401, before Qt

    with folder_of(arguments) as folder:
        forms = {
            "tiled, deflate": {},
            "striped, LZW": {"compress": "lzw", "interleave": "pixel", "bigtiff": "yes"},
            "tiled, JPEG": {
                "tiled": True,
                "compress": "jpeg",
                "photometric": "ycbcr",
                "blockxsize": 512,
                "blockysize": 512,
            },
        }
        for form, options in forms.items():
            path = image(folder, arguments.side, **options)
            with tempfile.TemporaryDirectory() as cache:
                # Nothing is prepared already.
                platformdirs.user_cache_dir = lambda *_, cache=cache, **__: cache
                something, everything = first_pixels(path)
            print(
                f"{arguments.side}² {form}: first pixels {something:.2f} s, "
                f"all of it {everything:.1f} s",
                flush=True,
            )
        for what, seconds in cancelling(image(folder, arguments.side), arguments.network).items():
            print(f"cancel while {what}: idle after {seconds:.2f} s at most")
    return 0


if __name__ == "__main__":
    sys.exit(main())
