"""The history of a session: steps that can be undone and redone, and their journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import JournalError
from napari_disca.session.journal.journal import Journal
from napari_disca.session.steps.review_marks import Mark, Marks
from napari_disca.session.steps.step_values import LockOrStroke
from napari_disca.session.steps.steps import Action, ImageFacts, Step
from napari_disca.session.steps.strokes import Stroke

#: Name of the count of judged places.
_JUDGED = "judged"


class StepHistory:
    """Steps that can be undone and redone, each with a line in the journal.

    Parameters
    ----------
    facts : ImageFacts
        Facts against which actions are checked.

    Attributes
    ----------
    journal : Journal or None
    """

    clicks_changed = Signal(Clicks)
    adapted_changed = Signal(object)
    locks_changed = Signal(tuple)
    #: A value of `Step.values` has changed.
    value_changed = Signal(object)
    history_changed = Signal()
    #: One line for the user: the journal cannot be written, or weights were learned differently.
    troubled = Signal(str)
    #: The journal was not written to disk; emitted on another thread, so that the owner calls
    #: `check_journal`.
    journal_failed = Signal()

    def __init__(self, facts: ImageFacts) -> None:
        self.journal: Journal | None = None
        self._facts = facts
        self._history: list[Step] = [Step("open", Clicks(), None)]
        self._position = 0
        #: What the journal tells of the current step: adaptations, kinds of locks, judged places.
        self._counts: Counter[str] = Counter()
        #: The journal's trouble that was emitted last.
        self._reported_trouble = ""

    @property
    def step(self) -> Step:
        """The current step, which holds the whole state."""
        return self._history[self._position]

    @property
    def history(self) -> tuple[Step, ...]:
        """All steps, with those that `redo` would bring back."""
        return tuple(self._history)

    @property
    def position(self) -> int:
        """Index of the current step in the history."""
        return self._position

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to undo."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone step."""
        return self._position + 1 < len(self._history)

    def do(self, action: Action) -> bool:
        """Do an action in one step, which is journaled and can be undone.

        Returns
        -------
        bool
            Whether it has changed anything.

        Raises
        ------
        DiscaError
            If the action is impossible; nothing changes then.
        """
        before = self.step
        after = action.applied(before, self._facts)
        if after is before:
            return False
        self._record(replace(after, kind=action.kind), action)
        return True

    def undo(self) -> str | None:
        """Undo the last step.

        Returns
        -------
        str or None
            Title of the undone step; None if there is none. The maps follow with the next refresh.
        """
        if not self.can_undo:
            return None
        title = self.step.title
        self.go(self._position - 1)
        return title

    def redo(self) -> str | None:
        """Redo the next undone step; return its title, or None if there is none."""
        if not self.can_redo:
            return None
        self.go(self._position + 1)
        return self.step.title

    def go(self, position: int) -> None:
        """Go to any step of the history; those after it can be redone.

        Raises
        ------
        IndexError
            If there is no such step.
        """
        if not 0 <= position < len(self._history):
            raise IndexError(f"there is no step {position} among {len(self._history)}")
        if position != self._position:
            self._go(position, {"do": "go", "to": position})

    def _record(self, step: Step, action: Action | None = None) -> None:
        """Add a step as the last one of the history, and go to it."""
        before = self.step
        event: dict[str, Any] = {}
        # A recipe of a script cannot be journaled, and need not be without a journal.
        if action is not None and self.journal is not None:
            event = {"do": action.kind, **action.fields(before, step)}
        del self._history[self._position + 1 :]
        self._history.append(step)
        if step.locks:  # numbers ascend
            latest = step.locks[-1].number
            self._facts = replace(self._facts, next_lock=max(self._facts.next_lock, latest + 1))
        self._go(self._position + 1, event)

    def _go(self, position: int, event: Mapping[str, Any]) -> None:
        before, after = self.step, self._history[position]
        self._count(position)
        self._position = position
        self._tell(event)
        if before.clicks != after.clicks:
            self.clicks_changed.emit(after.clicks)
        if before.adapted is not after.adapted:
            self.adapted_changed.emit(after.adapted)
        if before.locks != after.locks:
            self.locks_changed.emit(tuple(after.locks))
        for kind in {type(value) for value in (*before.values, *after.values)}:
            if before.value(kind) != after.value(kind):
                self.value_changed.emit(after.value(kind))
        self.history_changed.emit()

    def _count(self, position: int) -> None:
        """Update the counts for another step; the time this takes grows with the changes only."""
        before, after = self.step, self._history[position]
        low, high = sorted((self._position, position))
        runs = sum(step.kind == "adapt" for step in self._history[low + 1 : high + 1])
        self._counts["adapt"] += runs if position > self._position else -runs
        if before.locks is after.locks and before.values is after.values:
            return  # most steps, and undoing a click should cost nothing
        locks = before.locks.changes(after.locks)
        marks = before.value(Marks).items.changes(after.value(Marks).items)
        gone, come = (_counted(*values) for values in zip(locks, marks, strict=True))
        self._counts.subtract(gone)
        self._counts.update(come)

    # ---------------------------------------------------------------- journal

    def keep(self, journal: Journal) -> None:
        """Write a journal from now on.

        Raises
        ------
        JournalError
            If steps were made already, which the journal would lack. `restore.resume` returns a
            session that continues its journal.
        """
        if len(self._history) > 1:
            raise JournalError("a journal must know a session from its first step")
        self.attach(journal)

    def attach(self, journal: Journal) -> None:
        """Continue a journal that holds all steps."""
        self.journal = journal
        journal.on_trouble = self.journal_failed.emit

    def close_journal(self) -> None:
        """Close the journal, so that another session may continue it."""
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.close()

    def relearned(self, run: str, weights: str) -> None:
        """Note in the journal that a run was learned again, with weights of some fingerprint."""
        self._tell({"do": "learned", "run": run, "weights": weights})

    def exported(self, what: str, file: str) -> None:
        """Note in the journal that a file was saved."""
        if len(self._history) > 1:
            self._tell({"do": "export", "what": what, "file": file})

    def _tell(self, event: Mapping[str, Any]) -> None:
        journal = self.journal
        if journal is None:
            return
        path = journal.path
        counts = (self._counts[kind] for kind in ("adapt", "area", Stroke.kind, _JUDGED))
        journal.append({**event, "now": [len(self.step.clicks), *counts]})
        if path != journal.path:
            self.troubled.emit(
                f"another program has changed or replaced {path}; it is left as it is, and "
                f"all that was done here is kept in {journal.path.name} beside it"
            )
        self.check_journal()

    def check_journal(self) -> None:
        """Emit `troubled` once if the journal cannot be written."""
        trouble = self.journal.trouble if self.journal is not None else ""
        before, self._reported_trouble = self._reported_trouble, trouble
        if trouble and trouble != before:
            self.troubled.emit(f"{trouble}; you can work on, and it is written as soon as possible")


def _counted(locks: Iterable[LockOrStroke], marks: Iterable[Mark]) -> Counter[str]:
    """Return the numbers of locks and strokes by kind, and of judged places."""
    counts = Counter[str](lock.kind for lock in locks)
    counts[_JUDGED] = sum(mark.verdict != "seen" for mark in marks)
    return counts
