"""Make the pictures of the documentation: the real window, while a generated scene is corrected.

    python docs/screenshots.py [--all] [--weights NAME_OR_FILE] [-o FOLDER]

On Linux without a screen: ``xvfb-run -a -s "-screen 0 2000x1200x24" python docs/screenshots.py``.
The clicks are those of the sample (`gui.plugin.sample_work`): whoever opens it sees the same.
Nothing is drawn by hand but captions, and the frames of dialogs, which the window's system draws.
Without ``--all`` the pictures that the documentation shows are made; with it every state in both
themes, at 1280 x 800 and 1920 x 1080.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
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
import rasterio
import torch  # noqa: F401 - before Qt, as on the command line
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image, ImageDraw, ImageFont
from rasterio.vrt import WarpedVRT

from napari_disca.annotations.clicks import Click
from napari_disca.core.tiling import Window
from napari_disca.gui.plugin.app import open_window
from napari_disca.gui.plugin.sample_work import CLICKS
from napari_disca.gui.plugin.samples import RESOLUTION, SIDE, scene_file
from napari_disca.gui.viewer.canvas.go_to import GoTo
from napari_disca.gui.viewer.colours.class_colours import shown_classes
from napari_disca.gui.window.widget import DiscaWidget
from napari_disca.networks.proposal import DEFAULT_NETWORK
from napari_disca.scenes import Scene

SIZES = (1280, 800), (1920, 1080)
THEMES = "dark", "light"
PATIENCE = 600  # seconds
#: Pictures that the documentation shows.
SHOWN = {"start", "segmented", "clicked", "adapted", "region", "classes", "compared", "drawn"}
SHOWN |= {"review", "place", "deliver", "settings", "keys", "continue"}
#: The window while the film is made, so that the canvas is square; a frame; how fast it is read.
FILM_WINDOW, FRAME, READ = (1405, 800), 520, 55
#: A place that has something of each class.
TOWN = Click(560, 640, 0)
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
        self.exact: list[int] = []
        self.film: list[tuple[Image.Image, int]] = []
        self.resize(SIZES[0])

    def resize(self, size: tuple[int, int]) -> None:
        """Give the window a size, and wait until it has it."""
        self.window.resize(*size)
        self.pause(1)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise SystemExit("the window did not get ready; is the machine very busy?")
            QApplication.processEvents()
            # Without Qt's own loop what is to be deleted stays, for instance napari's progress.
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
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
            The section of the panel that is scrolled to; without one the camera sees all.
        """
        if not (self.everything or name in SHOWN):
            return
        kinds = product(THEMES, SIZES) if self.everything else [(THEMES[0], SIZES[0])]
        for theme, size in kinds:
            self.viewer.theme = theme
            self.resize(size)
            if part == "top":
                self.pause(0.5)
                self.panel.verticalScrollBar().setValue(0)
            elif part:
                self.pause(0.5)
                self.panel.ensureWidgetVisible(self.panel.sections[part].heading, 0, 0)
                bar = self.panel.verticalScrollBar()
                heading = self.panel.sections[part].heading
                bar.setValue(heading.mapTo(self.panel.widget(), heading.rect().topLeft()).y())
            else:
                self.viewer.reset_view()
            self.pause(1)
            for notification in self.window.findChildren(NapariQtNotification):
                notification.close()
            suffix = f"-{size[0]}" if self.everything else ""
            path = self.folder / f"{name}-{theme}{suffix}.png"
            picture = self.grabbed(over)
            self.reduced(picture).save(path, optimize=True)
            print(path, path.stat().st_size // 1024, "KB", flush=True)
        self.viewer.theme = THEMES[0]
        self.resize(SIZES[0])

    def reduced(self, picture: Image.Image) -> Image.Image:
        """The picture in few colours, among them exactly those of the classes."""
        return picture.quantize(palette=self.palette(picture), dither=Image.Dither.NONE)

    def palette(self, picture: Image.Image) -> Image.Image:
        """The colours of a picture that matter most, and those of the classes."""
        if (session := self.control.session) is not None:
            self.exact = [channel for land in shown_classes(session) for channel in land.rgb]
        found = picture.quantize(COLOURS, dither=Image.Dither.NONE).getpalette() or []
        palette = Image.new("P", (1, 1))
        palette.putpalette([*found[: 3 * COLOURS], *self.exact])
        return palette

    def grabbed(self, over: Any = None) -> Image.Image:
        """What is on screen."""
        picture = image_of(self.window.grab())
        if over is not None and not isinstance(over, tuple):
            dialog = framed(image_of(over.grab()), over.windowTitle())
            place = (picture.width - dialog.width) // 2, (picture.height - dialog.height) // 2
            picture.paste(dialog, (max(0, place[0]), max(0, place[1])))
        elif over is not None:
            menu, button = over
            corner = button.mapTo(self.window, button.rect().bottomRight())
            menu.ensurePolished()
            size = menu.sizeHint()
            menu.resize(size)
            top = corner.y() - size.height() - button.height()
            place = max(0, corner.x() - size.width()), max(0, top)
            picture.paste(image_of(menu.grab()), place)
        return picture

    def canvas_widget(self) -> Any:
        """Where the mouse clicks."""
        from qtpy.QtOpenGLWidgets import QOpenGLWidget

        return self.window.centralWidget().findChild(QOpenGLWidget)

    def canvas(self) -> Image.Image:
        """What is on the canvas, at most so large as a frame of the film."""
        self.pause(0.3)
        canvas = self.canvas_widget()
        corner = canvas.mapTo(self.window, canvas.rect().topLeft())
        whole = image_of(self.window.grab())  # what is drawn over the canvas, too
        edges = (corner.x() + canvas.width(), corner.y() + canvas.height())
        picture = whole.crop((corner.x(), corner.y(), *edges))
        picture.thumbnail((FRAME, FRAME), Image.Resampling.LANCZOS)
        return picture

    def frame(self, caption: str) -> None:
        """Add what is on the canvas to the film, and what is to be said of it below."""
        picture = captioned(self.canvas(), caption)
        self.film.append((picture, 1200 + READ * len(caption)))

    def save_film(self, path: Path) -> None:
        """Write the film as an animated GIF; all frames have one palette, or colours would jump."""
        width, height = self.film[0][0].size
        sheet = Image.new("RGB", (width, height * len(self.film)))
        for number, (picture, _) in enumerate(self.film):
            sheet.paste(picture, (0, number * height))
        palette = self.palette(sheet)
        first, *others = (
            frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame, _ in self.film
        )
        times = [milliseconds for _, milliseconds in self.film]
        first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)
        print(path, path.stat().st_size // 1024, "KB", flush=True)

    def save_looks(self, path: Path) -> None:
        """The same place as it can be looked at: filled, outlines, one class, uncertainty."""
        desk = self.panel.viewer_controls
        looks = [captioned(self.canvas(), "G: filled")]
        desk.do("style")
        looks.append(captioned(self.canvas(), "G: outlines"))
        desk.do("style")
        desk.do("style")
        desk.actions["isolate"](0)
        looks.append(captioned(self.canvas(), "Alt+1: one class alone"))
        desk.actions["isolate"](0)
        desk.do("uncertainty")
        looks.append(captioned(self.canvas(), "U: bright where it is not sure"))
        desk.do("uncertainty")
        width, height = looks[0].size
        sheet = Image.new("RGB", (2 * width + 6, 2 * height + 6), "white")
        for number, look in enumerate(looks):
            sheet.paste(look, (number % 2 * (width + 6), number // 2 * (height + 6)))
        self.reduced(sheet).save(path, optimize=True)
        print(path, path.stat().st_size // 1024, "KB", flush=True)

    # ---------------------------------------------------------------- the work

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


def captioned(picture: Image.Image, caption: str) -> Image.Image:
    """A picture with a line below it."""
    font = ImageFont.load_default(size=18)
    whole = Image.new("RGB", (picture.width, picture.height + 34), "white")
    whole.paste(picture, (0, 0))
    draw = ImageDraw.Draw(whole)
    draw.text((10, picture.height + 17), caption, fill="black", font=font, anchor="lm")
    return whole


def framed(dialog: Image.Image, title: str) -> Image.Image:
    """A dialog with the frame and the title that a window system gives it."""
    bar = 26
    whole = Image.new("RGB", (dialog.width + 2, dialog.height + bar + 1), "#5b6675")
    whole.paste(dialog, (1, bar))
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(size=15)
    draw.text((whole.width // 2, bar // 2), title, fill="white", font=font, anchor="mm")
    return whole


def walk(walker: Walk) -> None:
    """From the first map to a corrected one, and what is seen on the way."""
    panel, control = walker.panel, walker.control
    walker.wait(lambda: control.session is not None)
    walker.idle()
    session = control.session
    scene = Scene((SIDE, SIDE), seed=0, region="temperate", ground_resolution=RESOLUTION)
    if list(scene.classes) != [land.name for land in session.document.classes]:
        raise SystemExit(f"choose a network with the classes {', '.join(scene.classes)}")
    truth, whole = scene.labels(), Window.whole(session.raster.shape)
    walker.shoot("segmented")
    names = [land.name for land in session.document.classes]
    clicks = [Click(row, col, names.index(name)) for row, col, name in CLICKS]
    look(walker)
    film(walker, clicks)
    walker.shoot("clicked")
    adapt(walker)
    panel.classes_panel.choose(3)
    walker.shoot("classes", (panel.classes_panel.menu, panel.classes_panel.edit))
    panel.compare_panel.switch.setChecked(True)
    walker.shoot("compared")
    panel.compare_panel.switch.setChecked(False)
    draw(walker, clicks[0])
    review(walker)
    places(walker, clicks[2])
    dialogs(walker)
    shares = [
        f"{name} {float((session.maps[name].read(whole) == truth).mean()):.1%}"
        for name in session.maps
    ]
    print(f"{len(session.document.clicks)} clicks; pixels right: {', '.join(shares)}")
    leave(walker)


def look(walker: Walk) -> None:
    """The ways to see through the map."""
    desk = walker.panel.viewer_controls
    walker.resize(FILM_WINDOW)
    walker.look_at(TOWN, 1.1)
    walker.save_looks(walker.folder / "looks.png")
    walker.resize(SIZES[0])
    desk.do("style")
    walker.shoot("outline")
    desk.do("style")
    desk.do("style")
    desk.do("uncertainty")
    walker.shoot("uncertainty")
    desk.do("uncertainty")
    walker.viewer.status = "Ready"  # or the next pictures would say that it is hidden


def film(walker: Walk, clicks: Sequence[Click]) -> None:
    """From the first map to the adapted one, with what is said of it."""
    first, *others = clicks
    walker.resize(FILM_WINDOW)
    walker.look_at(first, 1.4)
    walker.panel.viewer_controls.do("hide")
    walker.frame("An aerial image")
    walker.panel.viewer_controls.do("hide")
    walker.frame("The network's map: bare banks are called vegetation")
    walker.click(first)
    walker.frame("One click says land: its surroundings follow")
    for click in others:
        walker.click(click)
    walker.viewer.reset_view()
    walker.frame(f"{len(clicks)} clicks in the whole scene")
    walker.resize(SIZES[0])


def adapt(walker: Walk) -> None:
    """What the adaptation changes, and what is decided of it."""
    panel = walker.panel
    panel.refine_panel.buttons["adapt"].click()
    walker.idle()
    walker.wait(lambda: "still" not in panel.ripple_panel.figure.text())
    walker.pause(2)
    walker.resize(FILM_WINDOW)
    walker.viewer.reset_view()
    walker.frame("Adapt: places that look like the clicks follow")
    panel.viewer_controls.do("next_change")
    walker.frame("What has changed is listed: accept it, or reject it")
    walker.save_film(walker.folder / "correction.gif")
    walker.resize(SIZES[0])
    walker.viewer.reset_view()
    panel.ripple.leave()
    walker.shoot("adapted")
    panel.viewer_controls.do("next_change")
    walker.pause(1)
    walker.shoot("region", part="top")
    if walker.everything:
        panel.ripple.press_blink()
        panel.ripple._blink.stop()
        walker.shoot("blinked", part="top")
        panel.ripple.release_blink()
        panel.ripple_panel.slider.setValue(2.0)
        walker.pause(1)
        walker.idle()
        walker.shoot("stronger", part="top")
        walker.control.undo()
        walker.idle()
    panel.ripple.leave()
    walker.viewer.reset_view()


def draw(walker: Walk, place: Click) -> None:
    """A polygon that is being drawn with the mouse."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtTest import QTest

    panel = walker.panel
    panel.viewer_controls.do("polygon")
    walker.look_at(place, 2.0)
    walker.pause(0.5)
    canvas = walker.canvas_widget()
    middle = canvas.rect().center()
    for x, y in ((-90, -60), (70, -80), (110, 30), (20, 90)):
        QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(x, y))
        walker.pause(0.1)
    walker.shoot("drawn", part="Correct")
    panel.drawing.tool.choose("click")


def review(walker: Walk) -> None:
    """A place that is outlined, the list of places and the small image."""
    walker.panel.viewer_controls.do("doubtful")
    walker.idle()
    walker.pause(1)
    walker.shoot("review", part="Review")
    walker.panel.reviewing.leave()


def places(walker: Walk, place: Click) -> None:
    """Coordinates: under the pointer, to go to, and of another image of another CRS."""
    from qtpy.QtCore import QPoint
    from qtpy.QtTest import QTest

    panel, viewer = walker.panel, walker.viewer
    if walker.everything:
        other = Path(_FRESH.name) / "other-crs.tif"
        with (
            rasterio.open(scene_file("temperate")) as file,
            WarpedVRT(file, crs="EPSG:4326") as vrt,
        ):
            part = rasterio.windows.Window(0, 0, vrt.width // 2, vrt.height // 2)
            transform, pixels = vrt.window_transform(part), 255 - vrt.read(window=part)
            profile = {**file.profile, "crs": vrt.crs, "transform": transform}
            profile |= {"width": int(part.width), "height": int(part.height)}
            with rasterio.open(other, "w", **profile) as written:
                written.write(pixels)
        (layer,) = viewer.open(other, plugin="napari-disca")
        panel.viewer_controls.do("hide")
        walker.shoot("other-crs")
        panel.viewer_controls.do("hide")
        viewer.layers.remove(layer)
    walker.look_at(place, 1.5)
    walker.pause(0.5)
    canvas = walker.canvas_widget()
    for step in (3, 0):
        QTest.mouseMove(canvas, canvas.rect().center() + QPoint(step, step))
        walker.pause(0.3)
    walker.wait(lambda: "then" in panel.viewer_controls.cursor.reading.details)
    panel.viewer_controls.do("go_to")
    walker.pause(0.5)
    dialog = panel.findChild(GoTo)
    dialog.text.setText(panel.viewer_controls.cursor.reading.on_globe)
    walker.shoot("place", dialog, part="top")
    dialog.close()


def dialogs(walker: Walk) -> None:
    """The pages of settings and of keys, and the maps that can be saved."""
    panel = walker.panel
    refine = panel.refine_panel
    walker.viewer.reset_view()
    walker.shoot("deliver", (refine._maps, refine.buttons["save_labels"]), part="Deliver")
    panel.settings.show()
    walker.pause(0.5)
    walker.shoot("settings", panel.settings.dialog, part="top")
    panel.settings.dialog.close()
    panel.viewer_controls.show_keys()
    walker.pause(0.5)
    walker.shoot("keys", panel.viewer_controls._page, part="top")
    panel.viewer_controls._page.close()


def leave(walker: Walk) -> None:
    """The window with nothing in it, and the offer to go on where one has stopped."""
    walker.viewer.layers.clear()
    walker.wait(lambda: walker.control.session is None)
    walker.pause(1)
    walker.shoot("start")
    walker.viewer.open(scene_file("temperate"), plugin="napari-disca")
    walker.wait(lambda: walker.panel.resume_banner.isVisible())
    walker.pause(1)
    walker.shoot("continue")


def main() -> None:
    """Make the pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every state, both themes and sizes")
    parser.add_argument("--weights", default=None, help="a bundled network or a file")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).with_name("pictures"))
    arguments = parser.parse_args()
    walker = Walk(arguments.output, arguments.weights, arguments.all)
    try:
        walk(walker)
    finally:
        walker.viewer.close()


if __name__ == "__main__":
    main()
