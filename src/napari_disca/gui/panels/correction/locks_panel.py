"""Buttons of locked areas, and how much of the map they keep from changing."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.panels.parts.buttons import set_enabled
from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME

#: Button -> its verb in `viewer.verbs`; `layout` puts the buttons into the sections.
_VERBS = {
    "draw": "lock_area",
    "view": "lock_view",
    "unlock": "unlock",
    "save": "save_areas",
    "load": "load_areas",
}


class LocksPanel(QWidget):
    """The buttons of the verbs of locked areas, with signals of the same names."""

    draw = Signal()
    view = Signal()
    unlock = Signal()
    save = Signal()
    load = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons: dict[str, QPushButton] = {}
        self.verbs: Mapping[str, Verb] = BY_NAME
        for name, verb in _VERBS.items():
            button = QPushButton(self.verbs[verb].title)
            self.buttons[name] = button
            button.clicked.connect(getattr(self, name).emit)
        self.figure = QLabel()
        self.figure.setWordWrap(True)
        self.figure.setStyleSheet(EXPLAINS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.figure)

    def verb_buttons(self) -> dict[str, QPushButton]:
        """Buttons by the names of their verbs."""
        return {_VERBS[name]: button for name, button in self.buttons.items()}

    def enable(self, **reasons: str) -> None:
        """Enable buttons by name, or disable them for a reason, which their tooltips then give."""
        for name, reason in reasons.items():
            set_enabled(self.buttons[name], self.verbs[_VERBS[name]].tooltip, reason)

    def show_counts(self, areas: int, locked: int, flipped: int, adapted: bool) -> None:
        """Show how much is locked, and how much of it the adaptation would have changed."""
        if not areas:
            text = "Lock what is right: it stays as it is, and Adapt learns from it"
        else:
            text = f"{areas} area{'s' * (areas != 1)}, {locked:,} pixels"
            if adapted and locked:
                share = f"{flipped:,} of them ({100 * flipped / locked:.1f} %)"
                text += f"; the last adaptation would have changed {share if flipped else 'none'}"
        self.figure.setText(text)
        self.figure.setVisible(bool(areas))  # without areas the button's tooltip explains them
