"""Chooses how pixel values are scaled, and which values are no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from napari_disca.core.errors import CardError

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.inference.reading import Reading
    from napari_disca.networks.card import Card
    from napari_disca.raster import Scaling, ValueScale
    from napari_disca.raster.values.value_scale import FillChoice

#: Entry under which lowest and highest value are typed.
_RANGE = "range"
_FILL = "Leave out what looks like no data"


class ValuesPanel(QWidget):
    """The fields for the scaling of pixel values and for undeclared no-data values.

    Signals: ``changed()`` when another value is chosen.
    """

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.how = QComboBox()
        self.how.setAccessibleName("How pixel values are scaled")
        self.how.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.how.setMinimumContentsLength(9)
        self.ends = QLineEdit()
        self.ends.setPlaceholderText("0:4095")
        self.ends.setToolTip("The values that become black and white, as LOW:HIGH")
        self.ends.setAccessibleName("Lowest and highest value")
        self.ends.setVisible(False)
        self.fill = QCheckBox(_FILL)
        self.fill.setToolTip(
            "The file declares no such no-data value; it was found because it is frequent and far "
            "from all other values. Switch it off where it is a measurement"
        )
        self.fill.setChecked(True)
        self.fill.setVisible(False)
        self.no_data = QLineEdit()
        self.no_data.setPlaceholderText("no data: as found")
        self.no_data.setToolTip(
            "Values that are no data though the file does not declare them, for instance 0, 255; "
            "empty: those that are found"
        )
        self.no_data.setAccessibleName("Values that are no data")
        row = QHBoxLayout()
        row.addWidget(self.how, 3)
        row.addWidget(self.ends, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.no_data)
        layout.addWidget(self.fill)
        #: Ends of the scale that was shown last.
        self._shown = "0:255"
        self.how.activated.connect(self._on_how)
        # `editingFinished` also comes when the focus leaves an unchanged field.
        self._typed = ("", "")
        self.ends.editingFinished.connect(self._on_typed)
        self.no_data.editingFinished.connect(self._on_typed)
        self.fill.toggled.connect(lambda _: self.changed.emit())

    def scaling(self) -> Scaling | ValueScale | None:
        """The chosen scaling; None if the network's card decides.

        Raises
        ------
        CardError
            If the range is not written as LOW:HIGH.
        """
        from napari_disca.raster import Scaling

        chosen: Any = self.how.currentData()
        if chosen != _RANGE:
            return chosen  # type: ignore[no-any-return]
        text = self.ends.text().strip()
        if ":" not in text:
            raise CardError(f"values from and to are written like 0:4095, not {text[:40]!r}")
        return Scaling.parse(text)

    def find_fill(self) -> FillChoice:
        """Whether fill values that were found are left out, or the fill values that were typed.

        Raises
        ------
        CardError
            If a text is not a list of values.
        """
        from napari_disca.raster.values.value_scale import fill_choice

        if text := self.no_data.text().strip():
            return fill_choice(text)
        return self.fill.isChecked()

    def show_reading(self, reading: Reading, card: Card) -> None:
        """Show how values are read with a network."""
        from napari_disca.raster import Scaling, ValueScale
        from napari_disca.raster.values.value_scale import fill_text

        trained = card.scaling.kind == "auto"
        entries: list[tuple[str, object]] = [("Automatic" if trained else "As in training", None)]
        if not trained:
            entries.append(("Automatic", Scaling("auto")))
        entries += [
            ("Whole data type", Scaling("dtype")),
            ("2nd to 98th percentile", Scaling("percentile")),
            ("From, to…", _RANGE),
        ]
        scaling = reading.scaling
        if isinstance(scaling, ValueScale):
            entries.append(("As before", scaling))
        self.how.clear()
        for text, data in entries:
            self.how.addItem(text, data)
        is_range = isinstance(scaling, Scaling) and scaling.kind == "range"
        index = next(
            (k for k, (_, data) in enumerate(entries) if data == (_RANGE if is_range else scaling)),
            0,
        )
        self.how.setCurrentIndex(index)
        self.ends.setVisible(is_range)
        self.ends.setText(str(scaling) if is_range else "")
        given = isinstance(reading.find_fill, tuple)
        self.no_data.setText(fill_text(reading.find_fill) if given else "")
        self._typed = (self.ends.text(), self.no_data.text())
        self.fill.blockSignals(True)
        self.fill.setChecked(bool(reading.find_fill))
        self.fill.setText(_FILL)
        self.fill.blockSignals(False)

    def show_view(self, view: NetworkView | None) -> None:
        """Show the scale and the fill values that were found; None if nothing can be read."""
        given = bool(self.no_data.text().strip())
        self.fill.setVisible(not given and not self.fill.isChecked())
        self.how.setToolTip("How pixel values are scaled for the network")
        if view is None:
            return
        scale, raster = view.scale, view.raster
        self.how.setToolTip(f"How pixel values are scaled for the network: {scale.text}")
        in_unit = [
            end * raster.scales[band - 1] + raster.offsets[band - 1]
            for ends in (scale.low, scale.high)
            for end, band in zip(ends, view.bands, strict=True)
        ]
        self._shown = f"{min(in_unit):.6g}:{max(in_unit):.6g}"
        from napari_disca.raster.values.fill import and_list, value_text

        found = scale.fill.named
        if found and not given:
            values = and_list([value_text(value) for value in found])
            self.fill.setText(f"{values} {'is' if len(found) == 1 else 'are'} no data")
            self.fill.setVisible(True)

    def _on_how(self) -> None:
        is_range = self.how.currentData() == _RANGE
        if is_range and not self.ends.text():
            self.ends.setText(self._shown)
        self._typed = (self.ends.text(), self.no_data.text())
        self.ends.setVisible(is_range)
        self.changed.emit()

    def _on_typed(self) -> None:
        typed = (self.ends.text(), self.no_data.text())
        if typed != self._typed:
            self._typed = typed
            self.changed.emit()
