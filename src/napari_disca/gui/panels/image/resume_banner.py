"""Offers to continue an earlier session of the image."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from napari_disca.gui.toolkit.not_none import not_none


class ResumeBanner(QFrame):
    """A bar in the panel instead of a dialog, so that the image can be seen before answering.

    Signals: ``accepted(path)`` with the journal to continue, ``declined()``.
    """

    accepted = Signal(object)
    declined = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("resume_banner")
        self.setStyleSheet("#resume_banner { border: 1px solid #4a90d9; border-radius: 4px; }")
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.go_on = QPushButton("Continue")
        self.start_over = QPushButton("Start over")
        self.start_over.setToolTip(
            "Begin a new session; the journal of the earlier one is kept in a numbered file"
        )
        self.earlier = QPushButton("Earlier")
        self.earlier.setToolTip("Continue an older session of this image")
        self._menu = QMenu(self)
        self.earlier.setMenu(self._menu)
        row = QHBoxLayout()
        for button in (self.go_on, self.start_over, self.earlier):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self._path: Path | None = None
        self.go_on.clicked.connect(lambda: self.accepted.emit(self._path))
        self.start_over.clicked.connect(self.declined.emit)
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
            The journal; None if it cannot be continued.
        verb : str
            Text of the button that continues.
        earlier : list of (str, Path), optional
            Older journals, and what each holds; by default those of the last offer.
        """
        self.text.setText(text)
        self._path = path
        self.go_on.setText(verb)
        self.go_on.setVisible(path is not None)
        if earlier is not None:
            self._menu.clear()
            for said, other in earlier:
                not_none(self._menu.addAction(said)).setData(other)
            self.earlier.setVisible(bool(earlier))
        self.setVisible(True)

    def withdraw(self) -> None:
        """Hide the offer."""
        self.setVisible(False)
