"""Layer of an overlay: vectors over an image, which cannot be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Points, Shapes, Vectors
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_disca.gui.toolkit.windows import draw_one_in_thumbnail, is_open
from napari_disca.gui.viewer.canvas.camera import camera_of, view_size
from napari_disca.gui.viewer.layers.following import pixel_size
from napari_disca.gui.viewer.layers.overlay_lines import OverlayLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari import Viewer
    from napari.layers import Layer
    from napari.utils.events import EventEmitter

Floats = NDArray[np.float64]

#: Key of the `OverlayLayer` in ``layer.metadata["napari_disca"]``.
OVERLAY = "overlay"
#: Colours in turn: visible on fields, roofs and water, and unlike those of classes.
COLOURS = ("#00e5ff", "#ffea00", "#ff5fd7", "#ffffff", "#ff9100")
#: Width of a line in pixels of the screen.
_WIDTH = 1.6
#: Distance in pixels of the screen at which the pointer still hits a line.
_REACH = 5.0
#: Milliseconds for which the view rests before its lines are drawn.
_REST = 60
#: Margin around the view in which lines are drawn for the next move, in sides of the view.
_BEYOND = 0.5


class OverlayLayer(QObject):
    """The napari layer of an overlay, which holds the lines in view.

    napari has no layer that draws a hundred thousand lines while the view moves. So this one gets
    the lines in view, no finer than the screen, whenever the view rests.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
        The image below the overlay.
    lines : OverlayLines
    name, colour : str
    placement : dict
        Placement of the image; see `Following.placement`.
    """

    def __init__(
        self,
        viewer: Viewer,
        image: Image,
        lines: OverlayLines,
        name: str,
        colour: str,
        placement: dict[str, Any],
    ) -> None:
        super().__init__()
        self._viewer, self.image, self.lines = viewer, image, lines
        self._drawn: tuple[Floats, Floats, float] | None = None
        #: Whether all lines in view are drawn.
        self.complete = True
        # An invisible line, because an empty layer forgets its colour.
        self.layer = Vectors(
            np.zeros((1, 2, 2)),
            name=name,
            edge_color=colour,
            edge_width=self._width(),
            vector_style="line",
            metadata={"napari_disca": {OVERLAY: self}},
            **placement,
        )
        self.layer.editable = False
        draw_one_in_thumbnail(self.layer)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST)
        self._timer.timeout.connect(self.draw)
        for event in self._events():
            event.connect(self._later)
        self.draw()

    def end(self) -> None:
        """Stop following the view."""
        self._timer.stop()
        for event in self._events():
            event.disconnect(self._later)

    def _events(self) -> tuple[EventEmitter, ...]:
        camera = camera_of(self._viewer).events
        return camera.zoom, camera.center, self.layer.events.visible

    def _later(self, _event: object = None) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def draw(self) -> None:
        """Draw the lines in view, unless they are drawn already."""
        if not is_open(self._viewer) or not self.layer.visible:
            return
        low, high, pixel = self._view()
        if self._drawn is not None:
            drawn_low, drawn_high, drawn_pixel = self._drawn
            beyond = (low < drawn_low).any() or (high > drawn_high).any()
            if not beyond and 0.8 < pixel / drawn_pixel < 1.25:
                return
        around = _BEYOND * (high - low)
        low, high = low - around, high + around
        self._drawn = low, high, pixel
        vectors, self.complete = self.lines.in_view(low, high, pixel)
        layer = self.layer
        if not len(vectors):
            vectors = np.zeros((1, 2, 2))
        width, colour = layer.edge_width, layer.edge_color[0]
        layer.data = vectors
        if not np.allclose(layer.edge_color, colour):
            layer.edge_color = colour  # napari gives new lines the layer's first colour
        layer.editable = False  # setting the data resets it
        if not 0.8 < width / self._width() < 1.25:
            layer.edge_width = self._width()

    def _view(self) -> tuple[Floats, Floats, float]:
        """Return first and last row and column in view, and image pixels per screen pixel."""
        camera, size = camera_of(self._viewer), np.array(view_size(self._viewer))
        middle = np.asarray(camera.center[-2:], float)
        half = size / 2 / max(float(camera.zoom), 1e-12)
        corners = [
            self.image.world_to_data(self._whole(middle + half * sign))[-2:]
            for sign in ((-1, -1), (-1, 1), (1, -1), (1, 1))
        ]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0)
        return low, high, self._screen_pixel()

    def _whole(self, place: Floats) -> list[float]:
        """Return a position in the world with a number for each axis of the image."""
        return [0.0] * (self.image.ndim - 2) + [float(value) for value in place]

    def _screen_pixel(self) -> float:
        """Return the image pixels per screen pixel."""
        zoom = camera_of(self._viewer).zoom * pixel_size(self.image)
        return 1 / max(float(zoom), 1e-6)

    def _width(self) -> float:
        return _WIDTH * self._screen_pixel()

    def describe_at(self, position: Sequence[float]) -> str:
        """Return the attributes of the feature at a position in the world; empty without one."""
        if not self.layer.visible:
            return ""
        row, col = self.image.world_to_data(position)[-2:]
        feature = self.lines.at(float(row), float(col), _REACH * self._screen_pixel())
        if feature is None:
            return ""
        attributes = self.lines.describe(feature)
        return f"{self.layer.name}: {attributes}" if attributes else str(self.layer.name)


def overlay_of(layer: Layer) -> OverlayLayer | None:
    """Return the overlay that a layer shows, or None."""
    found = layer.metadata.get("napari_disca", {}).get(OVERLAY)
    return found if isinstance(found, OverlayLayer) else None


def describe_feature_at(viewer: Viewer, position: Sequence[float]) -> str:
    """Return the attributes of the topmost feature at a position; empty without one."""
    for layer in reversed(viewer.layers):
        overlay = overlay_of(layer)
        text = overlay.describe_at(position) if overlay is not None else ""
        if text:
            return text
    return ""


def put_on_top(viewer: Viewer) -> None:
    """Move overlays above all images and maps, and below clicks, areas and shapes."""
    if viewer.canvas.grid.enabled:
        return  # napari counts the layers of a view
    layers = viewer.layers
    for layer in [layer for layer in layers if overlay_of(layer) is not None]:
        above = [other for other in layers if _is_ours_to_draw(other)]
        place, now = layers.index(above[0]) if above else len(layers), layers.index(layer)
        covered = any(overlay_of(other) is None for other in layers[now + 1 : place])
        if covered or now > place:
            layers.move(now, place)


def _is_ours_to_draw(layer: Layer) -> bool:
    return isinstance(layer, Points | Shapes) and "napari_disca" in layer.metadata
