"""The panel's message about the last action, and the step that it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_disca.session.session import Session
    from napari_disca.session.steps.steps import Step


class StepMessage:
    """A message about a step of the history, or about something else.

    Attributes
    ----------
    text : str
    step : Step or None
        The step that the message is about; None if it is about something else.
    """

    def __init__(self) -> None:
        self.text = ""
        self.step: Step | None = None
        #: The step at the last change of the history.
        self._last: Step | None = None

    def begin(self, session: Session | None) -> None:
        """Drop the message, and follow the steps of a session from now on."""
        self.text, self.step = "", None
        self._last = None if session is None else session.document.step

    def say(self, text: str, session: Session | None) -> None:
        """Replace the message; with a session it is about the session's last step."""
        self.text = text
        self.step = None if session is None else session.document.step

    def follow(self, session: Session) -> None:
        """Drop a message about something else when a new step is made.

        It must not stand beside the offer to undo the step. That a place was seen is noted without
        the user's doing: the message about the place stays.
        """
        if session.document.step is not self._last:
            self._last = session.document.step
            if self.step is not self._last and not _is_seen(session):
                self.say("", session)


def _is_seen(session: Session) -> bool:
    """Whether the last step only notes that a place was seen."""
    marks = session.document.marks
    return session.document.step.kind == "review" and bool(marks) and marks[-1].verdict == "seen"
