"""Make ``docs/screenshot.png``: the window while the map of a generated scene is corrected.

    python docs/screenshot.py [--weights NAME_OR_FILE] [--clicks N] [-o FILE]

On Linux without a screen: ``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshot.py``.
A simulated annotator clicks on the largest errors, one after the other; the network adapts, and
DISIR and DISCA are shown side by side. Nothing is drawn by hand.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from napari_disca.core.threads import keep_cores_free

keep_cores_free()

import torch  # noqa: F401 - before Qt, as on the command line

from napari_disca.annotations.simulated_annotator import error_clicks
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.widget import DiscaWidget
from napari_disca.gui.plugin.app import open_window
from napari_disca.gui.plugin.samples import RESOLUTION, SIDE
from napari_disca.scenes import Scene

SIZE = 1600, 1000
PATIENCE = 600  # seconds


def main() -> None:
    """Correct, compare, and save what is on screen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", default=None, help="a bundled network or a file")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_suffix(".png"))
    arguments = parser.parse_args()

    from qtpy.QtWidgets import QApplication

    viewer = open_window(demo=True, weights=arguments.weights, block=False)
    window = viewer.window._qt_window
    window.resize(*SIZE)
    panel = window.findChild(DiscaWidget)

    def wait(until: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise SystemExit("the window did not get ready; is the machine very busy?")
            QApplication.processEvents()
            time.sleep(0.01)

    def idle() -> bool:
        return not panel.control.busy

    wait(idle)
    session = panel.control.session
    names = [land.name for land in session.classes]
    scene = Scene((SIDE, SIDE), seed=0, region="temperate", ground_resolution=RESOLUTION)
    if list(scene.classes) != names:
        raise SystemExit(f"choose a network with the classes {', '.join(scene.classes)}")
    truth, whole = scene.labels(), Window.whole(session.raster.shape)

    def correct(name: str) -> float:
        return float((session.maps[name].read(whole) == truth).mean())

    for _ in range(arguments.clicks):
        # Some distance from the border, where a click would hardly be seen.
        known = truth.copy()
        known[:60] = known[-60:] = known[:, :60] = known[:, -60:] = 255
        found = error_clicks(session.maps["disir"].read(whole), known, 1)
        if found:
            panel.arm(found[0].label)
            panel.control.layers.clicks[0].add(found[0].pixel)
            wait(idle)
    panel.refine_panel.buttons["adapt"].click()
    wait(idle)
    panel.compare_panel.switch.setChecked(True)
    # Zoomed so that both views are filled, on the clicks but not beyond the image.
    camera, half = viewer.scene.camera, 370
    middle = float(session.clicks.arrays()[1].mean()) if session.clicks else SIDE / 2
    camera.center, camera.zoom = (SIDE / 2, min(max(middle, half), SIDE - half)), 0.62
    pause = time.monotonic() + 3
    wait(lambda: time.monotonic() > pause)  # notifications fade, thumbnails settle
    if not window.grab().save(str(arguments.output)):
        raise SystemExit(f"cannot write {arguments.output}")
    shares = ", ".join(f"{name} {correct(name):.1%}" for name in session.maps)
    print(f"{arguments.output}: {len(session.clicks)} clicks; pixels right: {shares}")
    viewer.close()


if __name__ == "__main__":
    main()
