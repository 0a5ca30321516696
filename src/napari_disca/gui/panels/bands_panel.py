"""Which band of the image each band of the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QToolButton, QVBoxLayout, QWidget

from napari_disca.core.errors import RasterError

if TYPE_CHECKING:
    from napari_disca.inference.reading import Reading
    from napari_disca.networks.card import Card
    from napari_disca.raster import Raster


class BandsPanel(QWidget):
    """A line that says which bands are read, and a row for each of the network's to choose.

    Signals: ``changed()`` when another band is chosen.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QToolButton()
        self.line.setCheckable(True)
        self.line.setAutoRaise(True)
        self.line.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.line.setArrowType(Qt.ArrowType.RightArrow)
        self.line.setToolTip("Choose which bands of the image the network reads")
        self.line.setAccessibleName("Bands that the network reads")
        self.rows = QWidget()
        self.form = QFormLayout(self.rows)
        self.form.setContentsMargins(12, 0, 0, 0)
        self.form.setSpacing(2)
        self.rows.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.line)
        layout.addWidget(self.rows)
        #: A box for each band of the network.
        self.boxes: list[QComboBox] = []
        self._names: tuple[str, ...] = ()
        self._usual: tuple[int, ...] | None = None
        self.line.toggled.connect(self._on_unfolded)

    def bands(self) -> tuple[int, ...] | None:
        """Bands that are chosen by hand; None leaves them to what the image says of them."""
        chosen = [box.currentData() for box in self.boxes]
        if not chosen or None in chosen or tuple(chosen) == self._usual:
            return None
        return tuple(chosen)

    def show_reading(self, reading: Reading, raster: Raster, card: Card) -> None:
        """Show what was chosen, and what could be."""
        from napari_disca.raster.bands import band_title
        from napari_disca.raster.summary import default_bands

        try:
            self._usual = default_bands(raster, len(card.bands), card.bands)
        except RasterError:
            self._usual = None
        usable = [b for b, name in enumerate(raster.color_interp, start=1) if name != "alpha"]
        bands: Sequence[int | None] = reading.bands or self._usual or [None] * len(card.bands)
        while self.form.rowCount():
            self.form.removeRow(0)
        self.boxes, self._names = [], card.bands
        for name, chosen in zip(card.bands, bands, strict=True):
            box = QComboBox()
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(12)
            box.setAccessibleName(f"Image band that is read as {name}")
            if chosen is None:
                box.addItem("choose…", None)
            for band in usable:
                box.addItem(band_title(raster, band), band)
            box.setCurrentIndex(box.findData(chosen))
            box.setToolTip(f"The band of the image that the network reads as {name}")
            box.activated.connect(self._on_box)
            self.form.addRow(name, box)
            self.boxes.append(box)
        self.line.setVisible(len(usable) > 1)
        self.line.setChecked(len(usable) > 1 and None in bands)
        self._tell()

    def _tell(self) -> None:
        chosen = [box.currentData() for box in self.boxes]
        if None in chosen:
            self.line.setText("choose the bands")
            return
        pairs = [f"{name} {band}" for name, band in zip(self._names, chosen, strict=True)]
        text = ", ".join(pairs) if len(pairs) <= 4 else ", ".join(map(str, chosen))
        self.line.setText(text)

    def _on_box(self) -> None:
        self._tell()
        self.changed.emit()

    def _on_unfolded(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.line.setArrowType(arrow)
        self.rows.setVisible(opened)
