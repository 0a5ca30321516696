"""Makes what is drawn on the canvas a step of the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_disca.core.events import finish
from napari_disca.gui.panels.correction.draw_panel import DrawPanel
from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.gui.toolkit.waiting import run_on_thread
from napari_disca.gui.viewer.canvas.draw_tool import HINTS, DrawTool, ToolName
from napari_disca.session.steps.strokes import Stroke

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.utils.events import Event

    from napari_disca.annotations.areas import Area
    from napari_disca.annotations.strokes import BrushPath, Tool
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.session import Session

#: Modes of napari's Labels layers that would write into a map, and our tool for each.
_OF_NAPARI: dict[str, ToolName] = {
    "paint": "brush",
    "erase": "brush",
    "polygon": "polygon",
    "fill": "click",
}
#: Pixels of a stroke among which locked ones are counted.
_COUNTED = 1 << 22


class DrawController(QObject):
    """Makes strokes of the session from brush, outlines and patches.

    Parameters
    ----------
    panel : DrawPanel
    tool : DrawTool
    control : Control
    say : callable
        Shows a line in the status bar.
    parent : QObject
    """

    def __init__(
        self,
        panel: DrawPanel,
        tool: DrawTool,
        control: Control,
        say: Callable[[str], object],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.panel, self.tool, self._control, self._say = panel, tool, control, say
        #: Map layers whose own tools are watched.
        self._guarded: list[Labels] = []
        tool.drawn.connect(self._on_drawn)
        tool.patch.connect(self.fill)
        tool.changed.connect(self._on_tool)
        tool.refused.connect(say)
        panel.chosen.connect(tool.choose)
        panel.sized.connect(tool.set_radius)
        control.changed.connect(self._on_changed)
        self._on_changed()

    def verbs(self) -> dict[str, Callable[..., object]]:
        """Actions of the drawing keys by verb; verbs with buttons are not among them."""
        tool = self.tool
        return {
            "next_tool": self._next,
            "smaller_brush": lambda: tool.grow(-1),
            "larger_brush": lambda: tool.grow(1),
            "corner_back": tool.take_corner_back,
            "fill_patch": self.fill_under_pointer,
        }

    def when(self) -> dict[str, Callable[[], bool]]:
        """Conditions under which some keys draw; otherwise they keep other meanings."""
        tool = self.tool
        return {
            "smaller_brush": lambda: tool.tool == "brush",
            "larger_brush": lambda: tool.tool == "brush",
            "corner_back": lambda: tool.has_corners,
        }

    def end(self) -> None:
        """Stop listening to the canvas and to the map layers."""
        self.tool.end()
        self._guard([])

    # ------------------------------------------------------------------ drawing

    def _next(self) -> None:
        if self._session() is None:
            self._say("There is no map yet: press Segment")
        else:
            self.tool.choose_next()

    def _session(self) -> Session | None:
        """The session; None while it has no map."""
        session = self._control.session
        if session is None or not session.maps["disir"].levels[-1].any():
            return None
        return session

    def _on_drawn(self, drawn: BrushPath | Area, tool: Tool, erases: bool) -> None:
        session, layers = self._session(), self._control.layers
        if session is None or layers is None:
            return
        label = None if erases else layers.label
        only = () if erases else self.panel.only
        teaches = self.panel.teaches.isChecked()
        self._draw(
            session,
            lambda: session.drawing.draw(drawn, label, tool=tool, only=only, teaches=teaches),
        )

    def fill_under_pointer(self) -> None:
        """Give the patch under the pointer the chosen class."""
        place = self.tool.pixel()
        if self._session() is None or place is None:
            self._say("Move the pointer over a patch of the map first")
        else:
            self.fill(*place)

    def fill(self, row: int, col: int) -> None:
        """Give the patch at a pixel the chosen class."""
        session, layers = self._session(), self._control.layers
        if session is None or layers is None:
            return
        label, teaches = layers.label, self.panel.teaches.isChecked()

        def draw() -> Stroke | None:
            # A patch may be as large as the image.
            found = run_on_thread(lambda: finish(session.drawing.patch(row, col)))
            if session is not self._control.session:
                return None
            return session.drawing.draw(found, label, tool="patch", teaches=teaches)

        self._draw(session, draw)

    def _draw(self, session: Session, draw: Callable[[], Stroke | None]) -> None:
        made: list[Stroke | None] = []
        if guarded(lambda: made.append(draw())) and made[0] is not None:
            self._control.say(_message(made[0], session), of_step=True)

    # ------------------------------------------------------------------ following

    def _on_tool(self) -> None:
        tool = self.tool
        self.panel.show_tool(tool.tool, tool.radius)
        self._say(HINTS[tool.tool])

    def _on_changed(self) -> None:
        session = self._session()
        self.panel.enable(
            "" if session is not None else "there is no map yet: press Segment",
            "" if session is not None and session.document.strokes else "nothing was drawn",
        )
        if session is None and self.tool.is_active:
            self.tool.choose("click")
        if session is not None:
            self.panel.show_classes(session.document.classes)
            self.tool.watch()
        layers = self._control.layers
        self._guard(list(layers.maps.values()) if layers is not None else [])

    def _guard(self, maps: list[Labels]) -> None:
        """Listen to napari's own tools on the maps: what they write would be in no history."""
        for layer in self._guarded:
            if layer not in maps:
                layer.events.mode.disconnect(self._on_mode)
        for layer in maps:
            if layer not in self._guarded:
                layer.events.mode.connect(self._on_mode)
        self._guarded = maps

    def _on_mode(self, event: Event) -> None:
        layer = event.source
        ours = _OF_NAPARI.get(str(layer.mode))
        if ours is None:
            return
        layer.mode = "pan_zoom"
        self.tool.choose(ours)
        if ours == "click":
            self._say("Shift+click gives a whole patch the chosen class")


def _message(stroke: Stroke, session: Session) -> str:
    """Return how many pixels a stroke has drawn or erased, in one line."""
    count = len(stroke.area)
    if stroke.label is None:
        return f"Erased what was drawn there: {count:,} pixels show the network's map"
    text = f"Drew {count:,} pixels of {session.document.classes[stroke.label].name}"
    if any(stroke.area.window & lock.area.window for lock in session.document.locks):
        text += "; what is locked stays as it was"
    return text
