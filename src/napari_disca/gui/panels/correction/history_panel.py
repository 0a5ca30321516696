"""Lists the steps of the session, to go back and forth in."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QListWidget, QVBoxLayout, QWidget

from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.session.steps.steps import Step

_ROWS = 5


class HistoryPanel(QWidget):
    """The steps of the session, the latest at the bottom.

    Signals: ``went(position)`` when the user chooses a step.
    """

    went = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget()
        self.list.setAccessibleName("History")
        self.list.setToolTip(
            "All steps. Choose one to go back to it; the steps after it stay until you do "
            "something new (Ctrl+Z and Ctrl+Shift+Z go step by step)"
        )
        self.list.setUniformItemSizes(True)
        self.list.itemClicked.connect(lambda item: self.went.emit(self.list.row(item)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        heading = QLabel("History")
        heading.setStyleSheet(EXPLAINS)
        layout.setSpacing(2)
        layout.addWidget(heading)
        layout.addWidget(self.list)
        self._steps: tuple[Step, ...] = ()
        self._position = -1

    def show_steps(self, steps: Sequence[Step], position: int) -> None:
        """List the steps; those after `position` are undone, in italics."""
        steps = tuple(steps)
        if steps == self._steps and position == self._position:
            return
        # Only changed rows are replaced: a session may have thousands of steps.
        pairs = zip(steps, self._steps, strict=False)
        same = next((k for k, (a, b) in enumerate(pairs) if a is not b), None)
        if same is None:
            same = min(len(steps), len(self._steps))
        while self.list.count() > same:
            self.list.takeItem(self.list.count() - 1)
        for step in steps[same:]:
            self.list.addItem(step.title[:1].upper() + step.title[1:])
        first = same if self._position < 0 else min(same, self._position, position)
        for row in range(max(0, first), self.list.count()):
            item = not_none(self.list.item(row))
            font = item.font()
            font.setBold(row == position)
            # No colour of its own: it would stay when the theme changes.
            font.setItalic(row > position)
            item.setFont(font)
        self._steps, self._position = steps, position
        height = max(self.list.sizeHintForRow(0), self.fontMetrics().height())
        rows = min(max(self.list.count(), 1), _ROWS)
        self.list.setFixedHeight(rows * height + self.fontMetrics().height() // 2)
        if 0 <= position < self.list.count():
            self.list.setCurrentRow(position)
            self.list.scrollToItem(self.list.item(position))
