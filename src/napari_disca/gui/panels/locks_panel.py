"""Areas that are checked: draw, lock, unlock, save; and what they kept from changing."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.panels.styles import GREY
from napari_disca.gui.viewer.verbs import BY_NAME, Verb

#: Button -> (row, column), and the verb of `viewer.verbs` that it is.
_BUTTONS = {"draw": (0, 0), "view": (0, 1), "unlock": (0, 2), "save": (1, 0), "load": (1, 1)}
_VERBS = {
    "draw": "lock_area",
    "view": "lock_view",
    "unlock": "unlock",
    "save": "save_areas",
    "load": "load_areas",
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
        self.verbs: Mapping[str, Verb] = BY_NAME
        for name, (row, column) in _BUTTONS.items():
            button = QPushButton(self.verbs[_VERBS[name]].title)
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

    def verb_buttons(self) -> dict[str, QPushButton]:
        """The buttons by the names of `viewer.verbs`."""
        return {_VERBS[name]: button for name, button in self.buttons.items()}

    def enable(self, **reasons: str) -> None:
        """Enable buttons by name, or disable them for a reason, which the tooltip then tells."""
        for name, reason in reasons.items():
            button, tip = self.buttons[name], self.verbs[_VERBS[name]].tooltip
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
