"""The classes: colour, name, key, and how many clicks each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from napari_disca.annotations.clicks import Clicks
from napari_disca.gui.panels.styles import EXPLAINS
from napari_disca.networks import LandClass

#: Blue that is read on napari's dark theme and on its light one, unlike Qt's for links.
_LINK = "#3b82d6"


class ClassesPanel(QWidget):
    """Choose the class of the next click.

    Signals: ``armed(label)`` when the user chooses a class, ``other_colours()`` when it is asked
    for others.
    """

    armed = Signal(int)
    other_colours = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget()
        self.list.setIconSize(QSize(18, 18))
        self.list.setToolTip(
            "Choose a class (or press its key), then click on mistakes in the image"
        )
        self.list.itemClicked.connect(lambda item: self.armed.emit(self.list.row(item)))
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.warning.setStyleSheet(EXPLAINS)
        self.warning.setVisible(False)
        self.warning.linkActivated.connect(lambda _: self.other_colours.emit())
        self.place = QLabel(" ")
        self.place.setWordWrap(True)
        self.place.setStyleSheet(EXPLAINS)
        self.place.setToolTip(
            "Under the pointer: class, how far it leads the next one there, what made it so, and "
            "where it is on the map"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.warning)
        layout.addWidget(self.place)
        self._classes: Sequence[LandClass] = ()

    def show_classes(self, classes: Sequence[LandClass], clicks: Clicks) -> None:
        """List the classes with their clicks."""
        counts = Counter(click.label for click in clicks)
        if tuple(classes) != tuple(self._classes):
            self._classes = tuple(classes)
            self.list.clear()
            for land in classes:
                swatch = QPixmap(18, 18)
                swatch.fill(QColor(land.color))
                icon = QIcon(swatch)
                icon.addPixmap(swatch, QIcon.Mode.Selected)  # or it would be tinted
                self.list.addItem(QListWidgetItem(icon, ""))
            rows = min(max(len(classes), 1), 9)
            height = max(self.list.sizeHintForRow(0), 20)
            self.list.setFixedHeight(rows * height + 6)
        for i, land in enumerate(classes):
            key = f"{i + 1}" if i < 9 else " "
            count = counts[i]
            clicked = f"   {count} click{'s' if count != 1 else ''}" if count else ""
            self.list.item(i).setText(f"{key}   {land.name}{clicked}")

    def show_warning(self, line: str, verb: str) -> None:
        """Tell about colours that look alike, and offer what helps; nothing if `line` is empty."""
        link = f'. <a href="colours" style="color: {_LINK}">{verb}</a>' if line else ""
        self.warning.setText(f"{line}{link}")
        self.warning.setVisible(bool(line))

    def show_place(self, line: str) -> None:
        """Tell what is under the pointer."""
        self.place.setText(line or " ")

    def choose(self, label: int) -> None:
        """Mark a class as the one of the next click."""
        self.list.setCurrentRow(label)
