"""Maps the verbs of the panel to what they do, for keys, menus and the palette."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from qtpy.QtWidgets import QAbstractButton

from napari_disca.gui.panels.parts.buttons import reason_of

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.gui.tasks.draw_controller import DrawController
    from napari_disca.gui.tasks.review.review_controller import ReviewController
    from napari_disca.gui.tasks.review.ripple_controller import RippleController
    from napari_disca.gui.window.class_editor import ClassEditor
    from napari_disca.gui.window.layout import Panels

#: Actions by the names of verbs.
Actions: TypeAlias = dict[str, Callable[..., object]]


class VerbActions:
    """The actions of the verbs of one window.

    Parameters
    ----------
    panels : Panels
    control : Control
    class_editor : ClassEditor
    drawing : DrawController
    reviewing : ReviewController
    ripple : RippleController
    arm : callable
        Makes the next click one of the class with this number.
    say : callable
        Shows a line in the status bar.
    """

    def __init__(
        self,
        panels: Panels,
        control: Control,
        class_editor: ClassEditor,
        drawing: DrawController,
        reviewing: ReviewController,
        ripple: RippleController,
        *,
        arm: Callable[[int], object],
        say: Callable[[str], object],
    ) -> None:
        self._panels, self._control, self._class_editor = panels, control, class_editor
        self._drawing, self._reviewing, self._ripple = drawing, reviewing, ripple
        self._arm_class, self._say = arm, say

    def actions(self) -> Actions:
        """Return the actions by verb; a verb with a button presses it, or says why it cannot."""
        buttons = {**self._panels.buttons(), "compare": self._panels.compare.switch}
        pressed = {name: partial(self._press, button) for name, button in buttons.items()}
        both: Actions = {
            "confirm": self._confirm,
            "leave_tool": self._leave,
            "wrong": self._wrong,
            "next_place": partial(self._go_along, 1),
            "previous_place": partial(self._go_along, -1),
        }
        own: Actions = {**self._drawing.verbs(), **self._reviewing.verbs(), **both}
        classes: Actions = {**self._class_editor.actions, "class": self._arm}
        return {**pressed, **own, **classes, "blink": self._ripple.press_blink}

    def when(self) -> dict[str, Callable[[], bool]]:
        """Return by verb when some keys count; at other times Qt and napari get them."""
        tool, review, ripple = self._drawing.tool, self._reviewing, self._ripple
        return {
            **self._drawing.when(),
            "confirm": lambda: tool.has_corners or review.has_place,
            "leave_tool": lambda: tool.is_active or review.has_place or ripple.has_place,
            "wrong": lambda: review.has_place,
            "next_place": self._has_place,
            "previous_place": self._has_place,
            "unsure": lambda: review.has_place,
        }

    def _confirm(self) -> None:
        if self._drawing.tool.has_corners:
            self._drawing.tool.close_outline()
        else:
            self._reviewing.judge("right")

    def _wrong(self, number: int) -> None:
        self._reviewing.wrong(self._class_editor.at(number))

    def _leave(self) -> None:
        if self._drawing.tool.is_active:
            self._drawing.tool.leave()
        elif self._reviewing.has_place:
            self._reviewing.leave()
        else:
            self._ripple.leave()

    def _has_place(self) -> bool:
        """Whether a place of a review or a region of the ripple is outlined."""
        return self._reviewing.has_place or self._ripple.has_place

    def _go_along(self, steps: int) -> None:
        """Go along the list that what is outlined is in."""
        if self._reviewing.has_place:
            self._panels.queue.go_along(steps)
        else:
            self._panels.ripple.go_along(steps)

    def _arm(self, number: int) -> None:
        label = self._class_editor.at(number)
        if self._digits_judge():
            self._reviewing.wrong(label)
        self._arm_class(label)

    def _digits_judge(self) -> bool:
        """Whether the key of a class says what a doubtful place is.

        Not of a tile, which has places of many classes, and not while clicks are selected or
        something is drawn, for which a class is chosen.
        """
        layers = self._control.layers
        return (
            self._reviewing.has_doubtful
            and not self._drawing.tool.is_active
            and layers is not None
            and layers.click_layers.selecting is None
        )

    def _press(self, button: QAbstractButton) -> None:
        if button.isEnabled():
            button.click()
        else:
            self._say(f"{button.text()}: {reason_of(button)}")
