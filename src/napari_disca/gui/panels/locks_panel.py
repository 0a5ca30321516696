"""Areas that are checked: draw, lock, unlock, save; and what they kept from changing."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.panels.styles import GREY

#: Verb -> (row, column, text, tooltip).
_BUTTONS = {
    "draw": (0, 0, "Lock area", "Draw an outline, a corner with each click; double-click ends it"),
    "view": (0, 1, "Lock view", "Lock all that is in view"),
    "unlock": (0, 2, "Unlock", "Let the areas that are selected in the layer change again"),
    "save": (1, 0, "Save areas…", "Write the areas as GeoJSON in map coordinates"),
    "load": (1, 1, "Load areas…", "Lock the areas of a GeoJSON file as the map shows them now"),
}


class LocksPanel(QWidget):
    """The verbs of locked areas as buttons. Signals are named after them."""

    draw = Signal()
    view = Signal()
    unlock = Signal()
    save = Signal()
    load = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        grid = QGridLayout()
        grid.setSpacing(4)
        for name, (row, column, text, _) in _BUTTONS.items():
            button = QPushButton(text)
            self.buttons[name] = button
            grid.addWidget(button, row, column)
            button.clicked.connect(getattr(self, name).emit)
        self.figure = QLabel()
        self.figure.setWordWrap(True)
        self.figure.setStyleSheet(GREY)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.figure)

    def enable(self, **reasons: str) -> None:
        """Enable buttons by name, or disable them for a reason, which the tooltip then tells."""
        for name, reason in reasons.items():
            button, tip = self.buttons[name], _BUTTONS[name][3]
            button.setEnabled(not reason)
            button.setToolTip(f"{tip}.\nNot now: {reason}" if reason else tip)

    def show_counts(self, areas: int, locked: int, flipped: int, adapted: bool) -> None:
        """Say how much is locked, and how much of it would have changed."""
        if not areas:
            text = "Lock what is right: it stays as it is, and Adapt learns from it"
        else:
            text = f"{areas} area{'s' * (areas != 1)}, {locked:,} pixels"
            if adapted and locked:
                text += (
                    f"; the last adaptation would have changed {flipped:,} of them "
                    f"({flipped / locked:.1%})"
                )
        self.figure.setText(text)
