"""Steps of a session's history, which are values, and the actions that lead from one to the next.

To add a kind of step (a verdict, a stroke, a change of the classes), write an `Action` and add one
line to `ACTIONS` in `action_table.py`; then it is journaled, replayed and undone. What it must keep
goes into `Step.values` as a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.session.steps.step_values import AdaptationRun, LockOrStroke

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the history: the state of the session after it.

    Attributes
    ----------
    title : str
        What was done, for the user.
    clicks : Clicks
    adapted : AdaptationRun or None
        The last adaptation; None while the weights are the pretrained ones.
    locks : SharedTuple of Lock or Stroke
        Oldest first.
    values : tuple of object
        Other values that steps have set, at most one of a type; see `value`.
    kind : str
        Name of the action in the journal.
    """

    title: str
    clicks: Clicks
    adapted: AdaptationRun | None
    locks: SharedTuple[LockOrStroke] = field(default_factory=SharedTuple)
    values: tuple[object, ...] = ()
    kind: str = ""

    def titled(self, title: str) -> Step:
        """Return the step with another title."""
        return replace(self, title=title)

    def value(self, kind: type[V]) -> V:
        """Return the value of a type; by default what the type returns without arguments."""
        for value in self.values:
            if type(value) is kind:
                return value
        return kind()

    def with_value(self, value: object) -> Step:
        """Return the step with this value of its type."""
        others = tuple(other for other in self.values if type(other) is not type(value))
        return replace(self, values=(*others, value))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Facts against which actions are checked.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the image.
    classes : int
        Number of classes.
    next_lock : int
        Number of the next lock; numbers are not used again after an undo.
    """

    shape: tuple[int, int]
    classes: int
    next_lock: int = 1


class Action(Protocol):
    """What a user does in one step: a frozen dataclass of its parameters."""

    #: Name of the action in the journal.
    kind: ClassVar[str]

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """Return the step after the action, with its title; the same object if nothing changes.

        Raises
        ------
        DiscaError
            If the action is impossible.
        """

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """Return the fields of the action's line in the journal, as JSON values."""

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """Return the action of a line in the journal.

        Raises
        ------
        DiscaError, KeyError, TypeError, ValueError
            If the line makes no sense.
        """
