"""Values in a session's history: runs of recipes, locks, and edits of clicks.

They say how weights and labels come about, so that these can be computed again: an `AdaptationRun`
gives weights (this recipe, on these clicks), a `Lock` gives labels (this area, of the map of these
clicks and weights). Maps and weights are caches of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Event
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.core.tiling import Window
from napari_disca.networks import Delta
from napari_disca.recipes import AdaptationResult, Recipe, recipe_fields
from napari_disca.session.steps.strokes import Stroke

#: The maps that clicks change.
Guided: TypeAlias = Literal["disir", "disca"]
#: Kinds of judged areas: locked, or a verdict on what an adaptation changed there.
LockKind: TypeAlias = Literal["area", "accepted", "rejected"]
#: Name of the field of recipes for the strength.
_STRENGTH = "strength"


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationRun(Event):
    """A run of a recipe; also the event of `Session.adapt` that `Session.handle` adopts.

    Attributes
    ----------
    adaptation : AdaptationResult
        What was learned; in the history without its network.
    recipe : Recipe
    weights : str
        Fingerprint of the adapted network; empty while the run must still be learned, because an
        edit of the clicks has changed it.
    changed : Delta or None
        Difference from the pretrained network; None if it is in the cache of deltas, or must be
        learned again.
    clicks : Clicks
        The clicks that were learned from.
    locks : SharedTuple of Lock or Stroke
        The locks and strokes that were learned from.
    seed : int
    base : AdaptationRun or None
        The run before, if the recipe continues it.
    near_only : bool
        Whether the run changes the map near the clicks only; see `Proposals.only_near`.
    key : str
        Fingerprint of what is learned: runs with equal keys learn the same on one machine. It does
        not depend on strength and `near_only`.
    """

    adaptation: AdaptationResult
    recipe: Recipe
    weights: str = ""
    changed: Delta | None = None
    clicks: Clicks = field(default_factory=Clicks)
    locks: SharedTuple[LockOrStroke] = field(default_factory=SharedTuple)
    seed: int = 0
    base: AdaptationRun | None = None
    near_only: bool = False
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        facts = (
            _described(self.recipe, without=_STRENGTH),
            [(c.row, c.col, c.label) for c in self.clicks],
            [lock.digest for lock in self.locks],
            self.seed,
            self.base.key if self.base is not None else "",
        )
        object.__setattr__(self, "key", _digest(facts))

    @property
    def strength(self) -> float | None:
        """How strongly the run changes the map, 1 by default; None without a strength."""
        strength: float | None = getattr(self.recipe, _STRENGTH, None)
        return strength

    @property
    def answer(self) -> str:
        """Fingerprint of the run's labels: of what was learned, strength, and `near_only`."""
        strength = "" if self.strength is None else f"*{self.strength!r}"
        return f"{self.key}{strength}{'~near' * self.near_only}"

    def with_strength(self, strength: float) -> AdaptationRun:
        """Return the run with another strength; nothing is learned again.

        Raises
        ------
        RecipeError
            If the recipe has no strength, or this one is out of range.
        """
        if self.strength is None:
            raise RecipeError(
                f"an adaptation {self.recipe.title} has no strength; choose the recipe 'default' "
                "and adapt again"
            )
        return replace(self, recipe=replace(self.recipe, **{_STRENGTH: strength}))

    def edited(
        self, edit: Callable[[Click], Click | None], locks: Iterable[LockOrStroke]
    ) -> AdaptationRun | None:
        """Return the run as if clicks and locks had always been what they are now.

        Parameters
        ----------
        edit : callable
            Returns the click after the edit; None if it was removed.
        locks : iterable of Lock or Stroke
            The remaining locks and strokes.

        Returns
        -------
        AdaptationRun or None
            Self if nothing changes. A run that must be learned again has no weights. If nothing is
            left to learn from, the run that it continued, or None.
        """
        left = set(locks)
        base = self.base.edited(edit, left) if self.base is not None else None
        clicks = Clicks(tuple(new for click in self.clicks if (new := edit(click)) is not None))
        locks_left = self.locks.kept(left.__contains__)
        if base is self.base and clicks == self.clicks and locks_left is self.locks:
            return self
        if not clicks:
            return base
        return AdaptationRun(
            AdaptationResult(None),
            self.recipe,
            "",
            None,
            clicks,
            locks_left,
            self.seed,
            base,
            self.near_only,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lock:
    """An area that the user has judged.

    *area*: it is locked, and its pixels keep the labels that they had. *accepted*: the changes of
    an adaptation are right and stay, unless later clicks contradict them. *rejected*: the map was
    right before, so that it shows DISIR's labels, whatever is adapted. Adaptations learn from all
    of them.

    Attributes
    ----------
    number : int
        Its number in the session.
    area : Area
    map : "disir" or "disca"
        The map whose labels they are.
    clicks : Clicks
    run : AdaptationRun or None
        The run whose map it was; None for the pretrained weights.
    under : sequence of Lock or Stroke
        Earlier areas, whose labels count where they overlap.
    kind : str
    changed : bool
        Whether it holds only the pixels of the area that `run` has changed.
    digest : str
    """

    number: int
    area: Area
    map: Guided
    clicks: Clicks
    run: AdaptationRun | None
    under: Sequence[LockOrStroke]
    kind: LockKind = "area"
    changed: bool = False
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        facts: tuple[object, ...] = (
            self.area.digest,
            self.map,
            [(c.row, c.col, c.label) for c in self.clicks],
            self.run.answer if self.run is not None else "",
            [lock.digest for lock in self.under],
        )
        if self.kind != "area":
            facts = (*facts, self.kind, self.changed)
        object.__setattr__(self, "digest", _digest(facts))


#: What sets labels of pixels, whatever a network predicts.
LockOrStroke: TypeAlias = Lock | Stroke


def teaching(locks: SharedTuple[LockOrStroke]) -> SharedTuple[LockOrStroke]:
    """Return the locks and strokes that adaptations learn from."""
    return locks.kept(lambda one: not isinstance(one, Stroke) or one.teaches)


def overlapping(locks: SharedTuple[LockOrStroke], window: Window) -> SharedTuple[LockOrStroke]:
    """Return the locks and strokes whose windows have pixels in common with a window."""
    return locks.kept(lambda one: window.overlaps(one.area.window))


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of the clicks.

    Attributes
    ----------
    changed : tuple of (Click, Click)
        Clicks that were moved or relabelled, and what they became.
    removed, added : tuple of Click
    exact : bool
        Whether `applied` gives exactly the clicks after the change, in their order.
    """

    changed: tuple[tuple[Click, Click], ...] = ()
    removed: tuple[Click, ...] = ()
    added: tuple[Click, ...] = ()
    exact: bool = True

    @classmethod
    def between(cls, before: Clicks, after: Clicks) -> Edit:
        """Return the shortest edit between two sets of clicks."""
        old, new = set(before), set(after)
        aligned = zip(before, after, strict=True) if len(before) == len(after) else ()
        pairs = tuple((a, b) for a, b in aligned if a != b)
        if pairs and all(a not in new and b not in old for a, b in pairs):
            return cls(changed=pairs)
        if after.items and before.added(after.items[-1]) == after:
            # A click on the pixel of another one replaces it, and is the latest.
            last = after.items[-1]
            below = tuple((c, last) for c in before if c.pixel == last.pixel and c != last)
            return cls(changed=below, added=(last,))
        removed = tuple(click for click in before if click not in new)
        left = before.removed(*removed)
        same = next(
            (k for k, (a, b) in enumerate(zip(left, after, strict=False)) if a != b),
            min(len(left), len(after)),
        )
        edit = cls(removed=removed, added=after.items[same:])
        return replace(edit, exact=edit.applied(before) == after)

    def applied(self, clicks: Clicks) -> Clicks:
        """Return the clicks after the change."""
        became = dict(self.changed)
        edited = Clicks(tuple(became.get(click, click) for click in clicks))
        return edited.removed(*self.removed).added(*self.added)

    @property
    def of(self) -> Callable[[Click], Click | None]:
        """Return a function from a click to the click after the edit, or None if it was removed."""
        became: dict[Click, Click | None] = dict(self.changed)
        became |= dict.fromkeys(self.removed)
        return lambda click: became.get(click, click)


def base_of(recipe: Recipe, current: AdaptationRun | None) -> AdaptationRun | None:
    """Return the run that a recipe continues; None if it continues none."""
    return current if recipe.continues else None


def click_fields(edit: Edit, after: Clicks) -> dict[str, Any]:
    """Return a change of clicks as the journal keeps it: as an edit if it is exact."""
    if not edit.exact:
        return {"set": [_triple(click) for click in after]}
    fields = {
        "change": [[_triple(old), _triple(new)] for old, new in edit.changed],
        "remove": [_triple(click) for click in edit.removed],
        "add": [_triple(click) for click in edit.added],
    }
    return {name: value for name, value in fields.items() if value}


def run_fields(
    run: AdaptationRun,
    clicks: Clicks,
    locks: SharedTuple[LockOrStroke],
    current: AdaptationRun | None,
) -> dict[str, Any]:
    """Return a run as the journal keeps it; parts equal to the session's state are left out."""
    fields: dict[str, Any] = {
        "recipe": recipe_fields(run.recipe),
        "seed": run.seed,
        "weights": run.weights,
    }
    if run.clicks != clicks:
        fields["clicks"] = [_triple(click) for click in run.clicks]
    if run.locks != teaching(locks):
        fields["locks"] = [lock.number for lock in run.locks]
    if run.base is not base_of(run.recipe, current):
        base = run.base
        fields["base"] = None if base is None else run_fields(base, clicks, locks, None)
    return fields


def _triple(click: Click) -> list[int]:
    return [click.row, click.col, click.label]


def _described(recipe: Recipe, without: str) -> str:
    try:
        fields = recipe_fields(recipe)
        fields.pop(without, None)
        return json.dumps(fields, sort_keys=True)
    except RecipeError:  # a script's own recipe, which has no name
        return repr(recipe)


def _digest(facts: object) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
