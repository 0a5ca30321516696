"""Actions on clicks, adaptations and locks: one class for each kind of step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import AreaError, JournalError
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.recipes import AdaptationResult, recipe_of_fields
from napari_disca.session.steps.journal_fields import (
    areas_field,
    click_field,
    clicks_field,
    text_field,
    whole_field,
)
from napari_disca.session.steps.step_values import (
    AdaptationRun,
    Edit,
    Guided,
    Lock,
    LockOrStroke,
    base_of,
    click_fields,
    overlapping,
    run_fields,
    teaching,
)
from napari_disca.session.steps.steps import ImageFacts, Step
from napari_disca.session.steps.strokes import Stroke


@dataclass(frozen=True, slots=True)
class ChangeClicks:
    """Replace all clicks.

    If an adaptation has learned from a click that is removed, moved or relabelled, it is learned
    again as if the click had always been so.
    """

    clicks: Clicks
    title: str
    kind: ClassVar[str] = "clicks"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        after = self.clicks.checked(facts.shape, facts.classes)
        if after == step.clicks:
            return step
        run = step.adapted
        if run is not None:
            edit, left = Edit.between(step.clicks, after), set(after)
            became = edit.of if edit.exact else (lambda c: c if c in left else None)
            run = run.edited(became, step.locks)
        return replace(step, title=self.title, clicks=after, adapted=run)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        edit = Edit.between(before.clicks, after.clicks)
        return {"title": self.title, **click_fields(edit, after.clicks)}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        title = text_field(fields, "title")
        if "set" in fields:
            return cls(Clicks(clicks_field(fields["set"])), title)
        edit = Edit(
            changed=tuple(
                (click_field(old), click_field(new)) for old, new in fields.get("change", [])
            ),
            removed=tuple(clicks_field(fields.get("remove", []))),
            added=tuple(clicks_field(fields.get("add", []))),
        )
        clicks = set(step.clicks)
        if not all(click in clicks for click in (*edit.removed, *(old for old, _ in edit.changed))):
            raise JournalError("it changes a click that does not exist")
        return cls(edit.applied(step.clicks), title)


@dataclass(frozen=True, slots=True)
class Adopt:
    """Adopt what a run of a recipe has learned."""

    run: AdaptationRun
    kind: ClassVar[str] = "adapt"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        # Whole networks in the history would fill the memory.
        run = replace(self.run, adaptation=replace(self.run.adaptation, network=None, tensors={}))
        # Clicks removed while it was learning must not count.
        clicks = set(step.clicks)
        left = run.edited(lambda click: click if click in clicks else None, step.locks)
        if left is None or left is run.base:
            return step
        return replace(step, title=f"adapt ({left.recipe.title})", adapted=left)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        run = after.adapted
        assert run is not None
        of_run = run_fields(run, after.clicks, after.locks, before.adapted)
        return {**of_run, "note": run.adaptation.note}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        run = _run(fields, step, step.adapted)
        note = fields.get("note", "")
        noted = replace(run.adaptation, note=note if isinstance(note, str) else "")
        return cls(replace(run, adaptation=noted))


def _run(fields: Any, step: Step, current: AdaptationRun | None) -> AdaptationRun:
    """Return the run of the fields that `run_fields` gives."""
    if not isinstance(fields, Mapping):
        raise JournalError("a run is not an object")
    recipe = recipe_of_fields(fields["recipe"])
    locks = teaching(step.locks)
    if "locks" in fields:
        by_number = _by_number(step)
        locks = SharedTuple(by_number[whole_field(number)] for number in fields["locks"])
    base = base_of(recipe, current)
    if "base" in fields:
        base = None if fields["base"] is None else _run(fields["base"], step, None)
    clicks = step.clicks
    if "clicks" in fields:
        clicks = Clicks(clicks_field(fields["clicks"]))
    if not clicks:
        raise JournalError("it learns from no clicks")
    return AdaptationRun(
        AdaptationResult(None),
        recipe,
        weights=text_field(fields, "weights"),
        clicks=clicks,
        locks=locks,
        seed=whole_field(fields["seed"]),
        base=base,
    )


@dataclass(frozen=True, slots=True)
class ResetNetwork:
    """Return to the pretrained weights; the clicks stay."""

    kind: ClassVar[str] = "reset"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        if step.adapted is None:
            return step
        return replace(step, title="reset network", adapted=None)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        return cls()


@dataclass(frozen=True, slots=True)
class LockAreas:
    """Lock areas: their pixels keep the labels that a map shows now."""

    areas: tuple[Area, ...]
    map: Guided = "disca"
    title: str = ""
    kind: ClassVar[str] = "lock"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        if self.map not in ("disca", "disir"):
            raise AreaError(f"map {self.map!r} cannot be locked; choose 'disca' or 'disir'")
        for area in self.areas:
            area.checked(facts.shape)
        if not self.areas:
            return step
        run = step.adapted if self.map == "disca" else None
        locks = step.locks
        for number, area in enumerate(self.areas, start=facts.next_lock):
            under = overlapping(locks, area.window)
            locks = locks.added(Lock(number, area, self.map, step.clicks, run, under))
        count = len(self.areas)
        title = self.title or ("lock an area" if count == 1 else f"lock {count} areas")
        return replace(step, title=title, locks=locks)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        rings = [area.rings for area in self.areas]
        return {"title": after.title, "map": self.map, "areas": rings}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        return cls(areas_field(fields["areas"]), fields["map"], text_field(fields, "title"))


@dataclass(frozen=True, slots=True)
class Unlock:
    """Unlock areas; an adaptation that learned from them is learned again without them."""

    locks: tuple[LockOrStroke, ...]
    kind: ClassVar[str] = "unlock"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        gone = set(self.locks)
        if not gone.issubset(step.locks):
            raise AreaError("this area is not locked")
        if not self.locks:
            return step
        left = step.locks.kept(lambda lock: lock not in gone)
        run = step.adapted
        if run is not None:
            run = run.edited(lambda click: click, left)
        count = len(self.locks)
        drawn = all(isinstance(one, Stroke) for one in self.locks)
        verb, what = ("take away", "stroke") if drawn else ("unlock", "area")
        article = "a" if drawn else "an"
        title = f"{verb} {article} {what}" if count == 1 else f"{verb} {count} {what}s"
        return replace(step, title=title, adapted=run, locks=left)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {"locks": [lock.number for lock in self.locks]}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        by_number = _by_number(step)
        return cls(tuple(by_number[whole_field(number)] for number in fields["locks"]))


def _by_number(step: Step) -> dict[int, LockOrStroke]:
    return {lock.number: lock for lock in step.locks}
