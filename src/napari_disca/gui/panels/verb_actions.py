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
        both: Verbs = {
            "confirm": self._confirm,
            "leave_tool": self._leave,
            "wrong": self._wrong,
            "next_place": partial(self._go_along, 1),
            "previous_place": partial(self._go_along, -1),
        }
        own: Verbs = {**panel.drawing.verbs(), **panel.reviewing.verbs(), **both}
        classes: Verbs = {**panel.class_editor.actions, "class": self._arm}
        shown: Verbs = {
            "blink": panel.ripple.press_blink,
            "settings": self._show_settings,
            "overlay": panel.files.show_overlays,
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
            "next_place": self._has_place,
            "previous_place": self._has_place,
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
        self._panel.reviewing.wrong(self._panel.class_editor.at(number))

    def _leave(self) -> None:
        if self._panel.drawing.tool.is_active:
            self._panel.drawing.tool.leave()
        elif self._panel.reviewing.has_place:
            self._panel.reviewing.leave()
        else:
            self._panel.ripple.leave()

    def _has_place(self) -> bool:
        """Whether a place of a review or a region of the ripple is outlined."""
        return self._panel.reviewing.has_place or self._panel.ripple.has_place

    def _go_along(self, steps: int) -> None:
        """Go along the list that what is outlined is in."""
        if self._panel.reviewing.has_place:
            self._panel.panels.queue.go_along(steps)
        else:
            self._panel.ripple_panel.go_along(steps)

    def _arm(self, number: int) -> None:
        label = self._panel.class_editor.at(number)
        if self._digits_judge():
            self._panel.reviewing.wrong(label)
        self._panel.arm(label)

    def _digits_judge(self) -> bool:
        """Whether the key of a class says what a doubtful place is.

        Not of a tile, which has places of many classes, and not while clicks are selected or
        something is drawn, for which a class is chosen.
        """
        layers = self._panel.control.layers
        return (
            self._panel.reviewing.has_doubtful
            and not self._panel.drawing.tool.is_active
            and layers is not None
            and layers.click_layers.selecting is None
        )

    def _press(self, button: QAbstractButton) -> None:
        if button.isEnabled():
            button.click()
        else:
            reason = button.toolTip().rpartition("Not now: ")[2]
            self._panel.viewer_controls.say(f"{button.text()}: {reason}")
