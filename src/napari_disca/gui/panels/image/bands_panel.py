"""Chooses which band of the image each band of the network reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QFormLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from napari_disca.core.errors import RasterError

if TYPE_CHECKING:
    from napari_disca.inference.reading import Reading
    from napari_disca.networks.card import Card
    from napari_disca.raster import Raster

_ON_SCREEN = (
    ("Show the image as it was opened", "image"),
    ("Show what the network reads", "network"),
    ("Show other bands…", "bands"),
)


class BandsPanel(QWidget):
    """A line that names the bands that are read, and below it a row for each band of the network.

    Signals: ``changed()`` when another band is chosen; ``shown()`` when other bands are to be shown
    on the screen.
    """

    changed = Signal()
    shown = Signal()

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
        below = QVBoxLayout(self.rows)
        below.setContentsMargins(12, 0, 0, 0)
        below.setSpacing(2)
        self.form = QFormLayout()
        self.form.setSpacing(2)
        below.addLayout(self.form)
        self.rows.setVisible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.line)
        layout.addWidget(self.rows)
        self.on_screen = QComboBox()
        for text, what in _ON_SCREEN:
            self.on_screen.addItem(text, what)
        self.on_screen.setAccessibleName("What is shown of the image")
        self.on_screen.setToolTip("What is shown of the image; the network reads the bands above")
        self.composite = QLineEdit()
        self.composite.setPlaceholderText("5, 3, 2")
        self.composite.setToolTip(
            "One band, or three for red, green and blue; stretched from the 2nd to the 98th "
            "percentile"
        )
        self.composite.setAccessibleName("Bands on the screen")
        self.composite.setVisible(False)
        below.addWidget(self.on_screen)
        below.addWidget(self.composite)
        self.on_screen.activated.connect(self._on_screen)
        self.composite.editingFinished.connect(self.shown)
        #: A box for each band of the network.
        self.boxes: list[QComboBox] = []
        self._names: tuple[str, ...] = ()
        self._usual: tuple[int, ...] | None = None
        self.line.toggled.connect(self._on_unfolded)

    def bands(self) -> tuple[int, ...] | None:
        """Bands that the user has chosen; None if they follow from the image."""
        chosen = [box.currentData() for box in self.boxes]
        if not chosen or None in chosen or tuple(chosen) == self._usual:
            return None
        return tuple(chosen)

    def is_as_opened(self) -> bool:
        """Whether the image is shown as it was opened, without a layer of other bands."""
        return bool(self.on_screen.currentData() == "image")

    def bands_on_screen(self) -> tuple[int, ...] | None:
        """Bands to show on the screen; None for those that the network reads.

        Raises
        ------
        RasterError
            If the text is not one or three band numbers.
        """
        if self.on_screen.currentData() != "bands":
            return None
        text = self.composite.text()
        parts = text.replace(",", " ").split()
        if len(parts) not in (1, 3) or not all(part.isascii() and part.isdigit() for part in parts):
            raise RasterError(f"bands on the screen are one or three, like 5, 3, 2; not {text!r}")
        return tuple(int(part) for part in parts)

    def show_reading(self, reading: Reading, raster: Raster, card: Card) -> None:
        """Show the bands that are read, and offer those of the image."""
        from napari_disca.raster.band_choice import default_bands
        from napari_disca.raster.bands import band_title

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
        self.line.setEnabled(len(usable) > 1)
        self.line.setChecked(len(usable) > 1 and None in bands)
        self._tell()

    def _tell(self) -> None:
        chosen = [box.currentData() for box in self.boxes]
        if None in chosen:
            self.line.setText("Choose the bands")
            return
        pairs = [f"{name} {band}" for name, band in zip(self._names, chosen, strict=True)]
        text = ", ".join(pairs) if len(pairs) <= 4 else ", ".join(map(str, chosen))
        self.line.setText(text)

    def _on_screen(self) -> None:
        by_hand = self.on_screen.currentData() == "bands"
        self.composite.setVisible(by_hand)
        if by_hand and not self.composite.text():
            chosen = [box.currentData() for box in self.boxes][:3]
            self.composite.setText(", ".join(map(str, chosen)) if len(chosen) == 3 else "1")
        self.shown.emit()

    def _on_box(self) -> None:
        self._tell()
        self.changed.emit()

    def _on_unfolded(self, opened: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if opened else Qt.ArrowType.RightArrow
        self.line.setArrowType(arrow)
        self.rows.setVisible(opened)
