"""Drawing tools: what mouse and keys do on the canvas while one is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_disca.annotations.areas import Area
from napari_disca.annotations.strokes import LARGEST, BrushPath
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.canvas.draw_overlay import DrawOverlay, Sketch
from napari_disca.gui.viewer.canvas.screen_grid import ScreenGrid
from napari_disca.gui.viewer.keys.key_filter import main_window

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.viewer.layers.session_layers import SessionLayers

#: What the mouse does: clicks in napari's layers, or a drawing tool.
ToolName: TypeAlias = Literal["click", "brush", "polygon", "lasso"]
TOOL_NAMES: tuple[ToolName, ...] = ("click", "brush", "polygon", "lasso")
HINTS = {
    "click": "Click: choose a class, then click on mistakes",
    "brush": "Brush: drag to draw, right-drag to erase; [ and ] change its size, Esc leaves it",
    "polygon": "Polygon: a click for each corner, Enter closes, Backspace takes a corner back, "
    "Esc leaves it",
    "lasso": "Lasso: drag around what is wrong, right-drag to erase; Esc leaves it",
}
#: First radius of the brush in pixels of the screen, and its least in pixels of the image.
_RADIUS, _LEAST = 14.0, 1
#: Factor by which a key changes the radius.
_LARGER = 1.25
#: Distance to the first corner at which a click closes the polygon, in pixels of the screen.
_CLOSE = 9.0
_LEFT, _RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


class DrawTool(QObject):
    """Turns movements of the mouse on the canvas into brush paths and outlines.

    Signals: ``drawn(BrushPath or Area, tool, erases)`` when one is complete; ``patch(row, col)``
    when a whole patch is to be filled; ``changed()`` when tool or size change; ``refused(str)``
    with the reason.

    Parameters
    ----------
    panel : QWidget
        Docked in the viewer's window.
    viewer : napari.Viewer
    layers : callable
        Returns the `SessionLayers`, or None.
    colour : callable
        Returns the colour of the class that is drawn.
    """

    drawn = Signal(object, str, bool)
    patch = Signal(int, int)
    changed = Signal()
    refused = Signal(str)

    def __init__(
        self,
        panel: QWidget,
        viewer: Viewer,
        layers: Callable[[], SessionLayers | None],
        colour: Callable[[], str],
    ) -> None:
        super().__init__(panel)
        self._panel, self._viewer, self._layers, self._colour = panel, viewer, layers, colour
        self.tool: ToolName = "click"
        #: Radius in pixels of the image; 0 until the brush is first chosen.
        self.radius = 0.0
        #: The outlined place, in pixels of the image.
        self._place: Window | None = None
        #: The pixel in it that is marked.
        self._middle: tuple[int, int] | None = None
        self._way: list[tuple[float, float]] = []
        self._button: Qt.MouseButton | None = None
        self._pointer: tuple[float, float] | None = None
        #: Whether the space bar is down, so that napari pans.
        self._pans = False
        self._canvas: QWidget | None = None
        self._overlay: DrawOverlay | None = None
        for event in (camera_of(viewer).events.center, camera_of(viewer).events.zoom):
            event.connect(self._show)

    def end(self) -> None:
        """Remove the tool from the canvas."""
        self._forget()
        for event in (camera_of(self._viewer).events.center, camera_of(self._viewer).events.zoom):
            event.disconnect(self._show)
        if self._canvas is not None:
            self._canvas.removeEventFilter(self)
        if self._overlay is not None:
            self._overlay.deleteLater()
        self._canvas = self._overlay = None

    # ------------------------------------------------------------------ choosing

    def choose(self, tool: ToolName) -> None:
        """Choose a tool; an unfinished path or outline is dropped."""
        self._forget()
        self.tool = tool
        self.watch()
        layers = self._layers()
        if tool == "brush" and not self.radius and layers is not None:
            self.set_radius(round(layers.screen_pixels(_RADIUS)))
        self._show()
        self.changed.emit()

    def choose_next(self) -> None:
        """Choose the next tool in turn."""
        self.choose(TOOL_NAMES[(TOOL_NAMES.index(self.tool) + 1) % len(TOOL_NAMES)])

    def set_radius(self, radius: float) -> None:
        """Set the radius of the brush, in pixels of the image."""
        radius = float(min(max(round(radius), _LEAST), LARGEST))
        if radius != self.radius:
            self.radius = radius
            self._show()
            self.changed.emit()

    def grow(self, steps: int) -> None:
        """Enlarge the brush by steps; negative ones shrink it."""
        now = self.radius or 1.0
        larger = now * _LARGER**steps
        # By one pixel at least.
        self.set_radius(max(now + 1, larger) if steps > 0 else min(now - 1, larger))

    def leave(self) -> None:
        """Drop an unfinished path or outline; if there is none, go back to clicks."""
        if self._way:
            self._forget()
            self._show()
        else:
            self.choose("click")

    def outline(self, place: Window | None, middle: tuple[int, int] | None = None) -> None:
        """Outline a window of the image, and mark a pixel in it; None removes the outline."""
        if (place, middle) != (self._place, self._middle):
            self._place, self._middle = place, middle
            self.watch()
            self._show()

    @property
    def is_active(self) -> bool:
        """Whether a drawing tool is chosen."""
        return self.tool != "click"

    @property
    def has_corners(self) -> bool:
        """Whether the polygon has corners."""
        return self.tool == "polygon" and bool(self._way)

    def pixel(self) -> tuple[int, int] | None:
        """Return row and column under the pointer; None outside the canvas."""
        grid = self._grid()
        if grid is None or self._pointer is None:
            return None
        row, col = grid.to_image(*self._pointer)
        return math.floor(row), math.floor(col)

    # ------------------------------------------------------------------ corners

    def close_outline(self) -> None:
        """Close the polygon that is being drawn."""
        if self.has_corners:
            self._finish(erases=False)

    def take_corner_back(self) -> None:
        """Remove the last corner of the polygon."""
        if self._way:
            self._way.pop()
            self._show()

    # ------------------------------------------------------------------ mouse

    def watch(self) -> None:
        """Listen to the mouse on the canvas, once there is one."""
        window = main_window(self._panel)
        if self._canvas is not None or window is None or window.centralWidget() is None:
            return
        canvases = not_none(window.centralWidget()).findChildren(QOpenGLWidget)
        if canvases:
            self._canvas = canvases[0]
            self._canvas.installEventFilter(self)
            self._canvas.setMouseTracking(True)
            self._overlay = DrawOverlay(self._canvas)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Handle events that belong to the tool; napari gets the others."""
        kind = not_none(event).type()
        if kind == QEvent.Type.Resize and self._overlay is not None:
            self._overlay.resize(not_none(self._canvas).size())
            QTimer.singleShot(0, self._show)  # after napari has handled the new size
        elif isinstance(event, QKeyEvent):
            if kind == QEvent.Type.ShortcutOverride:
                return False
            if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
                self._pans = kind == QEvent.Type.KeyPress
        elif kind == QEvent.Type.Leave:
            self._pointer = None
            self._show()
        elif isinstance(event, QMouseEvent):
            return self._on_mouse(event)
        return False

    def _on_mouse(self, event: QMouseEvent) -> bool:
        """Handle an event of the mouse; return whether it belongs to the tool."""
        kind = event.type()
        if kind == QEvent.Type.MouseMove:
            return self._on_moved(event)
        if kind == QEvent.Type.MouseButtonPress:
            return self._on_pressed(event)
        if kind == QEvent.Type.MouseButtonRelease:
            return self._on_released(event)
        return kind == QEvent.Type.MouseButtonDblClick and self._on_double(event)

    def _on_pressed(self, event: QMouseEvent) -> bool:
        self._see(event)
        grid, button = self._grid(), event.button()
        if grid is None or self._pans or button not in (_LEFT, _RIGHT):
            return False
        shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if shift and button == _LEFT and (self.is_active or self._clicks_are_armed()):
            place = self.pixel()
            assert place is not None
            self.patch.emit(*place)
            return True
        if not self.is_active:
            return False
        if not_none(self._layers()).comparing:
            self.refused.emit("Drawing needs one view: end the comparison first")
            return True
        if self.tool != "polygon":
            self._button = button
            self._way = [grid.to_image(*not_none(self._pointer))]
        elif button == _RIGHT:
            self.take_corner_back()
        elif len(self._way) >= 3 and self._is_at_first(grid):
            self._finish(erases=False)
        else:
            self._way.append(grid.to_image(*not_none(self._pointer)))
        self._show()
        return True

    def _on_moved(self, event: QMouseEvent) -> bool:
        self._see(event)
        grid = self._grid()
        if grid is None or not self.is_active:
            return False
        if self._button is not None:
            place = grid.to_image(*not_none(self._pointer))
            if place != self._way[-1]:
                self._way.append(place)
        self._show()
        # Moves without a button go on to napari, which reads what lies under the pointer.
        return self._button is not None

    def _on_released(self, event: QMouseEvent) -> bool:
        if self._button is None:
            return self.is_active and self._grid() is not None and not self._pans
        if event.button() == self._button:
            self._finish(erases=self._button == _RIGHT)
        return True

    def _on_double(self, event: QMouseEvent) -> bool:
        if not self.is_active or self._grid() is None:
            return False
        self._see(event)
        if self.tool == "polygon" and event.button() == _LEFT:
            self.close_outline()  # its first press has set the last corner
        else:
            self._on_pressed(event)
        return True

    def _clicks_are_armed(self) -> bool:
        """Whether a press would make a click; in other layers Shift has other meanings."""
        active = self._viewer.layers.selection.active
        return active in not_none(self._layers()).clicks and active.mode == "add"

    def _is_at_first(self, grid: ScreenGrid) -> bool:
        ((x, y),) = grid.to_screen(self._way[:1])
        assert self._pointer is not None
        return math.hypot(x - self._pointer[0], y - self._pointer[1]) <= _CLOSE

    def _finish(self, *, erases: bool) -> None:
        way, tool = tuple(self._way), self.tool
        self._forget()
        self._show()
        try:
            drawn = BrushPath(way, self.radius) if tool == "brush" else Area((way,))
        except AreaError as error:
            self.refused.emit(str(error))
            return
        self.drawn.emit(drawn, tool, erases)

    def _forget(self) -> None:
        self._way, self._button = [], None

    # ------------------------------------------------------------------ showing

    def _see(self, event: QMouseEvent) -> None:
        at = event.position()
        self._pointer = (float(at.x()), float(at.y()))

    def _grid(self) -> ScreenGrid | None:
        layers = self._layers()
        return None if layers is None else ScreenGrid(self._viewer, layers.image)

    def _show(self, _event: object = None) -> None:
        if self._overlay is None:
            return
        layers, place = self._layers(), self._place
        if layers is None or not (self.is_active or place) or layers.comparing:
            self._overlay.show_sketch(Sketch())
            return
        grid = ScreenGrid(self._viewer, layers.image)
        outline: list[tuple[float, float]] = []
        if place is not None:
            rows, cols = (place.top, place.bottom), (place.left, place.right)
            corners = [(rows[i], cols[j]) for i, j in ((0, 0), (0, 1), (1, 1), (1, 0))]
            outline = [(float(x), float(y)) for x, y in grid.to_screen(corners)]
        middle = None
        if self._middle is not None:
            ((x, y),) = grid.to_screen([(self._middle[0] + 0.5, self._middle[1] + 0.5)])
            middle = float(x), float(y)
        way = [(float(x), float(y)) for x, y in grid.to_screen(self._way)] if self._way else []
        radius = 0.0
        if self.tool == "brush":
            radius = self.radius / max(layers.screen_pixels(1), 1e-9)
        colour = "" if self._button == _RIGHT else self._colour()
        pointer = self._pointer if radius or self._way else None
        self._overlay.show_sketch(Sketch(way, pointer, radius, colour, outline, middle))
