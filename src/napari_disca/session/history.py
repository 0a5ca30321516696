"""What a session remembers: steps of clicks, recipe runs and locked areas.

All of them are values that say how something came about, so that it can come about again: a
`Run` which weights (this recipe, on these clicks), a `Lock` which labels (this area, of the map
of these clicks and weights). Maps and weights are only caches of that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import RecipeError
from napari_disca.networks import Delta
from napari_disca.recipes import AdaptationResult, Recipe, recipe_fields
from napari_disca.session.strokes import Stroke

#: The maps that clicks change.
Guided: TypeAlias = Literal["disir", "disca"]
#: What the user has said of an area: it is right as it is, or a verdict on what was changed there.
LockKind: TypeAlias = Literal["area", "accepted", "rejected"]
#: The field of recipes that says how strongly what was learned counts.
_STRENGTH = "strength"


@dataclass(frozen=True, slots=True, eq=False)
class AdaptationRun:
    """A run of a recipe; also the event of `Session.adapt` that `Session.handle` adopts.

    Attributes
    ----------
    adaptation : AdaptationResult
        What was learned. In the history it holds no network.
    recipe : Recipe
    weights : str
        Fingerprint of the adapted network; empty while the run is still to be made, since it was
        changed by an edit of the clicks.
    changed : Delta or None
        What differs from the pretrained network; None where it is to be found in the cache of
        deltas, or learned again.
    clicks : Clicks
        Learned from.
    locks : tuple of Lock or Stroke
        Learned from, too.
    seed : int
    base : AdaptationRun or None
        The run it goes on from, if the recipe does.
    near_only : bool
        Whether what was learned counts near the clicks only; see `Session.only_near`.
    key : str
        Name of what was learned: runs of equal keys learn the same on one machine. How strongly
        it counts, and where, does not belong to it.
    """

    adaptation: AdaptationResult
    recipe: Recipe
    weights: str = ""
    changed: Delta | None = None
    clicks: Clicks = field(default_factory=Clicks)
    locks: tuple[Held, ...] = ()
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
        """How strongly what was learned counts, 1 as measured; None if the recipe has no say."""
        strength: float | None = getattr(self.recipe, _STRENGTH, None)
        return strength

    @property
    def answer(self) -> str:
        """Name of what the run says of the image: of what was learned, how strongly, and where."""
        strength = "" if self.strength is None else f"*{self.strength!r}"
        return f"{self.key}{strength}{'~near' * self.near_only}"

    def with_strength(self, strength: float) -> AdaptationRun:
        """The same run, weaker or stronger; nothing is learned again.

        Raises
        ------
        RecipeError
            If the recipe has no strength, or not this one.
        """
        if self.strength is None:
            raise RecipeError(
                f"an adaptation {self.recipe.title} has no strength; choose the recipe 'default' "
                "and adapt again"
            )
        return replace(self, recipe=replace(self.recipe, **{_STRENGTH: strength}))  # type: ignore[type-var]

    def edited(
        self, edit: Callable[[Click], Click | None], locks: Iterable[Held]
    ) -> AdaptationRun | None:
        """The run as it would be had the clicks and locks always been what they are now.

        Parameters
        ----------
        edit : callable
            Click -> what became of it, None if it was removed.
        locks : iterable of Lock or Stroke
            Those that are left.

        Returns
        -------
        AdaptationRun or None
            Self where nothing changes. What is not learned yet has no weights. Where nothing is
            left to learn from, the run before, if it went on from one.
        """
        left = set(locks)
        base = self.base.edited(edit, left) if self.base is not None else None
        clicks = Clicks(tuple(new for click in self.clicks if (new := edit(click)) is not None))
        kept = tuple(lock for lock in self.locks if lock in left)
        if base is self.base and clicks == self.clicks and kept == self.locks:
            return self
        if not clicks:
            return base
        return AdaptationRun(
            AdaptationResult(None),
            self.recipe,
            "",
            None,
            clicks,
            kept,
            self.seed,
            base,
            self.near_only,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lock:
    """An area that the user has judged.

    *area*: it was checked, and its pixels keep the labels that they had, whatever comes.
    *accepted*: what an adaptation changed there is right, and is held; later clicks that say
    something else count. *rejected*: it was right before, so that the map shows what DISIR
    says, whatever is adapted. All of them teach.

    Attributes
    ----------
    number : int
        Its name in the session.
    area : Area
    map : "disir" or "disca"
        Whose labels they are.
    clicks : Clicks
    run : AdaptationRun or None
        What that map was made of; None for the pretrained weights.
    under : tuple of Lock or Stroke
        Areas locked before, whose labels it shows where they meet.
    kind : str
    changed : bool
        Whether it holds only those pixels of the area that `run` has changed.
    digest : str
    """

    number: int
    area: Area
    map: Guided
    clicks: Clicks
    run: AdaptationRun | None
    under: tuple[Held, ...]
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


#: What holds pixels of the maps, whatever a network says of them.
Held: TypeAlias = Lock | Stroke


def teaching(held: Iterable[Held]) -> tuple[Held, ...]:
    """Those that adaptations learn from."""
    return tuple(one for one in held if not isinstance(one, Stroke) or one.teaches)


@dataclass(frozen=True, slots=True)
class Edit:
    """How clicks became others.

    Attributes
    ----------
    changed : tuple of (Click, Click)
        Moved, or given another class, at the same age.
    removed, added : tuple of Click
    exact : bool
        Whether `applied` gives the very clicks, order and all.
    """

    changed: tuple[tuple[Click, Click], ...] = ()
    removed: tuple[Click, ...] = ()
    added: tuple[Click, ...] = ()
    exact: bool = True

    @classmethod
    def between(cls, before: Clicks, after: Clicks) -> Edit:
        """Shortest account of a change."""
        old, new = set(before), set(after)
        aligned = zip(before, after, strict=True) if len(before) == len(after) else ()
        pairs = tuple((a, b) for a, b in aligned if a != b)
        if pairs and all(a not in new and b not in old for a, b in pairs):
            return cls(changed=pairs)
        if after.items and before.added(after.items[-1]) == after:
            # A click on one that is there gives it another class, and makes it the youngest.
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
        """Clicks after the change."""
        became = dict(self.changed)
        kept = Clicks(tuple(became.get(click, click) for click in clicks))
        return kept.removed(*self.removed).added(*self.added)

    @property
    def of(self) -> Callable[[Click], Click | None]:
        """Click -> what became of it; None for one that was removed."""
        became: dict[Click, Click | None] = dict(self.changed)
        became |= dict.fromkeys(self.removed)
        return lambda click: became.get(click, click)


def base_of(recipe: Recipe, current: AdaptationRun | None) -> AdaptationRun | None:
    """The run that a recipe goes on from, if it does."""
    return current if getattr(recipe, "continues", True) else None


def click_fields(edit: Edit, after: Clicks) -> dict[str, Any]:
    """A change of clicks as the journal keeps it: as an edit where that says all."""
    if not edit.exact:
        return {"set": [_triple(click) for click in after]}
    fields = {
        "change": [[_triple(old), _triple(new)] for old, new in edit.changed],
        "remove": [_triple(click) for click in edit.removed],
        "add": [_triple(click) for click in edit.added],
    }
    return {name: value for name, value in fields.items() if value}


def run_fields(
    run: AdaptationRun, clicks: Clicks, locks: tuple[Held, ...], current: AdaptationRun | None
) -> dict[str, Any]:
    """A run as the journal keeps it; what is as in the session at that moment is left out."""
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
    except RecipeError:  # a script's own, which has no name but what it looks like
        return repr(recipe)


def _digest(facts: object) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()
