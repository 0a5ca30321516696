"""Lists the classes: colour, name, key, and number of clicks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qtpy.QtCore import QPoint, QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_disca.annotations.clicks import Clicks
from napari_disca.gui.panels.parts.styles import EXPLAINS
from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.networks import LandClass
from napari_disca.session.steps.class_table import ClassTable

#: A blue that is legible on napari's dark and light themes, unlike Qt's colour of links.
_LINK = "#3b82d6"

#: Lines kept free for the place under the pointer.
_PLACE_LINES = 3
_NOWHERE = "Point at the image to read its class and coordinates"


class ClassesPanel(QWidget):
    """The list of classes, in which the user chooses the class of the next click.

    Signals: ``armed(label)`` when the user chooses a class, ``other_colours()`` when the link in
    the warning is clicked, ``moved(label, place)`` when a class was dragged to another place.

    Attributes
    ----------
    menu : QMenu
        What can be done with the chosen class.
    """

    armed = Signal(int)
    other_colours = Signal()
    moved = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.list = QListWidget()
        side = self.fontMetrics().height()
        self.list.setIconSize(QSize(side, side))
        self.list.setToolTip(
            "Choose a class (or press its key), then click on mistakes in the image; drag a class "
            "to another place, or right-click it to change its name or colour"
        )
        self.list.setAccessibleName("Classes")
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        not_none(self.list.model()).rowsMoved.connect(self._on_dragged)
        self.list.itemClicked.connect(lambda item: self.armed.emit(self.label_of(item)))
        self.menu = QMenu(self)
        self.list.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.list.customContextMenuRequested.connect(self._on_menu)
        self.edit = QPushButton("Edit")
        self.edit.setAccessibleName("Edit classes")
        self.edit.setToolTip("Change name, colour and order of classes, hide or merge them")
        self.edit.setMenu(self.menu)
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.warning.setStyleSheet(EXPLAINS)
        self.warning.setVisible(False)
        self.warning.linkActivated.connect(lambda _: self.other_colours.emit())
        self.place = _PlaceLabel(_NOWHERE)
        self.place.setWordWrap(True)
        self.place.setStyleSheet(EXPLAINS)
        self.place.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.place.setToolTip(
            "Under the pointer: class, how likely the network finds it and the second one, what "
            "decided it, and the coordinates"
        )
        below = QHBoxLayout()
        below.addWidget(self.place, 1)
        below.addWidget(self.edit, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.list)
        layout.addWidget(self.warning)
        layout.addLayout(below)
        self._shown: tuple[object, ...] = ()

    @property
    def chosen(self) -> int | None:
        """Class that is chosen in the list; None if none is."""
        item = self.list.currentItem()
        return None if item is None else self.label_of(item)

    @staticmethod
    def label_of(item: QListWidgetItem) -> int:
        """Class of a row."""
        label: int = item.data(Qt.ItemDataRole.UserRole)
        return label

    def show_classes(self, classes: Sequence[LandClass], clicks: Clicks, table: ClassTable) -> None:
        """List the classes with their clicks.

        Parameters
        ----------
        classes : sequence of LandClass
            By id, in the colours that are shown.
        clicks : Clicks
        table : ClassTable
            Order of the classes, and which are hidden and merged.
        """
        counts = Counter(click.label for click in clicks)
        if (tuple(classes), table) != self._shown:
            chosen = self.chosen
            self._shown = (tuple(classes), table)
            self.list.clear()
            for entry in table.entries:
                icon = _icon(classes[entry.id].color, entry.hidden, self.list.iconSize())
                item = QListWidgetItem(icon, "")
                item.setData(Qt.ItemDataRole.UserRole, entry.id)
                self.list.addItem(item)
            rows = min(max(len(classes), 1), 9)
            line = self.fontMetrics().height()
            self.list.setFixedHeight(rows * max(self.list.sizeHintForRow(0), line) + line // 2)
            if chosen is not None:
                self.choose(chosen)
        for row, entry in enumerate(table.entries):
            key = f"{row + 1}" if row < 9 else " "
            count = counts[entry.id]
            parts = (
                f"{key}   {entry.name}",
                f" → {entry.group}" if entry.group else "",
                " (hidden)" if entry.hidden else "",
                f"   {count} click{'s' if count != 1 else ''}" if count else "",
            )
            not_none(self.list.item(row)).setText("".join(parts))

    def show_warning(self, line: str, verb: str) -> None:
        """Show a warning about colours with a link named `verb`; hide it if `line` is empty."""
        link = f'. <a href="colours" style="color: {_LINK}">{verb}</a>' if line else ""
        self.warning.setText(f"{line}{link}")
        self.warning.setVisible(bool(line))

    def show_place(self, line: str) -> None:
        """Show what lies under the pointer."""
        self.place.setText(line or _NOWHERE)

    def choose(self, label: int) -> None:
        """Choose a class in the list, without a signal."""
        for row in range(self.list.count()):
            if self.label_of(not_none(self.list.item(row))) == label:
                self.list.setCurrentRow(row)

    def _on_dragged(self) -> None:
        order = [self.label_of(not_none(self.list.item(row))) for row in range(self.list.count())]
        label = self.chosen
        self._shown = ()  # the list is filled again, even if nothing has changed
        if label is not None:
            self.moved.emit(label, order.index(label))

    def _on_menu(self, position: QPoint) -> None:
        if self.list.itemAt(position) is not None:
            self.menu.popup(not_none(self.list.viewport()).mapToGlobal(position))


class _PlaceLabel(QLabel):
    """A label with room for the usual number of lines, so that the panel keeps its height.

    The height is computed when the panel is laid out, since napari's style sets the font only then.
    """

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Return a size with room for the usual number of lines."""
        least = super().minimumSizeHint()
        return QSize(least.width(), max(least.height(), self._usual))

    def heightForWidth(self, width: int) -> int:  # noqa: N802
        """Return the height of the usual number of lines, or of more if the text needs them."""
        return max(super().heightForWidth(width), self._usual)

    @property
    def _usual(self) -> int:
        return (_PLACE_LINES + 1) * self.fontMetrics().lineSpacing()  # with the label's margins


def _icon(color: str, hidden: bool, size: QSize) -> QIcon:
    """Return a square in the class's colour; only its frame if the class is hidden."""
    swatch = QPixmap(size)
    swatch.fill(Qt.GlobalColor.transparent if hidden else QColor(color))
    if hidden:
        painter = QPainter(swatch)
        painter.setPen(QPen(QColor(color), 3))
        painter.drawRect(swatch.rect().adjusted(2, 2, -3, -3))
        painter.end()
    icon = QIcon(swatch)
    icon.addPixmap(swatch, QIcon.Mode.Selected)  # or it would be tinted
    return icon
