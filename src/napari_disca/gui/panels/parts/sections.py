"""Sections of the panel, each with a heading that folds it."""

from __future__ import annotations

from collections.abc import Iterable

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QAbstractButton, QGridLayout, QToolButton, QVBoxLayout, QWidget

#: Buttons in a row; more would make the panel too wide.
_COLUMNS = 3


class Section(QWidget):
    """A heading, and the content that it folds away.

    Folded content is hidden, not squeezed, so that it cannot get the focus.

    Signals: ``folded(bool)``.

    Parameters
    ----------
    title : str
    """

    folded = Signal(bool)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = QToolButton()
        self.heading.setText(title)
        self.heading.setAccessibleName(f"Section {title}")
        self.heading.setCheckable(True)
        self.heading.setChecked(True)
        self.heading.setAutoRaise(True)
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        font = self.heading.font()
        font.setBold(True)
        self.heading.setFont(font)
        self.content = QWidget()
        self._rows = QVBoxLayout(self.content)
        self._rows.setContentsMargins(0, 0, 0, 2)
        self._rows.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.heading)
        layout.addWidget(self.content)
        self.heading.toggled.connect(self._on_toggled)
        self._on_toggled(True)

    def add(self, *widgets: QWidget) -> None:
        """Add widgets below each other."""
        for widget in widgets:
            self._rows.addWidget(widget)

    def add_first(self, widget: QWidget) -> None:
        """Add a widget above all others."""
        self._rows.insertWidget(0, widget)

    def add_buttons(self, buttons: Iterable[QAbstractButton]) -> None:
        """Add buttons in rows."""
        grid = QGridLayout()
        grid.setSpacing(4)
        for i, button in enumerate(buttons):
            grid.addWidget(button, i // _COLUMNS, i % _COLUMNS)
        self._rows.addLayout(grid)

    def fold(self, away: bool) -> None:
        """Fold the section away, or open it."""
        self.heading.setChecked(not away)

    def _on_toggled(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.heading.setArrowType(arrow)
        self.content.setVisible(opened)
        self.updateGeometry()  # needed while the window is not shown yet
        self.folded.emit(not opened)


def describe(buttons: Iterable[QAbstractButton]) -> None:
    """Set names and descriptions of buttons for screen readers."""
    for button in buttons:
        button.setAccessibleName(button.text().rstrip("…"))
        button.setAccessibleDescription(button.toolTip())
