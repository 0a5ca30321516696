"""Lists the places of a review: judged ones, the outlined one, and those to come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_disca.core.tiling import Window
from napari_disca.gui.panels.parts.rows import go_along
from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.panels.review.minimap import MiniMap
from napari_disca.gui.toolkit.not_none import not_none

#: States of a place: a sign, and a word for those who do not know the sign.
STATES = {
    "open": ("○", "to be judged"),
    "seen": ("·", "seen"),
    "right": ("✓", "right"),
    "wrong": ("✗", "wrong"),
    "unsure": ("?", "not sure"),
    "note": ("✎", "note"),
}


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """A row of the list.

    Attributes
    ----------
    window : Window
        The place, in pixels of the image.
    middle : (int, int)
        Row and column at which a correction is clicked.
    state : str
        Key of `STATES`.
    words : str
        Text after the state.
    note : str
    """

    window: Window
    middle: tuple[int, int]
    state: str
    words: str
    note: str = ""

    @property
    def line(self) -> str:
        """The place as a row of the list."""
        sign, word = STATES[self.state]
        parts = [self.words] if self.state == "open" else [word, self.words]
        if self.note and self.state != "note":
            sign += STATES["note"][0]
        return f"{sign} " + ", ".join(part for part in parts if part)


class ReviewQueue(QWidget):
    """The list of places beside the minimap.

    Signals: ``visited(QueuePlace)`` when a place is chosen by mouse or arrow keys.
    """

    visited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._places: tuple[QueuePlace, ...] = ()
        self.minimap = MiniMap()
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.title.setStyleSheet(EXPLAINS)
        self.list = QListWidget()
        self.list.setUniformItemSizes(True)
        self.list.setAccessibleName("Places of the review")
        self.list.setToolTip("Choose a place to go there; then judge it by key")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.currentRowChanged.connect(self._on_row)
        right = QVBoxLayout()
        right.setSpacing(2)
        right.addWidget(self.title)
        right.addWidget(self.list, 1)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.minimap, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(right, 1)
        self.setFixedHeight(self.minimap.sizeHint().height())

    @property
    def places(self) -> tuple[QueuePlace, ...]:
        """The listed places."""
        return self._places

    def go_along(self, steps: int) -> None:
        """Choose the place some rows further down (or up), or the last one before the end."""
        go_along(self.list, steps, len(self._places))

    def show_places(
        self, places: Sequence[QueuePlace], current: Window | None, summary: str, more: int = 0
    ) -> None:
        """List places.

        Parameters
        ----------
        places : sequence of QueuePlace
        current : Window or None
            The place that is outlined.
        summary : str
            Line above the list.
        more : int
            Number of further places that are not listed.
        """
        self.list.blockSignals(True)
        if tuple(places) != self._places or self.list.count() != len(places) + bool(more):
            self._places = tuple(places)
            self.list.clear()
            for place in self._places:
                item = QListWidgetItem(place.line)
                item.setToolTip(place.note or STATES[place.state][1])
                self.list.addItem(item)
            if more:
                last = QListWidgetItem(f"… and {more:,} more")
                last.setFlags(Qt.ItemFlag.NoItemFlags)
                self.list.addItem(last)
        rows = [i for i, place in enumerate(self._places) if place.window == current]
        self.list.setCurrentRow(rows[-1] if rows else -1)
        if rows:
            self.list.scrollToItem(not_none(self.list.item(rows[-1])))
        self.list.blockSignals(False)
        self.title.setText(summary)
        self.title.setVisible(bool(summary))

    def _on_row(self, row: int) -> None:
        if 0 <= row < len(self._places):
            self.visited.emit(self._places[row])
