"""Overview of the whole image: what was checked, and where the view is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_disca.core.tiling import Window
from napari_disca.gui.panels.parts.styles import CHECKED, SEEN, WRONG
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.key_filter import MOVED_BY_ARROWS

#: Side of the square in lines of text.
_LINES = 8
#: Frames of the view and of the place being judged: white and yellow are seen on any image.
_VIEW, _PLACE = "#ffffff", "#ffe14d"
#: Colour over a place by its verdict: brighter than the image, or darker.
_COLOURS = {"right": CHECKED, "wrong": WRONG, "unsure": SEEN, "note": SEEN, "seen": SEEN}
_OPACITY = 130
#: Least side of a frame in pixels of the screen: a small view would be a point.
_LEAST = 5.0
_ARROWS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}


class MiniMap(QWidget):
    """The whole image in small; a click, a drag or an arrow key moves the view.

    Signals: ``chosen(row, col)`` in pixels of the image.
    """

    chosen = Signal(float, float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shape = (1, 1)
        self._picture: QImage | None = None
        self._marks: Sequence[tuple[Window, str]] = ()
        self.view: Window | None = None
        self.place: Window | None = None
        self.setAccessibleName("Overview of the image")
        self.setAccessibleDescription("Click, or use the arrow keys, to move the view")
        self.setToolTip(
            "The whole image: green was judged right, red was wrong and is corrected, grey was "
            "only seen. The white frame is the view; click or drag to move it"
        )
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setProperty(MOVED_BY_ARROWS, True)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return a square, `_LINES` lines of text high."""
        side = _LINES * self.fontMetrics().lineSpacing()
        return QSize(side, side)

    def show_image(self, shape: tuple[int, int], picture: NDArray[np.uint8] | None) -> None:
        """Show an image.

        Parameters
        ----------
        shape : (int, int)
            Height and width of the image.
        picture : (rows, cols, 3) array of uint8, or None
            Its colours; None while they are not read.
        """
        self._shape = shape
        self._picture = None
        if picture is not None:
            rows, cols = picture.shape[:2]
            data = np.ascontiguousarray(picture).tobytes()
            form = QImage.Format.Format_RGB888
            self._picture = QImage(data, cols, rows, 3 * cols, form).copy()  # outlives `data`
        self.update()

    def show_state(
        self,
        view: Window | None,
        place: Window | None,
        marks: Sequence[tuple[Window, str]] | None = None,
    ) -> None:
        """Show the view, the place being judged, and the verdicts.

        Parameters
        ----------
        view, place : Window or None
            In pixels of the image.
        marks : sequence of (Window, str), optional
            Places and verdicts, oldest first; as before by default.
        """
        same_marks = marks is None or marks is self._marks
        if same_marks and (view, place) == (self.view, self.place):
            return
        self.view, self.place = view, place
        if marks is not None:
            self._marks = marks
        self.update()

    # ------------------------------------------------------------------ mouse and keys

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Move the view to the pointer."""
        self._point_at(not_none(event))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802
        """Move the view with the pointer."""
        self._point_at(not_none(event))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802
        """Move the view by half its side with an arrow key."""
        step = _ARROWS.get(Qt.Key(not_none(event).key()))
        if step is None or self.view is None:
            super().keyPressEvent(event)
            return
        row, col = self.view.centre
        self._choose(row + step[0] * self.view.height / 2, col + step[1] * self.view.width / 2)

    def _point_at(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            area, at = self._area(), event.position()
            row = (at.y() - area.top()) / area.height() * self._shape[0]
            self._choose(row, (at.x() - area.left()) / area.width() * self._shape[1])

    def _choose(self, row: float, col: float) -> None:
        height, width = self._shape
        self.chosen.emit(min(max(row, 0.0), height - 1.0), min(max(col, 0.0), width - 1.0))

    # ------------------------------------------------------------------ drawing

    def _area(self) -> QRectF:
        """Return the rectangle in which the image is drawn."""
        height, width = self._shape
        scale = min(self.width() / width, self.height() / height)
        size = (max(width * scale, 1.0), max(height * scale, 1.0))
        return QRectF((self.width() - size[0]) / 2, (self.height() - size[1]) / 2, *size)

    def _rectangle(self, window: Window, area: QRectF) -> QRectF:
        down, across = area.height() / self._shape[0], area.width() / self._shape[1]
        return QRectF(
            area.left() + window.left * across,
            area.top() + window.top * down,
            window.width * across,
            window.height * down,
        )

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        """Draw image, verdicts, place and view, one over the other."""
        painter, area = QPainter(self), self._area()
        painter.fillRect(area, QColor(SEEN).darker(300))
        if self._picture is not None:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(area, self._picture)
        for window, verdict in self._marks:
            colour = QColor(_COLOURS.get(verdict, SEEN))
            colour.setAlpha(_OPACITY)
            painter.fillRect(self._rectangle(window, area), colour)
        for window_, colour_, width in ((self.place, _PLACE, 2.0), (self.view, _VIEW, 1.5)):
            if window_ is not None:
                self._frame(painter, self._rectangle(window_, area), colour_, width)
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2.0))
            painter.drawRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.end()

    def _frame(self, painter: QPainter, box: QRectF, colour: str, width: float) -> None:
        """Draw a frame with a dark rim, so that it is seen on bright and dark images."""
        centre, size = box.center(), box.size()
        size.setWidth(max(size.width(), _LEAST))
        size.setHeight(max(size.height(), _LEAST))
        box = QRectF(QPointF(), size)
        box.moveCenter(centre)
        for pen in (QPen(QColor(0, 0, 0, 160), width + 2), QPen(QColor(colour), width)):
            painter.setPen(pen)
            painter.drawRect(box)
