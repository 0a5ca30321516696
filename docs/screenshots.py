"""Make the pictures of the documentation: the real window, while a generated scene is corrected.

    python docs/screenshots.py [--all] [--weights NAME_OR_FILE] [-o FOLDER]

On Linux without a screen: ``xvfb-run -a -s "-screen 0 2000x1200x24" python docs/screenshots.py``.
A simulated annotator clicks on the largest errors, one after the other, and the network adapts.
Nothing is drawn by hand. Without ``--all`` the pictures that the documentation shows are made; with
it every state in both themes, at 1280 x 800 and 1920 x 1080.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

# A window that nobody has used: no journal is offered, no image was opened before.
_FRESH = tempfile.TemporaryDirectory()
for _name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
    os.environ[_name] = str(Path(_FRESH.name) / _name)
os.environ["NAPARI_CONFIG"] = str(Path(_FRESH.name) / "napari.yaml")

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch  # noqa: F401 - before Qt, as on the command line
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import error_clicks
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.widget import DiscaWidget
from napari_disca.gui.plugin.app import open_window
from napari_disca.gui.plugin.samples import RESOLUTION, SIDE
from napari_disca.gui.viewer.class_colours import shown_classes
from napari_disca.networks.proposal import DEFAULT_NETWORK
from napari_disca.scenes import Scene

SIZES = (1280, 800), (1920, 1080)
THEMES = "dark", "light"
PATIENCE = 600  # seconds
#: Pixels from the border within which nothing is clicked: it would hardly be seen.
MARGIN = 60
#: Of a picture, beside those of the classes.
COLOURS = 200


class Walk:
    """Goes through the states of the window and saves what is on screen.

    Parameters
    ----------
    folder : Path
    weights : str or None
    everything : bool
        Every state in both themes and sizes; else each once, in the dark theme.
    """

    def __init__(self, folder: Path, weights: str | None, everything: bool) -> None:
        self.folder, self.everything = folder, everything
        folder.mkdir(parents=True, exist_ok=True)
        self.viewer = open_window(demo=True, weights=weights or DEFAULT_NETWORK, block=False)
        self.window = self.viewer.window._qt_window
        self.panel = self.window.findChild(DiscaWidget)
        self.control = self.panel.control
        self.film: list[tuple[Image.Image, int]] = []
        self.resize(SIZES[0])

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window a size, and wait until it has it."""
        self.window.resize(*size)
        self.pause(1)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise SystemExit("the window did not get ready; is the machine very busy?")
            QApplication.processEvents()
            time.sleep(0.01)

    def pause(self, seconds: float) -> None:
        """Let notifications fade and thumbnails settle."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def idle(self) -> None:
        """Wait until nothing runs."""
        self.wait(lambda: not self.control.busy)

    # ---------------------------------------------------------------- pictures

    def shoot(self, name: str, over: Any = None, part: str = "") -> None:
        """Save the window.

        Parameters
        ----------
        name : str
        over : (menu, button) or dialog, optional
            What is laid over it.
        part : str
            The section of the panel that is scrolled to.
        """
        kinds = product(THEMES, SIZES) if self.everything else [(THEMES[0], SIZES[0])]
        for theme, size in kinds:
            self.viewer.theme = theme
            self.resize(size)
            if part:
                self.pause(0.5)
                self.panel.ensureWidgetVisible(self.panel.sections[part].heading, 0, 0)
                bar = self.panel.verticalScrollBar()
                heading = self.panel.sections[part].heading
                bar.setValue(heading.mapTo(self.panel.widget(), heading.rect().topLeft()).y())
            else:
                self.viewer.reset_view()
            self.pause(1)
            for told in self.window.findChildren(NapariQtNotification):
                told.close()
            suffix = f"-{size[0]}" if self.everything else ""
            path = self.folder / f"{name}-{theme}{suffix}.png"
            picture = self.grabbed(over)
            self.reduced(picture).save(path, optimize=True)
            print(path, path.stat().st_size // 1024, "KB", flush=True)
        self.viewer.theme = THEMES[0]
        self.resize(SIZES[0])

    def reduced(self, picture: Image.Image) -> Image.Image:
        """The picture in few colours, among them exactly those of the classes."""
        session = self.control.session
        exact = [c for land in (shown_classes(session) if session else ()) for c in land.rgb]
        found = picture.quantize(COLOURS, dither=Image.Dither.NONE).getpalette() or []
        palette = Image.new("P", (1, 1))
        palette.putpalette([*found[: 3 * COLOURS], *exact])
        return picture.quantize(palette=palette, dither=Image.Dither.NONE)

    def grabbed(self, over: Any = None) -> Image.Image:
        """What is on screen."""
        picture = image_of(self.window.grab())
        if over is not None and not isinstance(over, tuple):
            size = over.size()
            place = (picture.width - size.width()) // 2, (picture.height - size.height()) // 2
            picture.paste(image_of(over.grab()), (max(0, place[0]), max(0, place[1])))
        elif over is not None:
            menu, button = over
            corner = button.mapTo(self.window, button.rect().bottomRight())
            menu.ensurePolished()
            size = menu.sizeHint()
            menu.resize(size)
            place = (corner.x() - size.width(), corner.y() - size.height() - button.height())
            picture.paste(image_of(menu.grab()), place)
        return picture

    def frame(self, milliseconds: int) -> None:
        """Add what is on the canvas to the film."""
        self.pause(0.3)
        pixels = np.asarray(self.viewer.screenshot(canvas_only=True, flash=False))[..., :3]
        picture = Image.fromarray(pixels)
        picture.thumbnail((560, 560))
        self.film.append((picture, milliseconds))

    def save_film(self, path: Path) -> None:
        """Write the film as an animated GIF."""
        first, *others = (frame.quantize(96, dither=Image.Dither.NONE) for frame, _ in self.film)
        times = [milliseconds for _, milliseconds in self.film]
        first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)
        print(path, path.stat().st_size // 1024, "KB", flush=True)

    # ---------------------------------------------------------------- the work

    def largest_errors(self, truth: Any, count: int) -> list[Click]:
        """Where an annotator who knows the scene would click next."""
        known = truth.copy()
        known[:MARGIN] = known[-MARGIN:] = known[:, :MARGIN] = known[:, -MARGIN:] = 255
        labels = self.control.session.maps["disir"].read(Window.whole(known.shape))
        return list(error_clicks(labels, known, count))

    def click(self, click: Click) -> None:
        """Click as a user does."""
        self.panel.arm(click.label)
        self.control.layers.clicks[0].add(click.pixel)
        self.idle()

    def look_at(self, click: Click, zoom: float) -> None:
        """Move the camera."""
        layers, camera = self.control.layers, self.viewer.scene.camera
        camera.center = tuple(layers.image.data_to_world(click.pixel)[-2:])
        camera.zoom = zoom


def image_of(pixmap: Any) -> Image.Image:
    """A picture of Qt's as one of Pillow's."""
    from qtpy.QtGui import QImage

    image = pixmap.toImage().convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    if hasattr(bits, "setsize"):
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    return Image.fromarray(pixels.copy())


def walk(walker: Walk, clicks: int) -> None:
    """From the first map to a corrected one, and what is seen on the way."""
    panel, control = walker.panel, walker.control
    walker.wait(lambda: control.session is not None)
    walker.idle()
    session = control.session
    scene = Scene((SIDE, SIDE), seed=0, region="temperate", ground_resolution=RESOLUTION)
    if list(scene.classes) != [land.name for land in session.classes]:
        raise SystemExit(f"choose a network with the classes {', '.join(scene.classes)}")
    truth, whole = scene.labels(), Window.whole(session.raster.shape)
    walker.shoot("segmented")
    if walker.everything:
        panel.desk.do("style")
        walker.shoot("outline")
        panel.desk.do("style")
        panel.desk.do("style")
        panel.desk.do("uncertainty")
        walker.shoot("uncertainty")
        panel.desk.do("uncertainty")
    for number in range(clicks):
        found = walker.largest_errors(truth, 1)
        if not found:
            break
        if number == 0:
            walker.look_at(found[0], 0.9)
            walker.frame(1500)
        walker.click(found[0])
        if number < 2:
            walker.frame(1200)
    walker.shoot("clicked")
    walker.viewer.reset_view()
    walker.frame(1500)
    panel.refine_panel.buttons["adapt"].click()
    walker.idle()
    walker.wait(lambda: "still" not in panel.ripple_panel.figure.text())
    walker.pause(2)
    walker.viewer.reset_view()
    walker.frame(2500)
    walker.shoot("adapted")
    panel.classes_panel.choose(3)
    walker.shoot("classes", (panel.classes_panel.menu, panel.classes_panel.edit))
    panel.compare_panel.switch.setChecked(True)
    walker.shoot("compared")
    panel.compare_panel.switch.setChecked(False)
    review(walker)
    dialogs(walker)
    walker.save_film(walker.folder / "correction.gif")
    shares = [
        f"{name} {float((session.maps[name].read(whole) == truth).mean()):.1%}"
        for name in session.maps
    ]
    print(f"{len(session.clicks)} clicks; pixels right: {', '.join(shares)}")


def review(walker: Walk) -> None:
    """A place that is outlined, the list of places and the small image."""
    walker.panel.desk.do("doubtful")
    walker.idle()
    walker.pause(1)
    walker.shoot("review", part="Review")
    walker.panel.reviewing.leave()


def dialogs(walker: Walk) -> None:
    """The pages of settings and of keys, and the window with nothing in it."""
    panel = walker.panel
    panel.settings.show()
    walker.pause(0.5)
    walker.shoot("settings", panel.settings.dialog)
    panel.settings.dialog.close()
    if not walker.everything:
        return
    panel.desk.show_keys()
    walker.pause(0.5)
    walker.shoot("keys", panel.desk._page)
    panel.desk._page.close()


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every state, both themes and sizes")
    parser.add_argument("--weights", default=None, help="a bundled network or a file")
    parser.add_argument("--clicks", type=int, default=8)
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("pictures"))
    arguments = parser.parse_args()
    walker = Walk(arguments.output, arguments.weights, arguments.all)
    try:
        walk(walker, arguments.clicks)
        if walker.everything:
            walker.viewer.layers.clear()
            walker.pause(1)
            walker.shoot("start")
    finally:
        walker.viewer.close()


if __name__ == "__main__":
    main()
