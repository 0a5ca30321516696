"""Reads what lies under the pointer on any layer: class, certainty, origin, coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QObject, QTimer

from napari_disca.gui.viewer.canvas.coordinates import degrees, degrees_text, map_text
from napari_disca.gui.viewer.canvas.second_class import SecondClass
from napari_disca.gui.viewer.layers.overlay_layer import describe_feature_at
from napari_disca.gui.viewer.layers.placement import WORLD, World, world_of
from napari_disca.gui.viewer.layers.uncertainty_layer import certainty
from napari_disca.inference.uncertainty import CELL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari import Viewer
    from napari.layers import Image

    from napari_disca.gui.viewer.layers.layer_host import LayerHost
    from napari_disca.inference.two_best import Ranked
    from napari_disca.networks import LandClass
    from napari_disca.session.session import Session

#: Milliseconds from a move of the pointer to the reading: several moves share one.
_WAIT = 40


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known about a place.

    Attributes
    ----------
    pixel : (int, int) or None
        Row and column of the image; None outside it, or without an image.
    label : str
        Name of the class; empty where there is no map.
    details : str
        How sure the network is there, and what decided the class.
    on_map, on_globe : str
        Coordinates; empty without georeference.
    overlay : str
        Attributes of the overlay's feature there; empty where there is none.
    """

    pixel: tuple[int, int] | None = None
    label: str = ""
    details: str = ""
    on_map: str = ""
    on_globe: str = ""
    overlay: str = ""

    @property
    def short(self) -> str:
        """Class and coordinates below each other, for the narrow panel."""
        parts = (self.label, self.details)
        text = " · ".join(part for part in parts if part)
        text = text.replace(" %", "\N{NO-BREAK SPACE}%")  # keeps number and sign in one line
        return f"{text}\n{self.on_map or self._where}".strip()

    @property
    def _where(self) -> str:
        return f"row {self.pixel[0]}, col {self.pixel[1]}" if self.pixel is not None else ""

    @property
    def line(self) -> str:
        """Everything in one line, for the status bar."""
        place = self.on_map or self._where
        parts = (self.overlay, self.label, self.details, place, self.on_globe)
        return "  ·  ".join(part for part in parts if part)


class Cursor(QObject):
    """Follows the pointer over the canvas, and reports a `Reading` for each place.

    Parameters
    ----------
    viewer : napari.Viewer
    image : callable
        Returns the image layer that coordinates refer to, or None.
    layers : callable
        Returns the `SessionLayers`, or None.
    tell : callable
        Called with each new `Reading`.
    busy : callable
        Whether a task runs; then the second class is computed later.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Callable[[], Image | None],
        layers: Callable[[], LayerHost | None],
        tell: Callable[[Reading], object],
        busy: Callable[[], bool],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._image, self._layers, self._tell = image, layers, tell
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT)
        self._timer.timeout.connect(self.refresh)
        self.reading = Reading()
        self._second = SecondClass(busy, self.refresh, self)
        viewer.mouse_move_callbacks.append(self._on_moved)

    def end(self) -> None:
        """Stop following the pointer."""
        self._timer.stop()
        self._second.end()
        if self._on_moved in self._viewer.mouse_move_callbacks:
            self._viewer.mouse_move_callbacks.remove(self._on_moved)

    def _on_moved(self, _viewer: object, _event: object) -> None:
        self.look_soon()

    def look_soon(self, _event: object = None) -> None:
        """Read what lies under the pointer, a moment after the last move."""
        if not self._timer.isActive():
            self._timer.start()

    def refresh(self) -> None:
        """Read what lies under the pointer now, and report it."""
        reading = self.read(self._viewer.cursor.position)
        if reading != self.reading:
            self.reading = reading
            self._tell(reading)

    def read(self, position: Sequence[float]) -> Reading:
        """Return what lies at a position in napari's world coordinates."""
        layers, image = self._layers(), self._image()
        if layers is not None:
            image = layers.image
        if image is None or len(position) < 2:
            return Reading()
        on_map, on_globe = _coordinates(world_at(image, self._viewer), position)
        row, col = (math.floor(at + 0.5) for at in image.world_to_data(position)[-2:])
        data = image.data[0] if image.multiscale else image.data
        height, width = data.shape[:2] if image.rgb else data.shape[-2:]
        if not (0 <= row < height and 0 <= col < width):
            return Reading(None, "", "", on_map, on_globe)
        overlay = describe_feature_at(self._viewer, position)
        label, details = self._class_at(layers, row, col) if layers is not None else ("", "")
        return Reading((row, col), label, details, on_map, on_globe, overlay)

    def _class_at(self, layers: LayerHost, row: int, col: int) -> tuple[str, str]:
        """Return the name of the class that the top map shows at a pixel, and its details."""
        session = layers.session
        shown = next((n for n in reversed(layers.maps) if layers.maps[n].visible), "")
        shown = shown or session.document.corrected
        value = int(session.maps[shown].levels[0][row, col]) - 1
        if not 0 <= value < len(session.document.classes):
            return "", ""
        ranked = self._second.at(session, shown, row, col)
        if ranked is not None:
            sure = likely(ranked, value, session.document.classes)
        else:
            sure = _sure(session, shown, row, col)
        origin = _origin(session, shown, row, col, value + 1)
        return session.document.classes[value].name, ", ".join(filter(None, (sure, origin)))


