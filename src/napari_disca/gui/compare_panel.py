"""DISIR and DISCA side by side, and how much they differ."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget


class ComparePanel(QWidget):
    """A switch and a figure.

    Signals: ``switched(bool)``.
    """

    switched = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QCheckBox("DISIR and DISCA side by side")
        self.switch.setToolTip("Two linked views: left DISIR, right DISCA; click in either")
        self.figure = QLabel()
        self.figure.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.switch)
        layout.addWidget(self.figure)
        self.switch.toggled.connect(self.switched)

    def show_state(self, possible: bool, on: bool, differ: float | None) -> None:
        """Show whether it is on, and the share of pixels where the maps differ."""
        self.switch.setEnabled(possible)
        self.switch.blockSignals(True)
        self.switch.setChecked(on)
        self.switch.blockSignals(False)
        self.figure.setText("" if differ is None else f"They differ in {differ:.1%} of the pixels")
        self.figure.setVisible(differ is not None)
