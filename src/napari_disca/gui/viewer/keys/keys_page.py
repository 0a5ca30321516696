"""Dialog that lists the keys, and changes them."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QModelIndex, QRect, QSize, Qt, Signal
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QKeySequenceEdit,
    QLabel,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.key_table import KeyConflictError, grouped, with_keys
from napari_disca.gui.viewer.keys.verb import Verb
from napari_disca.gui.viewer.keys.verbs import BY_NAME

_ABOUT = (
    "Keys work wherever the focus is in the window, but not while you type. "
    "Double-click a key to change it; Backspace then removes it."
)


class _WrappedText(QStyledItemDelegate):
    """Makes rows as high as their wrapped texts; Qt's tree would make them one line high."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:  # noqa: N802
        """Return the size of a text wrapped to the width of its column."""
        tree = self.parent()
        assert isinstance(tree, QTreeWidget)
        wrapped = QStyleOptionViewItem(option)
        rect = QRect(0, 0, tree.columnWidth(index.column()), option.fontMetrics.height())
        wrapped.rect = rect
        return super().sizeHint(wrapped, index)


class KeysPage(QDialog):
    """Lists all verbs with their keys, under headings.

    Signals: ``changed(mapping)`` with the changed keys by the verb's name.

    Parameters
    ----------
    chosen : mapping of str to str
        The changed keys by the verb's name.
    """

    changed = Signal(object)

    def __init__(self, chosen: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keys")
        self._chosen = dict(chosen)
        self.tree = QTreeWidget()
        self.tree.setColumnCount(3)
        self.tree.setHeaderLabels(["Key", "What", "What it does"])
        self.tree.setRootIsDecorated(False)
        self.tree.setAccessibleName("Keys")
        self.tree.setAllColumnsShowFocus(True)
        self.tree.setWordWrap(True)
        self.tree.setStyleSheet("QTreeWidget::item { padding: 2px 0px; }")
        self.tree.setItemDelegateForColumn(2, _WrappedText(self.tree))
        # Rows keep the height for the column's first width until they are laid out again.
        not_none(self.tree.header()).sectionResized.connect(self._lay_out_again)
        self.tree.itemDoubleClicked.connect(self._edit)
        self.tree.itemActivated.connect(self._edit)
        about = QLabel(_ABOUT)
        about.setWordWrap(True)
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setVisible(False)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        reset = QPushButton("Default keys")
        reset.setToolTip("Set all keys to their defaults")
        reset.clicked.connect(self._reset)
        buttons.addButton(reset, QDialogButtonBox.ButtonRole.ResetRole)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (about, self.tree, self.said, buttons):
            layout.addWidget(widget)
        self._fill()
        metrics = self.fontMetrics()
        self.resize(metrics.averageCharWidth() * 110, metrics.lineSpacing() * 36)

    def verbs(self) -> tuple[Verb, ...]:
        """The verbs with the keys that the page shows."""
        return with_keys(self._chosen)

    def _fill(self) -> None:
        self.tree.clear()
        for group, verbs in grouped(self.verbs()).items():
            heading = QTreeWidgetItem([group])
            font = heading.font(0)
            font.setBold(True)
            heading.setFont(0, font)
            heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.tree.addTopLevelItem(heading)
            heading.setFirstColumnSpanned(True)
            for verb in verbs:
                item = QTreeWidgetItem([_shown(verb), verb.title, verb.does])
                item.setData(0, Qt.ItemDataRole.UserRole, verb.name)
                item.setToolTip(2, verb.does)
                heading.addChild(item)
            heading.setExpanded(True)
        header = not_none(self.tree.header())
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)

    def _lay_out_again(self) -> None:
        self.tree.scheduleDelayedItemsLayout()

    def _edit(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        """Wait for the new key of a row."""
        name = item.data(0, Qt.ItemDataRole.UserRole)
        verb = next((verb for verb in self.verbs() if verb.name == name), None)
        if verb is None:
            return
        if len(verb.keys) > 1:
            self._say("The keys of classes are their numbers and cannot be changed")
            return
        edit = QKeySequenceEdit(QKeySequence(verb.key))
        edit.setMaximumSequenceLength(1)
        edit.setAccessibleName(f"Key of {verb.title}")
        edit.editingFinished.connect(lambda: self._take(verb, edit))
        self.tree.setItemWidget(item, 0, edit)
        edit.setFocus()

    def _take(self, verb: Verb, edit: QKeySequenceEdit) -> None:
        key = edit.keySequence().toString(QKeySequence.SequenceFormat.PortableText)
        # Qt reports Shift+/ where the keyboard types "?".
        self.choose(verb.name, "" if key == "Backspace" else key)

    def choose(self, name: str, key: str) -> None:
        """Give a verb another key, or none; a key that is in use is refused with a message."""
        wanted = {**self._chosen, name: key}
        try:
            with_keys(wanted)
        except KeyConflictError as error:
            self._say(str(error))
            self._fill()
            return
        self._chosen = _differing(wanted)
        self._say("")
        self._fill()
        self.changed.emit(dict(self._chosen))

    def _reset(self) -> None:
        self._chosen = {}
        self._say("")
        self._fill()
        self.changed.emit({})

    def _say(self, line: str) -> None:
        self.said.setText(line)
        self.said.setVisible(bool(line))


def _shown(verb: Verb) -> str:
    """Return the key of a verb as this system writes it."""
    if len(verb.keys) != 1:
        return verb.key
    return QKeySequence(verb.key).toString(QKeySequence.SequenceFormat.NativeText)


def _differing(chosen: Mapping[str, str]) -> dict[str, str]:
    return {name: key for name, key in chosen.items() if key != BY_NAME[name].key}
