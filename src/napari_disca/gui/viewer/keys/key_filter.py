"""Makes keys work wherever the focus is in the window, except in text fields.

One filter of the application's events instead of bindings on layers: napari's bindings work only
while the canvas has the focus and their layer is active.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QKeySequenceEdit,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QTabBar,
    QTextEdit,
    QWidget,
)

from napari_disca.gui.toolkit.not_none import not_none
from napari_disca.gui.viewer.keys.verb import Verb

_MODIFIERS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.ShiftModifier
    | Qt.KeyboardModifier.MetaModifier
)
#: Modifiers with which a key is a command; with Shift alone it is still text.
_COMMAND = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)
#: Editing commands of text fields.
_EDITING = (
    QKeySequence.StandardKey.Undo,
    QKeySequence.StandardKey.Redo,
    QKeySequence.StandardKey.Copy,
    QKeySequence.StandardKey.Cut,
    QKeySequence.StandardKey.Paste,
    QKeySequence.StandardKey.SelectAll,
)
#: Characters that are typed into number fields.
_OF_NUMBERS = frozenset("0123456789,.-+ ")
_ARROWS = frozenset({"Left", "Right", "Up", "Down"})
#: Property of widgets of this program that arrow keys move.
MOVED_BY_ARROWS = "moved_by_arrows"


class KeyFilter(QObject):
    """Turns keys into verbs for the window of one panel.

    Parameters
    ----------
    panel : QWidget
        The panel; keys work in the main window that it is docked in.
    verbs : iterable of Verb
    actions : mapping of str to callable
        Actions by the verb's name; called with the number of the key (from 0) where a verb has
        several. A verb without an action has no key.
    released : mapping of str to callable
        Called when the key of a verb is released, with the seconds for which it was held.
    when : mapping of str to callable
        Whether the key of a verb works now; at other times Qt and napari get it.
    """

    def __init__(
        self,
        panel: QWidget,
        verbs: Iterable[Verb],
        actions: Mapping[str, Callable[..., object]],
        released: Mapping[str, Callable[[float], object]] | None = None,
        when: Mapping[str, Callable[[], bool]] | None = None,
    ) -> None:
        super().__init__(panel)
        self._panel = panel
        self._when = when or {}
        self._actions = actions
        self._released = released or {}
        #: Verbs whose keys are down, by the code of the key, and since when.
        self._pressed: dict[int, tuple[str, float]] = {}
        self.set_verbs(verbs)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    def set_verbs(self, verbs: Iterable[Verb]) -> None:
        """Replace the verbs and their keys."""
        self._keys: dict[str, tuple[Verb, int]] = {}
        for verb in verbs:
            if verb.name in self._actions:
                for number, key in enumerate(verb.keys):
                    self._keys[_portable(key)] = (verb, number)

    def end(self) -> None:
        """Stop filtering keys."""
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self._pressed.clear()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Handle the keys of verbs before all widgets; pass all other events on."""
        kind = not_none(event).type()
        if isinstance(event, QKeyEvent):
            if kind == QEvent.Type.KeyRelease:
                return self._on_released(event)
            return self._on_pressed(watched, event)
        if kind == QEvent.Type.ApplicationStateChange and self._pressed:
            # A key may be released in another program, which is not seen here.
            pressed, self._pressed = self._pressed, {}
            for name, _ in pressed.values():
                self._released[name](math.inf)
        return False

    def _on_pressed(self, watched: QObject | None, event: QKeyEvent) -> bool:
        # A window passes its events on to the widget with the focus, which is handled then.
        if not isinstance(watched, QWidget) or not self._in_window(watched):
            return False
        typed = text_of(event)
        found = self._keys.get(typed)
        if found is not None and not self._when.get(found[0].name, lambda: True)():
            found = None
        if found is None or belongs_to(watched, event, typed):
            self._leave_number(watched, event)
            return False
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()  # the key comes again as a press, not as a shortcut of another widget
            return True
        verb, number = found
        if event.isAutoRepeat() and not verb.repeats:
            return True
        action = self._actions[verb.name]
        action(number) if len(verb.keys) > 1 else action()
        if verb.name in self._released:
            self._pressed[event.key()] = (verb.name, _moment(event))
        return True

    def _on_released(self, event: QKeyEvent) -> bool:
        if event.isAutoRepeat() or event.key() not in self._pressed:
            return False
        name, since = self._pressed.pop(event.key())
        self._released[name](_moment(event) - since)
        return False

    def _leave_number(self, watched: QWidget, event: QKeyEvent) -> None:
        """Leave a number field after Enter, so that the next digit chooses a class."""
        ends = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if ends and event.type() == QEvent.Type.KeyPress and self._panel.isAncestorOf(watched):
            field = number_field(watched)
            if field is not None:
                field.interpretText()
                field.clearFocus()

    def _in_window(self, widget: QWidget) -> bool:
        if QApplication.activeModalWidget() or QApplication.activePopupWidget():
            return False
        window: QWidget | None = widget.window()
        if isinstance(window, QDockWidget):  # a floating dock
            window = window.parentWidget()
        return window is not None and window is main_window(self._panel)


