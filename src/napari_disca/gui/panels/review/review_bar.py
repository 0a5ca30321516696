"""Shows how much of the map was seen and checked, as a thin bar and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.panels.parts.styles import CHECKED, EXPLAINS, SEEN
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME

#: Colour of what was not seen: faint on both themes, or the bar would look full.
_REST = QColor(128, 128, 128, 60)


class ReviewBar(QWidget):
    """A thin bar with its shares in words, the keys that judge a place, and buttons.

    Signals: ``next_tile()``, ``save_review()``.
    """

    next_tile = Signal()
    save_review = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verbs: Mapping[str, Verb] = BY_NAME
        self.buttons: dict[str, QPushButton] = {}
        for name in ("next_tile", "save_review"):
            button = self.buttons[name] = QPushButton(self.verbs[name].title)
            button.clicked.connect(getattr(self, name).emit)
        self.bar = _Bar()
        self.words = QLabel()
        self.words.setStyleSheet(EXPLAINS)
        self.words.setWordWrap(True)
        self.how = QLabel()
        self.how.setWordWrap(True)
        self.how.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.bar)
        layout.addWidget(self.words)
        layout.addWidget(self.how)
        self.setToolTip(
            "Shares of the finished map: green was checked (judged right or wrong), grey only seen"
        )
        self.show_shares(0.0, 0.0, 0)

    def enable(self, mapless: str, unmarked: str) -> None:
        """Enable the buttons, or disable them for a reason, which their tooltips then give."""
        for name, reason in (("next_tile", mapless), ("save_review", unmarked)):
            set_enabled(self.buttons[name], self.verbs[name].tooltip, reason)

    def show_how(self, line: str) -> None:
        """Show how the outlined place is judged; an empty line hides it."""
        self.how.setText(line)
        self.how.setVisible(bool(line))

    def show_shares(self, seen: float, checked: float, notes: int) -> None:
        """Show the shares (0 to 1) of seen and checked pixels, and the number of notes."""
        self.bar.seen, self.bar.checked = seen, checked
        self.bar.update()
        text = f"{_percent(seen)} seen, {_percent(checked)} checked"
        if notes:
            text += f", {notes} note{'s' * (notes != 1)}"
        self.words.setText(text)
        self.bar.setAccessibleName(text)


def _percent(share: float) -> str:
    """Return a share in per cent, rounded down: 100 % means all, and a little is not 0 %."""
    return "under 1 %" if 0 < share < 0.01 else f"{math.floor(100 * share)} %"


class _Bar(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.seen = self.checked = 0.0
        self.setFixedHeight(self.fontMetrics().height() // 3 + 1)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802
        painter = QPainter(self)
        for share, colour in (
            (1.0, _REST),
            (self.seen, QColor(SEEN)),
            (self.checked, QColor(CHECKED)),
        ):
            painter.fillRect(0, 0, round(share * self.width()), self.height(), colour)
        painter.end()