def world_at(image: Image | None, viewer: Viewer) -> World | None:
    """Return the world of an image layer, or else of the viewer's layers; None without one."""
    if image is not None:
        world = image.metadata.get("napari_disca", {}).get(WORLD)
        return world if isinstance(world, World) else None
    return world_of(viewer.layers)


def _coordinates(world: World | None, position: Sequence[float]) -> tuple[str, str]:
    if world is None:
        return "", ""
    x, y = world.to_map(*position[-2:])
    on_map = map_text(world.crs, x, y)
    found = degrees(world.crs, x, y)
    on_globe = degrees_text(*found) if found is not None else ""
    return on_map, "" if on_globe == on_map else on_globe


def _sure(session: Session, shown: str, row: int, col: int) -> str:
    """Return how far the best class leads the second around a pixel, in words."""
    cells = session.uncertainty.get(shown)
    if cells is None:
        return ""
    sides = zip((row, col), session.raster.shape, session.network_view.shape, strict=True)
    place = [at * network // (image * CELL) for at, image, network in sides]
    place = [min(at, length - 1) for at, length in zip(place, cells.shape, strict=True)]
    sure = certainty(int(np.asarray(cells)[tuple(place)]))
    return "" if sure is None else f"{_percent(sure)} sure"


def _percent(share: float) -> str:
    if share < 0.005:  # no class has a likelihood of exactly 0 or 1
        return "under 1 %"
    return "over 99 %" if share > 0.995 else f"{100 * share:.0f} %"


def likely(ranked: tuple[Ranked, Ranked], value: int, classes: Sequence[LandClass]) -> str:
    """Return the best and the second class in words, for a pixel that is shown as `value`."""
    (first, most), (second, less) = ranked
    if first == value:
        return f"{_percent(most)}, then {classes[second].name} {_percent(less)}"
    names = f"{classes[first].name} {_percent(most)}, {classes[second].name} {_percent(less)}"
    return f"the network says {names}"


def _origin(session: Session, shown: str, row: int, col: int, value: int) -> str:
    """Return what decided the class of a pixel, in words."""
    if session.document.locked_at(row, col):
        return "locked"
    if shown != "initial" and session.document.drawn_at(row, col):
        return "drawn"
    if shown == "initial" or any(click.pixel == (row, col) for click in session.document.clicks):
        return "network's map" if shown == "initial" else "your click"
    first = int(session.maps["initial"].levels[0][row, col])
    if value == first:
        return "network's map"
    if shown == "disca" and int(session.maps["disir"].levels[0][row, col]) != value:
        return "adapted"
    return "corrected near a click"
