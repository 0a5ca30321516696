"""Legend on the canvas: colours and keys of the classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from napari_disca.gui.toolkit.windows import canvas_widget
from napari_disca.gui.viewer.colours.colour_vision import lab, rgb_of
from napari_disca.networks.card import LandClass

if TYPE_CHECKING:
    from napari import Viewer

#: More lines would cover the image.
_MOST = 20
#: Lightness (CIELAB) from which on black letters are easier to read than white ones.
_LIGHT = 55
#: Opacity of the background of classes that the map does not show, and colour of their names.
_FAINT, _FAINT_LETTERS = 0.35, "#a8a8a8"
#: Pixels between the legend and the edges of the canvas.
_MARGIN = 8


class CanvasLegend:
    """Shows a line of text on its colour for each class, in a corner of the canvas.

    The lines are widgets on top of the canvas. As overlays of napari they would be drawn again
    with every frame, which took a third of a frame's time for five classes.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._box: LegendBox | None = None
        #: The arguments of the last `show`.
        self._listed: tuple[object, ...] = ()
        self.visible = True

    @property
    def lines(self) -> list[QLabel]:
        """The lines, the first class first."""
        return [] if self._box is None else self._box.lines

    def show(
        self,
        classes: Sequence[LandClass],
        alone: int | None = None,
        order: Sequence[int] | None = None,
        hidden: Collection[int] = (),
    ) -> None:
        """List classes in the legend.

        Parameters
        ----------
        classes : sequence of LandClass
        alone : int, optional
            The only class that the map shows.
        order : sequence of int, optional
            Order of the lines and their keys; as `classes` by default.
        hidden : collection of int
            Classes that the map does not show.
        """
        order = tuple(range(len(classes))) if order is None else tuple(order)
        listed = (tuple(classes), alone, order, frozenset(hidden))
        if listed == self._listed:
            return
        self.clear()
        self._listed = listed
        canvas = canvas_widget(self._viewer)
        if canvas is None:
            return
        self._box = LegendBox(canvas)
        for i, label in enumerate(order[:_MOST]):
            seen = alone == label or (alone is None and label not in hidden)
            self._box.add(f"{i + 1}  " if i < 9 else "    ", classes[label], faint=not seen)
        self._box.place()
        self._box.setVisible(self.visible)

    def toggle(self) -> None:
        """Show the legend if it is hidden, else hide it."""
        self.set_visible(not self.visible)

    def set_visible(self, visible: bool) -> None:
        """Show or hide the legend, now and for later classes."""
        self.visible = visible
        if self._box is not None:
            self._box.setVisible(visible)

    def clear(self) -> None:
        """Remove the legend from the canvas."""
        if self._box is not None:
            with suppress(RuntimeError):  # Qt has deleted it where the window is closed
                self._box.hide()
                self._box.deleteLater()
        self._box, self._listed = None, ()


class LegendBox(QFrame):
    """The lines of the legend, in the lower left corner of a canvas; the mouse passes through.

    Parameters
    ----------
    canvas : QWidget
    """

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setAccessibleName("Legend")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setStyleSheet("background: transparent")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(2)
        self.lines: list[QLabel] = []
        self._canvas = canvas
        canvas.installEventFilter(self)

    def add(self, key: str, land: LandClass, *, faint: bool) -> None:
        """Add the line of a class below the others.

        Parameters
        ----------
        key : str
            The key of the class, with the space that follows it.
        land : LandClass
        faint : bool
            Whether the map does not show the class.
        """
        red, green, blue = (round(255 * value) for value in rgb_of(land.color))
        letters = "black" if lab(rgb_of(land.color))[0] > _LIGHT else "white"
        line = QLabel(f"{key}{land.name}")
        line.setTextFormat(Qt.TextFormat.PlainText)
        line.setStyleSheet(
            f"background-color: rgba({red}, {green}, {blue}, {_FAINT if faint else 1}); "
            f"color: {_FAINT_LETTERS if faint else letters}; padding: 2px 6px; font-size: 9pt"
        )
        self._layout.addWidget(line, alignment=Qt.AlignmentFlag.AlignLeft)
        self.lines.append(line)

    def place(self) -> None:
        """Move the legend into the corner of the canvas."""
        self.adjustSize()
        self.move(_MARGIN, max(_MARGIN, self._canvas.height() - self.height() - _MARGIN))

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802, Qt's
        """Follow the lower edge of the canvas."""
        if event is not None and event.type() == QEvent.Type.Resize:
            self.place()
        return False
