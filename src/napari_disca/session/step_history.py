"""A history that can be gone through, and its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psygnal import Signal

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import JournalError
from napari_disca.session.journal import Journal
from napari_disca.session.steps import Action, ImageFacts, Step


class StepHistory:
    """Steps that can be taken back and done again, each a line of the journal.

    Parameters
    ----------
    facts : ImageFacts
        What actions are checked against.

    Attributes
    ----------
    journal : Journal or None
    """

    clicks_changed = Signal(Clicks)
    adapted_changed = Signal(object)
    locks_changed = Signal(tuple)
    #: A value of `Step.values` was set, or taken back.
    value_changed = Signal(object)
    history_changed = Signal()
    #: One line: the journal cannot be written, or something was learned differently.
    troubled = Signal(str)
    #: The journal has not reached the disk: emitted on another thread, for the owner to call
    #: `check_journal`.
    journal_failed = Signal()

    def __init__(self, facts: ImageFacts) -> None:
        self.journal: Journal | None = None
        self._facts = facts
        self._history: list[Step] = [Step("open", Clicks(), None)]
        self._position = 0
        #: The journal's trouble that was told last.
        self._told_trouble = ""

    @property
    def step(self) -> Step:
        """All that is in force."""
        return self._history[self._position]

    @property
    def history(self) -> tuple[Step, ...]:
        """All steps, also those that `redo` would bring back."""
        return tuple(self._history)

    @property
    def position(self) -> int:
        """Which step of the history it is at."""
        return self._position

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return self._position + 1 < len(self._history)

    def do(self, action: Action) -> bool:
        """Do something in one step: it is journaled, and can be taken back.

        Returns
        -------
        bool
            Whether anything has changed.

        Raises
        ------
        DiscaError
            If it is impossible; nothing changes then.
        """
        before = self.step
        after = action.applied(before, self._facts)
        if after is before:
            return False
        self._record(replace(after, kind=action.kind), action)
        return True

    def undo(self) -> str | None:
        """Take back the last step, all that it has changed together.

        Returns
        -------
        str or None
            What was taken back; None if there is nothing. The maps follow with the next
            refresh.
        """
        if not self.can_undo:
            return None
        title = self.step.title
        self.go(self._position - 1)
        return title

    def redo(self) -> str | None:
        """Do again what `undo` took back; what it was, or None."""
        if not self.can_redo:
            return None
        self.go(self._position + 1)
        return self.step.title

    def go(self, position: int) -> None:
        """Go to any step of the history; those after it can be brought back.

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
        """Make a step the last one of the history."""
        before = self.step
        told: dict[str, Any] = {}
        # A script's own recipe has no name to be kept under, and needs none without a journal.
        if action is not None and self.journal is not None:
            told = {"do": action.kind, **action.fields(before, step)}
        del self._history[self._position + 1 :]
        self._history.append(step)
        latest = max((lock.number for lock in step.locks), default=0)
        self._facts = replace(self._facts, next_lock=max(self._facts.next_lock, latest + 1))
        self._go(self._position + 1, told)

    def _go(self, position: int, told: Mapping[str, Any]) -> None:
        before, after = self.step, self._history[position]
        self._position = position
        self._tell(told)
        if before.clicks != after.clicks:
            self.clicks_changed.emit(after.clicks)
        if before.adapted is not after.adapted:
            self.adapted_changed.emit(after.adapted)
        if before.locks != after.locks:
            self.locks_changed.emit(after.locks)
        for kind in {type(value) for value in (*before.values, *after.values)}:
            if before.value(kind) != after.value(kind):
                self.value_changed.emit(after.value(kind))
        self.history_changed.emit()

    # ---------------------------------------------------------------- journal

    def keep(self, journal: Journal) -> None:
        """Write a journal from now on.

        Raises
        ------
        JournalError
            If something was done already: the journal would not know it. `restore.resume` gives
            a session that goes on with its journal.
        """
        if len(self._history) > 1:
            raise JournalError("a journal must know a session from its first step")
        self.attach(journal)

    def attach(self, journal: Journal) -> None:
        """Go on with a journal that knows all that was done."""
        self.journal = journal
        journal.on_trouble = self.journal_failed.emit

    def exported(self, what: str, file: str) -> None:
        """Note in the journal that something was saved."""
        if len(self._history) > 1:
            self._tell({"do": "export", "what": what, "file": file})

    def _tell(self, event: Mapping[str, Any]) -> None:
        journal = self.journal
        if journal is None:
            return
        runs = sum(step.kind == "adapt" for step in self._history[1 : self._position + 1])
        path = journal.path
        areas = sum(lock.kind == "area" for lock in self.step.locks)
        journal.append({**event, "now": [len(self.step.clicks), runs, areas]})
        if path != journal.path:
            self.troubled.emit(
                f"somebody has changed {path} or put another file there; it is left as it is, and "
                f"all that was done here is kept in {journal.path.name} beside it"
            )
        self.check_journal()

    def check_journal(self) -> None:
        """Tell by `troubled` if the journal cannot be written, once."""
        trouble = self.journal.trouble if self.journal is not None else ""
        before, self._told_trouble = self._told_trouble, trouble
        if trouble and trouble != before:
            self.troubled.emit(f"{trouble}; the work goes on, and is written as soon as it can be")
