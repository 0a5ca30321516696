"""Moves the view to coordinates, and copies coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPoint
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication, QDialog, QLabel, QLineEdit, QMenu, QVBoxLayout, QWidget

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.canvas.coordinates import CoordinateError, Found, Grid, find
from napari_disca.gui.viewer.canvas.cursor import Reading, world_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari import Viewer
    from napari.layers import Image
    from napari.utils.events import Event

#: Least size of an image pixel on the screen after going to it, in pixels.
_CLOSE = 2.0
_HINT = (
    "Map coordinates (x, y), latitude and longitude (27.63, 85.52 or 27°38'N 85°31'E), "
    "or row and column (px 120, 340)"
)


def grid_of(image: Image, viewer: Viewer) -> Grid:
    """Return size and georeference of an image layer, for `find`."""
    data = image.data[0] if image.multiscale else image.data
    height, width = data.shape[:2] if image.rgb else data.shape[-2:]
    world = world_at(image, viewer)
    if world is None:
        return Grid((height, width), None, None)

    def pixel(x: float, y: float) -> tuple[float, float]:
        row, col = image.world_to_data((0.0,) * (image.ndim - 2) + world.from_map(x, y))[-2:]
        return float(row) + 0.5, float(col) + 0.5

    return Grid((height, width), world.crs, pixel)


def look_at(viewer: Viewer, image: Image, row: float, col: float) -> None:
    """Move the view to a pixel of an image, and zoom in until it is visible."""
    camera = camera_of(viewer)
    place = [0.0] * (image.ndim - 2) + [row, col]
    camera.center = tuple(image.data_to_world(place)[-2:])
    size = float(abs(image.scale[-2:]).mean())
    camera.zoom = max(camera.zoom, _CLOSE / size)


class GoTo(QDialog):
    """Dialog that asks for coordinates until they lie on the image.

    Parameters
    ----------
    grid : Grid
    went : callable
        Called with the place.
    """

    def __init__(
        self, grid: Grid, went: Callable[[Found], object], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Go to")
        self._grid, self._went = grid, went
        self.text = QLineEdit()
        self.text.setAccessibleName("Coordinates")
        self.text.setPlaceholderText("27.63, 85.52")
        self.text.setMinimumWidth(self.fontMetrics().averageCharWidth() * 50)
        self.said = QLabel(_HINT)
        self.said.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addWidget(self.said)
        self.text.returnPressed.connect(self._go)
        pasted = not_none(QApplication.clipboard()).text().strip()
        if len(pasted) < 80 and self._finds(pasted):
            self.text.setText(pasted)
            self.text.selectAll()

    def _finds(self, text: str) -> bool:
        try:
            find(text, self._grid)
        except CoordinateError:
            return False
        return True

    def _go(self) -> None:
        try:
            found = find(self.text.text(), self._grid)
        except CoordinateError as error:
            self.said.setText(str(error))
            self.text.selectAll()
            return
        self.accept()
        self._went(found)


class PlaceMenu:
    """Opens a menu at a right click on the canvas; a right drag still zooms.

    Parameters
    ----------
    viewer : napari.Viewer
    read : callable
        Returns the `Reading` of a position in the world.
    go_to : callable
        Opens the dialog *Go to*.
    say : callable
        Shows a line in the status bar.
    parent : QWidget
    """

    def __init__(
        self,
        viewer: Viewer,
        read: Callable[[Sequence[float]], Reading],
        go_to: Callable[[], object],
        say: Callable[[str], object],
        parent: QWidget,
    ) -> None:
        self._viewer, self._read, self._go_to, self._say = viewer, read, go_to, say
        self._parent = parent
        self.menu: QMenu | None = None
        viewer.mouse_drag_callbacks.append(self._on_mouse)

    def end(self) -> None:
        """Disconnect from the canvas."""
        if self._on_mouse in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)

    def _on_mouse(self, _viewer: object, event: Event) -> Iterator[None]:
        if event.button != 2:
            return
        yield
        while event.type == "mouse_move":
            return  # it was a drag, which zooms
        self.show(event.position, QCursor.pos())

    def show(self, position: Sequence[float], at: QPoint) -> None:
        """Show the menu of a place."""
        reading = self._read(position)
        menu = self.menu = QMenu(self._parent)
        for text in texts(reading):
            menu.addAction(f"Copy  {text}", lambda text=text: self.copy(text))
        menu.addSeparator()
        menu.addAction("Go to…", self._go_to)
        menu.popup(at)

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard, and say so."""
        not_none(QApplication.clipboard()).setText(text)
        self._say(f"Copied {text}")


def texts(reading: Reading) -> list[str]:
    """Return a place in all ways that *Go to…* understands, the most exact first."""
    found = [text.replace(",", "") for text in (reading.on_map,) if text]
    if reading.on_globe:
        found.append(reading.on_globe)
    if reading.pixel is not None:
        found.append(f"px {reading.pixel[0]}, {reading.pixel[1]}")
    return found
