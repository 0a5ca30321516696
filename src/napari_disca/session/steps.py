"""A session's history: steps that are values, and the actions that lead from one to the next.

To add a kind of step (a verdict, a stroke, a change of the classes), write an `Action` and add one
line to `napari_disca.session.action_table.ACTIONS`: from there it is journaled, done again from the
journal, and taken back. What it has to remember goes into `Step.values` as a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

from napari_disca.annotations.clicks import Clicks
from napari_disca.session.history import AdaptationRun, Held

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the history: what the session looked like after it.

    Attributes
    ----------
    title : str
        What was done, for the user.
    clicks : Clicks
    adapted : AdaptationRun or None
        The last adaptation; None while the weights are the pretrained ones.
    locks : tuple of Lock or Stroke
        Oldest first.
    values : tuple of object
        What else steps have set, at most one value of a type; see `value`.
    kind : str
        What the journal calls the action.
    """

    title: str
    clicks: Clicks
    adapted: AdaptationRun | None
    locks: tuple[Held, ...] = ()
    values: tuple[object, ...] = ()
    kind: str = ""

    def titled(self, title: str) -> Step:
        """The same step under another title."""
        return replace(self, title=title)

    def value(self, kind: type[V]) -> V:
        """The value of a type; what the type gives without arguments if no step has set one."""
        for value in self.values:
            if type(value) is kind:
                return value
        return kind()

    def with_value(self, value: object) -> Step:
        """Step in which this is the value of its type."""
        others = tuple(other for other in self.values if type(other) is not type(value))
        return replace(self, values=(*others, value))


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What actions are checked against.

    Attributes
    ----------
    shape : (int, int)
        Height and width of the image.
    classes : int
        How many there are.
    next_lock : int
        Number of the next lock: numbers are never used again, also not after an undo.
    """

    shape: tuple[int, int]
    classes: int
    next_lock: int = 1


class Action(Protocol):
    """Something a user does in one step: a frozen dataclass of what was asked for."""

    #: What the journal calls it.
    kind: ClassVar[str]

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """Step after it, with its title; the same object if nothing changes.

        Raises
        ------
        DiscaError
            If it is impossible.
        """

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """What the journal keeps of it, as JSON has it."""

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """Action of a line of a journal.

        Raises
        ------
        DiscaError, KeyError, TypeError, ValueError
            If the line makes no sense.
        """
