"""The offer to go on where somebody left off."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.viewer.present import present


class ResumeBanner(QFrame):
    """A bar in the panel, so that nobody has to answer before looking at the image.

    Signals: ``accepted(path)`` with the journal to go on with, ``declined()``.
    """

    accepted = Signal(object)
    declined = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("offer")
        self.setStyleSheet("#offer { border: 1px solid #4a90d9; border-radius: 4px; }")
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.go_on = QPushButton("Continue")
        self.anew = QPushButton("Start anew")
        self.anew.setToolTip("What was done before is kept beside it, under a number")
        self.earlier = QPushButton("Earlier")
        self.earlier.setToolTip("Sessions before that one")
        self._menu = QMenu(self)
        self.earlier.setMenu(self._menu)
        row = QHBoxLayout()
        for button in (self.go_on, self.anew, self.earlier):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self._path: Path | None = None
        self.go_on.clicked.connect(lambda: self.accepted.emit(self._path))
        self.anew.clicked.connect(self.declined.emit)
        self._menu.triggered.connect(lambda action: self.accepted.emit(action.data()))
        self.setVisible(False)

    def make(
        self,
        text: str,
        path: Path | None,
        verb: str,
        earlier: list[tuple[str, Path]] | None = None,
    ) -> None:
        """Show the offer.

        Parameters
        ----------
        text : str
        path : Path or None
            The journal; None if it cannot be gone on with.
        verb : str
            What going on is called.
        earlier : list of (str, Path), optional
            Other journals, and what is in them; by default those offered last.
        """
        self.text.setText(text)
        self._path = path
        self.go_on.setText(verb)
        self.go_on.setVisible(path is not None)
        if earlier is not None:
            self._menu.clear()
            for said, other in earlier:
                present(self._menu.addAction(said)).setData(other)
            self.earlier.setVisible(bool(earlier))
        self.setVisible(True)

    def withdraw(self) -> None:
        """Hide the offer."""
        self.setVisible(False)
