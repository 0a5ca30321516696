"""Keys that work wherever the focus is in the window, but in text fields.

One filter of the application's events instead of bindings on layers: a binding of napari's is heard
only while the canvas, and the layer it was made on, has the focus.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDockWidget,
    QKeySequenceEdit,
    QLineEdit,
    QMainWindow,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from napari_disca.gui.viewer.present import present
from napari_disca.gui.viewer.verb import Verb

_MODIFIERS = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.ShiftModifier
    | Qt.KeyboardModifier.MetaModifier
)
#: With these a key is a command; with Shift alone it is still text.
_COMMAND = (
    Qt.KeyboardModifier.ControlModifier
    | Qt.KeyboardModifier.AltModifier
    | Qt.KeyboardModifier.MetaModifier
)
#: Commands that a text field knows.
_EDITING = (
    QKeySequence.StandardKey.Undo,
    QKeySequence.StandardKey.Redo,
    QKeySequence.StandardKey.Copy,
    QKeySequence.StandardKey.Cut,
    QKeySequence.StandardKey.Paste,
    QKeySequence.StandardKey.SelectAll,
)
#: What is typed into a number field.
_OF_NUMBERS = frozenset("0123456789,.-+ ")


class KeyFilter(QObject):
    """Turns keys into verbs for the window of one panel.

    Parameters
    ----------
    panel : QWidget
        Keys count in the main window that it is docked in.
    verbs : iterable of Verb
    actions : mapping of str to callable
        What to do, by the verb's name; with the number of the key (from 0) where a verb has
        several. A verb without an action has no key.
    released : mapping of str to callable
        Called when the key of a verb is let go, with the seconds for which it was held.
    when : mapping of str to callable
        Whether the key of a verb is ours now; at other times it belongs to others.
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
        #: Verbs that wait for their key to be let go, by its code, and since when they do.
        self._held: dict[int, tuple[str, float]] = {}
        self.set_verbs(verbs)
        application = QApplication.instance()
        assert application is not None
        application.installEventFilter(self)

    def set_verbs(self, verbs: Iterable[Verb]) -> None:
        """Use the keys of these verbs from now on."""
        self._keys: dict[str, tuple[Verb, int]] = {}
        for verb in verbs:
            if verb.name in self._actions:
                for number, key in enumerate(verb.keys):
                    self._keys[_portable(key)] = (verb, number)

    def end(self) -> None:
        """Hear no more keys."""
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self._held.clear()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Take the keys of verbs before anybody else; leave all other events alone."""
        kind = present(event).type()
        if kind in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress):
            return self._on_pressed(watched, event)
        if kind == QEvent.Type.KeyRelease:
            return self._on_released(event)
        if kind == QEvent.Type.ApplicationStateChange and self._held:
            # Whoever changes to another program with the key down lets it go there.
            held, self._held = self._held, {}
            for name, _ in held.values():
                self._released[name](math.inf)
        return False

    def _on_pressed(self, watched: QObject | None, event: Any) -> bool:
        # A window hands its events on to the widget that has the focus, which is asked then.
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
            event.accept()  # the key comes again as a press, instead of as somebody's shortcut
            return True
        verb, number = found
        if event.isAutoRepeat() and not verb.repeats:
            return True
        action = self._actions[verb.name]
        action(number) if len(verb.keys) > 1 else action()
        if verb.name in self._released:
            self._held[event.key()] = (verb.name, _moment(event))
        return True

    def _on_released(self, event: Any) -> bool:
        if event.isAutoRepeat() or event.key() not in self._held:
            return False
        name, since = self._held.pop(event.key())
        self._released[name](_moment(event) - since)
        return False

    def _leave_number(self, watched: QWidget, event: Any) -> None:
        """Who ends a number with Enter is done with the field: the next digit is a class."""
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
        if isinstance(window, QDockWidget):  # a dock that was pulled out of the window
            window = window.parentWidget()
        return window is not None and window is main_window(self._panel)


def main_window(panel: QWidget) -> QMainWindow | None:
    """The main window that a widget is in, docked or floating."""
    widget: QWidget | None = panel
    while widget is not None and not isinstance(widget, QMainWindow):
        widget = widget.parentWidget()
    return widget


def text_of(event: QKeyEvent) -> str:
    """The key of an event, as `Verb.keys` has it once it is made portable.

    Signs that are no letters count by what they are, not by where they are: ``?`` needs Shift on
    one keyboard and not on the other.
    """
    modifiers = event.modifiers() & _MODIFIERS
    text = event.text()
    if not modifiers & _COMMAND and len(text) == 1 and text.isprintable() and not text.isalpha():
        return text
    code: Any = modifiers.value  # an integer, whatever PyQt's types say
    return QKeySequence(code | event.key()).toString(QKeySequence.SequenceFormat.PortableText)


def number_field(widget: QWidget) -> QAbstractSpinBox | None:
    """The number field that a widget is, or is the text of."""
    for candidate in (widget, widget.parentWidget()):
        if isinstance(candidate, QAbstractSpinBox):
            return candidate
    return None


def belongs_to(widget: QWidget, event: QKeyEvent, typed: str) -> bool:
    """Whether a key belongs to the field that has the focus.

    A text field wants all that is text, and the usual commands of editing; a number field wants
    what numbers are made of. Lists look for entries by their first letter: our keys win there.
    """
    if isinstance(widget, QKeySequenceEdit):
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


def _moment(event: QKeyEvent) -> float:
    """When a key was moved, in seconds: a slow window must not make a tap a long one."""
    return event.timestamp() / 1000 or time.monotonic()


def _portable(key: str) -> str:
    """A key as `text_of` writes it."""
    sign = key.removeprefix("Shift+")  # that is how Qt records "?" where it needs Shift
    if len(sign) == 1 and (not sign.isalnum() or (sign == key and not key.isalpha())):
        return sign
    return QKeySequence(key).toString(QKeySequence.SequenceFormat.PortableText)
