"""Sets the scale at which the network reads the image: network pixels per image pixel."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QDoubleSpinBox, QHBoxLayout, QWidget


class FactorRow(QWidget):
    """A field for the factor, and a box that says whether it is set by hand.

    Signals: ``changed()`` when the user sets it, or lets it be found again.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.by_hand = QCheckBox("by hand")
        self.by_hand.setToolTip(
            "Network pixels per image pixel. By default from the ground resolutions of the image "
            "and the network; set it by hand where the image has no CRS"
        )
        self.factor = QDoubleSpinBox()
        self.factor.setRange(0.016, 32.0)
        self.factor.setDecimals(3)
        self.factor.setSingleStep(0.05)
        self.factor.setValue(1.0)
        self.factor.setPrefix("× ")
        self.factor.setAccessibleName("Network pixels per image pixel")
        self.factor.setEnabled(False)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.factor, 1)
        row.addWidget(self.by_hand)
        self.by_hand.toggled.connect(self.factor.setEnabled)
        self.by_hand.toggled.connect(lambda _: self.changed.emit())
        self.factor.valueChanged.connect(lambda _: self.changed.emit())

    def chosen(self) -> float | None:
        """The factor that is set by hand; None if it is found."""
        return self.factor.value() if self.by_hand.isChecked() else None

    def show_chosen(self, factor: float | None) -> None:
        """Show a factor that was set by hand before; None if none was."""
        for widget in (self.factor, self.by_hand):
            widget.blockSignals(True)
        self.by_hand.setChecked(factor is not None)
        self.factor.setEnabled(factor is not None)
        if factor is not None:
            self.factor.setValue(factor)
        for widget in (self.factor, self.by_hand):
            widget.blockSignals(False)

    def show_found(self, factor: float) -> None:
        """Show the factor that was found, unless one is set by hand."""
        if not self.by_hand.isChecked():
            self.factor.blockSignals(True)
            self.factor.setValue(factor)
            self.factor.blockSignals(False)
