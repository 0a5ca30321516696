"""Adds keys to superqt's slider for fractions, which reacts to the mouse only."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import QAbstractSlider
from superqt import QLabeledDoubleSlider

_STEPS = {
    Qt.Key.Key_Left: -1,
    Qt.Key.Key_Down: -1,
    Qt.Key.Key_Right: 1,
    Qt.Key.Key_Up: 1,
}
_PAGES = {Qt.Key.Key_PageDown: -1, Qt.Key.Key_PageUp: 1}
_ENDS = (Qt.Key.Key_Home, Qt.Key.Key_End)


class SliderKeys(QObject):
    """Moves a slider by arrow and page keys, Home and End, as in Qt's own sliders.

    Parameters
    ----------
    slider : QLabeledDoubleSlider
    step, page : float
        Change by an arrow key and by a page key.
    """

    def __init__(self, slider: QLabeledDoubleSlider, step: float, page: float) -> None:
        super().__init__(slider)
        self._slider, self._step, self._page = slider, step, page
        slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the focus is in the part that is seen
        for part in slider.findChildren(QAbstractSlider):
            part.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Handle the keys of sliders; pass all other events on."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        slider, key = self._slider, event.key()
        if key in _STEPS:
            value = slider.value() + _STEPS[Qt.Key(key)] * self._step
        elif key in _PAGES:
            value = slider.value() + _PAGES[Qt.Key(key)] * self._page
        elif key in _ENDS:
            value = slider.minimum() if key == _ENDS[0] else slider.maximum()
        else:
            return False
        slider.setValue(min(max(value, slider.minimum()), slider.maximum()))
        return True
