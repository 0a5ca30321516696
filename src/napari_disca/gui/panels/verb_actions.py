"""Maps the verbs of the panel to what they do, for keys, menus and the palette."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from qtpy.QtWidgets import QAbstractButton

if TYPE_CHECKING:
    from napari_disca.gui.panels.widget import DiscaWidget

    #: Actions by the names of verbs.
    Verbs: TypeAlias = dict[str, Callable[..., object]]


class VerbActions:
    """The actions of one panel's verbs.

    Parameters
    ----------
    panel : DiscaWidget
    """

    def __init__(self, panel: DiscaWidget) -> None:
        self._panel = panel

    def actions(self) -> Verbs:
        """Return the actions by verb; a verb with a button presses it, or says why it cannot."""
        panel = self._panel
        buttons = {**panel.panels.buttons(), "compare": panel.compare_panel.switch}
        pressed = {name: partial(self._press, button) for name, button in buttons.items()}
        both: Verbs = {"confirm": self._confirm, "leave_tool": self._leave, "wrong": self._wrong}
        own: Verbs = {**panel.drawing.verbs(), **panel.reviewing.verbs(), **both}
        classes: Verbs = {**panel.class_desk.actions, "class": self._arm}
        shown: Verbs = {
            "blink": panel.ripple.press_blink,
            "settings": self._show_settings,
            "overlay": panel.files.lay_over,
        }
        return {**pressed, **own, **classes, **shown}

    def when(self) -> dict[str, Callable[[], bool]]:
        """Return by verb when some keys count; at other times Qt and napari get them."""
        tool, review, ripple = (
            self._panel.drawing.tool,
            self._panel.reviewing,
            self._panel.ripple,
        )
        return {
            **self._panel.drawing.when(),
            "confirm": lambda: tool.has_corners or review.has_place,
            "leave_tool": lambda: tool.is_active or review.has_place or ripple.has_place,
            "wrong": lambda: review.has_place,
            "unsure": lambda: review.has_place,
        }

    def _show_settings(self) -> None:
        self._panel.settings.show()

    def _confirm(self) -> None:
        if self._panel.drawing.tool.has_corners:
            self._panel.drawing.tool.close_outline()
        else:
            self._panel.reviewing.judge("right")

    def _wrong(self, number: int) -> None:
        self._panel.reviewing.wrong(self._panel.class_desk.at(number))

    def _leave(self) -> None:
        if self._panel.drawing.tool.is_active:
            self._panel.drawing.tool.leave()
        elif self._panel.reviewing.has_place:
            self._panel.reviewing.leave()
        else:
            self._panel.ripple.leave()

    def _arm(self, number: int) -> None:
        self._panel.arm(self._panel.class_desk.at(number))

    def _press(self, button: QAbstractButton) -> None:
        if button.isEnabled():
            button.click()
        else:
            reason = button.toolTip().rpartition("Not now: ")[2]
            self._panel.desk.say(f"{button.text()}: {reason}")