def main_window(panel: QWidget) -> QMainWindow | None:
    """Return the main window that a widget is in, docked or floating; None without one."""
    widget: QWidget | None = panel
    while widget is not None and not isinstance(widget, QMainWindow):
        widget = widget.parentWidget()
    return widget


def text_of(event: QKeyEvent) -> str:
    """Return the key of an event in the form of `Verb.keys`.

    Signs are named without Shift: ``?`` needs Shift on one keyboard and not on another.
    """
    modifiers = event.modifiers() & _MODIFIERS
    text = event.text()
    if not modifiers & _COMMAND and len(text) == 1 and text.isprintable() and not text.isalpha():
        return text
    code: Any = modifiers.value  # an integer, whatever PyQt's types say
    return QKeySequence(code | event.key()).toString(QKeySequence.SequenceFormat.PortableText)


def number_field(widget: QWidget) -> QAbstractSpinBox | None:
    """Return the number field that a widget is, or whose text it is; else None."""
    for candidate in (widget, widget.parentWidget()):
        if isinstance(candidate, QAbstractSpinBox):
            return candidate
    return None


def belongs_to(widget: QWidget, event: QKeyEvent, typed: str) -> bool:
    """Whether a key belongs to the field that has the focus.

    A text field needs all text and the usual editing commands; a number field needs digits and
    signs. Lists search entries by their first letter: there the keys of verbs win, but for the
    arrows, which move lists and sliders.
    """
    if isinstance(widget, QKeySequenceEdit):
        return True
    if typed in _ARROWS and _is_moved_by_arrows(widget):
        return True
    number = number_field(widget) is not None
    text = (
        isinstance(widget, QLineEdit | QTextEdit | QPlainTextEdit) and not widget.isReadOnly()
    ) or (isinstance(widget, QComboBox) and widget.isEditable())
    if not number and not text:
        return False
    if event.modifiers() & _COMMAND:
        return any(event.matches(standard) for standard in _EDITING)
    return typed in _OF_NUMBERS if number else True


def _is_moved_by_arrows(widget: QWidget) -> bool:
    kinds = QAbstractItemView | QAbstractSlider | QAbstractSpinBox | QComboBox | QTabBar
    return isinstance(widget, kinds) or bool(widget.property(MOVED_BY_ARROWS))


def _moment(event: QKeyEvent) -> float:
    """Return when a key was pressed or released, in seconds, however late the window handles it."""
    return event.timestamp() / 1000 or time.monotonic()


def _portable(key: str) -> str:
    """Return a key of the table in the form of `text_of`."""
    sign = key.removeprefix("Shift+")  # Qt records "?" so where it needs Shift
    if len(sign) == 1 and (not sign.isalnum() or (sign == key and not key.isalpha())):
        return sign
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
