"""Paints over the canvas what is being drawn: the brush, its path, an unfinished outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QWidget

_ALPHA = 110
_RUBBER = "#ffffff"
#: Where the arms of the cross in an outlined place begin and end, from its middle.
_CROSS = 4.0, 11.0


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is painted, in pixels of the canvas.

    Attributes
    ----------
    way : sequence of (float, float)
        x and y of the path or outline so far.
    pointer : (float, float) or None
        Position of the pointer, if it is on the canvas.
    radius : float
        Radius of the brush; 0 for an outline.
    colour : str
        Colour of the class; empty while the brush erases.
    place : sequence of (float, float)
        x and y of the corners of an outlined place.
    middle : (float, float) or None
        The point in it that a verdict clicks.
    """

    way: Sequence[tuple[float, float]] = ()
    pointer: tuple[float, float] | None = None
    radius: float = 0.0
    colour: str = ""
    place: Sequence[tuple[float, float]] = ()
    middle: tuple[float, float] | None = None


class DrawOverlay(QWidget):
    """A transparent widget over the canvas that lets all events through.

    Parameters
    ----------
    canvas : QWidget
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        for attribute in (
            Qt.WidgetAttribute.WA_TransparentForMouseEvents,
            Qt.WidgetAttribute.WA_NoSystemBackground,
            Qt.WidgetAttribute.WA_TranslucentBackground,
        ):
            self.setAttribute(attribute)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sketch = Sketch()
        self.resize(canvas.size())
        self.hide()

    def show_sketch(self, sketch: Sketch) -> None:
        """Paint another sketch."""
        self.sketch = sketch
        self.setVisible(bool(sketch.way or sketch.place) or sketch.pointer is not None)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Paint the sketch."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        sketch = self.sketch
        colour = QColor(sketch.colour or _RUBBER)
        points = [QPointF(x, y) for x, y in sketch.way]
        if sketch.place:
            self._place(painter, sketch)
        if sketch.radius:
            self._brush(painter, sketch, colour, points)
        elif points:
            self._outline(painter, sketch, colour, points)
        painter.end()

    def _place(self, painter: QPainter, sketch: Sketch) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        corners = QPolygonF([QPointF(x, y) for x, y in sketch.place])
        for shade, width in ((QColor(0, 0, 0, 200), 5.0), (QColor(_RUBBER), 2.0)):
            painter.setPen(QPen(shade, width))
            painter.drawPolygon(corners)
            if sketch.middle is not None:
                centre = QPointF(*sketch.middle)
                for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                    arm = QPointF(x, y)
                    painter.drawLine(centre + arm * _CROSS[0], centre + arm * _CROSS[1])

    def _brush(
        self, painter: QPainter, sketch: Sketch, colour: QColor, points: list[QPointF]
    ) -> None:
        if points:
            faint = QColor(colour)
            faint.setAlpha(_ALPHA)
            round_pen = QPen(faint, 2 * sketch.radius)
            round_pen.setCapStyle(Qt.PenCapStyle.RoundCap)
            round_pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
            painter.setPen(round_pen)
            if len(points) == 1:
                painter.drawPoint(points[0])
            else:
                painter.drawPolyline(QPolygonF(points))
        if sketch.pointer is not None:
            centre = QPointF(*sketch.pointer)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            # A bright line with a dark rim: one of both is visible on any image.
            for shade, width in ((QColor(0, 0, 0, 160), 3.5), (colour, 1.8)):
                painter.setPen(QPen(shade, width))
                painter.drawEllipse(centre, sketch.radius, sketch.radius)

    def _outline(
        self, painter: QPainter, sketch: Sketch, colour: QColor, points: list[QPointF]
    ) -> None:
        whole = [*points, *([QPointF(*sketch.pointer)] if sketch.pointer is not None else [])]
        faint = QColor(colour)
        faint.setAlpha(_ALPHA // 2)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(faint)
        painter.drawPolygon(QPolygonF(whole))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for shade, width in ((QColor(0, 0, 0, 160), 4.0), (colour, 2.0)):
            painter.setPen(QPen(shade, width))
            painter.drawPolyline(QPolygonF(whole))
        painter.setPen(QPen(colour, 1.0, Qt.PenStyle.DashLine))
        painter.drawLine(whole[-1], whole[0])
        painter.setPen(QPen(QColor(0, 0, 0, 200), 1.5))
        painter.setBrush(colour)
        painter.drawEllipse(whole[0], 4.0, 4.0)
