"""Offers *Undo* beside the message about the last step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QPushButton

if TYPE_CHECKING:
    from napari_disca.gui.tasks.control import Control
    from napari_disca.session.session import Session
    from napari_disca.session.steps.steps import Step

#: Kinds of steps that change much at once. A click has no offer: Ctrl+Z is as near.
_OFFERED = frozenset(
    ("adapt", "reset", "verdict", "near", "stroke", "review", "classes", "lock", "unlock")
)
#: Names of steps on the button where the first word of their title is not enough.
_CALLED = {"near": "only here", "stroke": "stroke", "classes": "classes", "reset": "reset"}


class UndoOffer(QObject):
    """Shows a button that undoes exactly the last step.

    It goes with the next step, whatever that is, with undo and redo, and as soon as the panel's
    message is about something else.

    Parameters
    ----------
    button : QPushButton
    control : Control
    parent : QObject
    """

    def __init__(self, button: QPushButton, control: Control, parent: QObject) -> None:
        super().__init__(parent)
        self._button, self._control = button, control
        self._session: Session | None = None
        #: The history and the current step at the last change.
        self._steps: tuple[Step, ...] = ()
        self._step: Step | None = None
        self._offered: Step | None = None
        button.setVisible(False)
        button.clicked.connect(self._undo)
        control.changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        session = self._control.session
        if session is None or session is not self._session:
            self._session = session
            self._look(session)
            self._offer(None)
        elif session.document.step is not self._step:
            steps, before = self._steps, self._step
            self._look(session)
            new = not any(step is self._step for step in steps[session.document.position :])
            new = (
                new
                and session.document.position > 0
                and self._steps[session.document.position - 1] is before
            )
            self._offer(self._step if new and _is_large(session, before) else None)
        # While files are examined or a session is made, the panel's message is about that.
        is_said = self._control.message.step is self._offered and not self._control.pending
        self._button.setVisible(self._offered is not None and is_said)

    def _look(self, session: Session | None) -> None:
        self._steps = () if session is None else tuple(session.document.history)
        self._step = None if session is None else session.document.step

    def _offer(self, step: Step | None) -> None:
        self._offered = step
        if step is not None:
            first = step.title.split(maxsplit=1)[0].rstrip(":")
            self._button.setText(f"Undo {_CALLED.get(step.kind, first)}")
            self._button.setAccessibleName(f"Undo {step.title}")
            self._button.setToolTip(f"Undo this step: {step.title}")

    def _undo(self) -> None:
        session = self._control.session
        if session is not None and session.document.step is self._offered:
            self._control.undo()


def _is_large(session: Session, before: Step | None) -> bool:
    """Whether the last step changes so much that the user may want to undo it at once."""
    step = session.document.step
    if step.kind == "clicks":
        return before is not None and len(step.clicks) < len(before.clicks)
    if step.kind == "review":
        return session.document.marks[-1].verdict != "seen"  # noted without the user's doing
    return step.kind in _OFFERED
