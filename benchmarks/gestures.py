"""From a fresh window to a saved, corrected map, by gestures: mean IoU after each of them.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gestures.py \\
        --image ../shared/data/banepa_buildings/images/banepa_z19_train_0.tif \\
        --mask ../shared/data/banepa_buildings/masks/banepa_z19_train_0.tif

The real window is driven with mouse and keys. A simulated annotator, who knows the mask, clicks in
the middle of the largest error, presses *Adapt*, goes through the largest regions that it changed
and accepts or rejects each by the majority of its pixels, and at last draws around what is still
wrong. A click, a press of *Adapt*, a verdict and a stroke are a gesture each; to move the view and
to choose a class or a tool is none. Beside it: as many clicks alone, without *Adapt*. The map that
is measured at the end is the file that was saved.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# A window that nobody has used.
_FRESH = tempfile.TemporaryDirectory()
for _name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = str(Path(_FRESH.name) / _name)
os.environ["NAPARI_CONFIG"] = str(Path(_FRESH.name) / "napari.yaml")

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import rasterio
import torch  # noqa: F401, before Qt
from common import machine, open_panel, wait
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.metrics import confusion, mean_iou
from napari_disca.evaluation.simulated_verdicts import verdicts_on
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.canvas.screen_grid import ScreenGrid
from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.inference.predict import Predictor
from napari_disca.networks import load_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
#: Seconds until the window is taken for dead.
_PATIENCE = 900
#: Pixels of the screen: what a hand does not draw more exactly than, and thinner than which an
#: error is not worth a stroke.
_HAND = 3.0


class Annotator:
    """Knows the mask, and looks at the map in its ids.

    Parameters
    ----------
    reference : (height, width) array of uint8
    classes : ClassMap
    """

    def __init__(self, reference: NDArray[np.uint8], classes: ClassMap) -> None:
        self.reference, self.classes = reference, classes
        self._clicked: list[Click] = []

    def miou(self, labels: NDArray[np.uint8]) -> float:
        """Mean IoU of a map of network classes, in percent."""
        table = confusion(self.classes.apply(labels), self.reference, self.classes.size)
        return 100 * mean_iou(table)

    def click(self, session: Session, labels: NDArray[np.uint8]) -> Click | None:
        """Where it clicks next, with a class of the network."""
        fresh = np.ones(labels.shape, dtype=np.bool_)
        for old in self._clicked:
            fresh[old.pixel] = False
        found = error_clicks(self.classes.apply(labels), self.reference, 1, valid=fresh)
        if not found:
            return None
        self._clicked += found
        return Click(*found[0].pixel, _class_at(session, self.classes, found[0]))

    def outline(
        self, labels: NDArray[np.uint8], hand: float
    ) -> tuple[NDArray[np.float64], int] | None:
        """Outline ``(n, 2)`` of what it draws next, and its class in the mask's ids.

        Parameters
        ----------
        labels : (height, width) array of uint8
        hand : float
            What a hand does not draw more exactly than, in pixels of the image.
        """
        mapped = self.classes.apply(labels)
        best: tuple[int, int, Any, Any] | None = None
        for label in range(self.classes.size):
            wrong = (mapped != self.reference) & (self.reference == label)
            # What is thinner than a hand draws is left out.
            thick = ndimage.binary_opening(wrong, iterations=max(1, round(hand)))
            parts, count = ndimage.label(thick)
            if count:
                areas = np.bincount(parts.ravel())
                areas[0] = 0
                k = int(areas.argmax())
                if best is None or areas[k] > best[0]:
                    box = ndimage.find_objects(parts)[k - 1]
                    best = int(areas[k]), label, box, parts[box] == k
        if best is None:
            return None
        _, label, box, mask = best
        rings = find_contours(np.pad(ndimage.binary_fill_holes(mask), 1).astype(float), 0.5)
        ring = approximate_polygon(max(rings, key=len), hand)[:-1]
        # A contour counts pixel centres, of the padded mask.
        return ring - 0.5 + (box[0].start, box[1].start), label


def _class_at(session: Session, classes: ClassMap, click: Click) -> int:
    """Class of the network that the annotator means; the likeliest where several mean the same."""
    candidates = classes.candidates(click.label)
    if len(candidates) == 1:
        return candidates[0]
    (on_network,) = session.network_view.network_clicks(Clicks((Click(*click.pixel, 0),)))
    read = session.tiling.tile_at(on_network.pixel).read
    predictor = Predictor(session.network, session.network_view, session.compute)
    logits = predictor.logits(read, Clicks())
    here = logits[candidates, on_network.row - read.top, on_network.col - read.left]
    return candidates[int(here.argmax())]


class Desk:
    """The window, and the hand that moves mouse and keys."""

    def __init__(self, image: Path, network: str) -> None:
        self.viewer, self.panel = open_panel(image, weights=network)
        self.control = self.panel.control
        self.window = main_window(self.panel)
        self.press(self.panel.refine_panel.buttons["segment"])
        self.until(lambda: self.control.session is not None)
        self.idle()
        self.session: Session = self.control.session
        self.whole = Window.whole(self.session.raster.shape)
        self.began = time.perf_counter()

    def until(self, done: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        if not wait(_PATIENCE, done):
            raise SystemExit("the window did not get ready")

    def idle(self) -> None:
        """Wait until nothing runs."""
        wait(0.2)
        self.until(lambda: not self.control.busy)

    def labels(self) -> NDArray[np.uint8]:
        """The map that is seen."""
        return self.session.maps[self.session.document.corrected].read(self.whole)

    def press(self, button: Any) -> None:
        """Press a button."""
        QTest.mouseClick(button, _LEFT)

    def key(self, key: Any, modifiers: Any = _NONE) -> None:
        """Press a key, wherever the focus is."""
        QTest.keyClick(self.window, key, modifiers)

    def look(self, box: Window) -> float:
        """Move the view so that a box is seen; pixels of the image per pixel of the screen."""
        layers, camera = self.control.layers, camera_of(self.viewer)
        camera.center = tuple(layers.image.data_to_world(box.centre)[-2:])
        side = max(box.height, box.width, 300)
        wait(0.1)
        camera.zoom *= 600 / (side / layers.screen_pixels(1.0))
        wait(0.3)
        return float(layers.screen_pixels(1.0))

    def at(self, row: float, col: float) -> QPoint:
        """Where a place of the image is on the canvas."""
        ((x, y),) = ScreenGrid(self.viewer, self.control.layers.image).to_screen([(row, col)])
        return QPoint(round(x), round(y))

    def choose(self, label: int) -> None:
        """Choose a class by its key."""
        self.key(Qt.Key(int(Qt.Key.Key_1.value) + label))

    def click(self, click: Click) -> None:
        """Click on a pixel."""
        self.look(Window(click.row - 150, click.col - 150, 300, 300))
        self.choose(click.label)
        canvas = self.panel.drawing.tool._canvas
        QTest.mouseClick(canvas, _LEFT, _NONE, self.at(click.row + 0.5, click.col + 0.5))
        self.idle()

    def adapt(self) -> None:
        """Press *Adapt*, and wait until all that it changed is listed."""
        self.press(self.panel.refine_panel.buttons["adapt"])
        self.idle()
        self.listed()

    def listed(self) -> None:
        """Wait until the list of changes is complete."""
        ripple = self.panel.ripple

        def done() -> bool:
            found = ripple.comparison.ripple
            calm = ripple.comparison.settled
            return calm and found is not None and not found.missing

        self.until(done)

    def judge(self, annotator: Annotator) -> bool:
        """Judge the first region of the list that can be judged; whether there was one."""
        ripple, listed = self.panel.ripple, self.panel.ripple_panel.list
        regions = ripple.comparison.ripple.regions[: listed.count()]
        maps = self.session.maps
        for row, region in enumerate(regions):
            given = verdicts_on(
                [region], maps["disir"], maps["disca"], annotator.reference, annotator.classes, 1
            )
            if len(given):
                listed.setCurrentRow(row)
                self.key(Qt.Key.Key_Y if given.accepted else Qt.Key.Key_X)
                self.idle()
                self.listed()
                return True
        return False

    def draw(self, annotator: Annotator) -> bool:
        """Draw around the largest error with the lasso; whether there was one."""
        step = self.look(self.whole)
        found = annotator.outline(self.labels(), _HAND)
        if found is None:
            return False
        ring, label = found
        (top, left), (bottom, right) = ring.min(axis=0), ring.max(axis=0)
        step = self.look(Window.from_bounds(int(top), int(left), int(bottom) + 1, int(right) + 1))
        ring = approximate_polygon(np.vstack([ring, ring[:1]]), _HAND * step)[:-1]
        self.choose(annotator.classes.candidates(label)[0])
        self.press(self.panel.draw_panel.tools["lasso"])
        canvas = self.panel.drawing.tool._canvas
        places = [self.at(row, col) for row, col in ring]
        QTest.mousePress(canvas, _LEFT, _NONE, places[0])
        for place in (*places[1:], places[0]):
            QTest.mouseMove(canvas, place)
        QTest.mouseRelease(canvas, _LEFT, _NONE, places[0])
        self.key(Qt.Key.Key_Escape)
        self.idle()
        return True

    def save(self, path: Path) -> None:
        """Save the map, as the dialog would that asks for its name."""
        self.panel.files.session_files.save_labels(self.session.document.corrected, path)
        self.until(path.exists)
        self.idle()


def correct(
    desk: Desk, annotator: Annotator, arguments: argparse.Namespace
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """What is done, gesture after gesture, and the map after it."""
    for _ in range(arguments.rounds):
        for _ in range(arguments.clicks):
            click = annotator.click(desk.session, desk.labels())
            if click is None:
                return
            desk.click(click)
            yield "click", desk.labels()
        desk.adapt()
        yield "Adapt", desk.labels()
        for _ in range(arguments.verdicts):
            if not desk.judge(annotator):
                break
            yield "verdict", desk.labels()
    while desk.draw(annotator):
        yield "stroke", desk.labels()


def clicks_alone(image: Path, network: str, annotator: Annotator, count: int) -> list[float]:
    """Mean IoU after each of so many clicks, without a window and without *Adapt*."""
    found = []
    with open_raster(image) as raster:
        session = Session(raster, load_network(network))
        whole = Window.whole(raster.shape)
        finish(session.refine(), session.handle)
        for _ in range(count):
            labels = session.maps["disir"].read(whole)
            found.append(annotator.miou(labels))
            click = annotator.click(session, labels)
            if click is None:
                break
            session.document.click(*click.pixel, click.label)
            finish(session.refine(), session.handle)
        found.append(annotator.miou(session.maps["disir"].read(whole)))
        session.close()
    return found


def main() -> int:
    """Print the course, and what clicks alone reach."""
    flags = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    flags.add_argument("--image", type=Path, required=True)
    flags.add_argument("--mask", type=Path, required=True)
    flags.add_argument("--network", default="buildings", metavar="NAME_OR_FILE")
    flags.add_argument("--class-map", default="building=1,*=0", help="classes to the mask's ids")
    flags.add_argument("--gestures", type=int, default=25)
    flags.add_argument("--rounds", type=int, default=2, help="of clicks, Adapt and verdicts")
    flags.add_argument("--clicks", type=int, default=5, help="in a round")
    flags.add_argument("--verdicts", type=int, default=3, help="in a round, at most")
    flags.add_argument("-o", "--output", type=Path, help="where the map is saved")
    arguments = flags.parse_args()
    with rasterio.open(arguments.mask) as file:
        reference = file.read(1)
    with rasterio.open(arguments.image) as file:
        reference[file.dataset_mask() == 0] = IGNORE
    classes = ClassMap.parse(arguments.class_map, load_network(arguments.network).card.classes)
    saved = arguments.output or Path(_FRESH.name) / "corrected.tif"
    annotator = Annotator(reference, classes)
    desk = Desk(arguments.image, arguments.network)
    print(machine(desk.session))
    course, kinds = [annotator.miou(desk.labels())], ["-"]
    print(f" 0 first map: {course[0]:.1f} %", flush=True)
    for kind, labels in correct(desk, annotator, arguments):
        course.append(annotator.miou(labels))
        kinds.append(kind)
        print(f"{len(course) - 1:2} {kind}: {course[-1]:.1f} %", flush=True)
        if len(course) > arguments.gestures:
            break
    desk.save(saved)
    seconds = time.perf_counter() - desk.began
    desk.viewer.close()
    with rasterio.open(saved) as file:
        final = annotator.miou(file.read(1))
    alone = clicks_alone(
        arguments.image, arguments.network, Annotator(reference, classes), len(course) - 1
    )
    counts = ", ".join(f"{kinds.count(k)} {k}s" for k in dict.fromkeys(kinds[1:]))
    print(f"{len(course) - 1} gestures ({counts}) in {seconds:.0f} s")
    print("gestures:     " + " ".join(f"{value:.1f}" for value in course))
    print("clicks alone: " + " ".join(f"{value:.1f}" for value in alone))
    print(f"the saved map: {final:.1f} %; clicks alone: {alone[-1]:.1f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
