"""Actions that judge an adaptation: verdicts on its changes, and its strength."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError, JournalError, RecipeError
from napari_disca.session.steps.journal_fields import areas_field, real_field, text_field
from napari_disca.session.steps.step_values import Lock, LockKind, overlapping
from napari_disca.session.steps.steps import ImageFacts, Step

_NOTHING = "nothing was adapted, so there is nothing to judge; click on some mistakes and adapt"


@dataclass(frozen=True, slots=True)
class Judge:
    """Accept or reject what the adaptation changed in some areas.

    Attributes
    ----------
    verdict : "accepted" or "rejected"
    areas : tuple of Area
    changed : bool
        Whether only the changed pixels of the areas count.
    title : str
    """

    verdict: LockKind
    areas: tuple[Area, ...]
    changed: bool
    title: str = ""
    kind: ClassVar[str] = "verdict"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        if self.verdict not in ("accepted", "rejected"):
            raise AreaError(f"a verdict is 'accepted' or 'rejected', not {self.verdict!r}")
        if step.adapted is None:
            raise AreaError(_NOTHING)
        for area in self.areas:
            area.checked(facts.shape)
        if not self.areas:
            return step
        locks = step.locks
        for number, area in enumerate(self.areas, start=facts.next_lock):
            # Without strokes, which lie over judged areas.
            under = overlapping(locks, area.window).kept(lambda one: isinstance(one, Lock))
            made = Lock(
                number,
                area,
                "disca" if self.verdict == "accepted" else "disir",
                step.clicks,
                step.adapted,
                under,
                self.verdict,
                self.changed,
            )
            locks = locks.added(made)
        verb = "accept" if self.verdict == "accepted" else "reject"
        return replace(step, title=self.title or f"{verb} what was adapted", locks=locks)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {
            "title": after.title,
            "verdict": self.verdict,
            "changed": self.changed,
            "areas": [area.rings for area in self.areas],
        }

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        changed = fields["changed"]
        if not isinstance(changed, bool):
            raise JournalError("'changed' is neither true nor false")
        title, areas = text_field(fields, "title"), areas_field(fields["areas"])
        return cls(fields["verdict"], areas, changed, title)


@dataclass(frozen=True, slots=True)
class KeepNear:
    """Keep the adaptation near the clicks only; elsewhere the map is DISIR's."""

    kind: ClassVar[str] = "near"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        if step.adapted is None:
            raise AreaError(_NOTHING)
        if step.adapted.near_only:
            return step
        return replace(
            step, title="only near the clicks", adapted=replace(step.adapted, near_only=True)
        )

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        return cls()


@dataclass(frozen=True, slots=True)
class SetStrength:
    """Set the strength of the adaptation everywhere; nothing is learned again."""

    strength: float
    kind: ClassVar[str] = "strength"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        run = step.adapted
        if run is None:
            raise RecipeError("nothing was adapted, so there is nothing to make weaker or stronger")
        if not math.isfinite(self.strength):
            raise RecipeError(f"a strength of {self.strength} is not a number")
        stronger = run.with_strength(self.strength)
        if run.strength == self.strength and not run.near_only:
            return step
        # A new strength shows everywhere, also after *Only here*.
        return replace(
            step,
            title=f"strength {self.strength:g}",
            adapted=replace(stronger, near_only=False),
        )

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {"to": self.strength}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        return cls(real_field(fields["to"]))
