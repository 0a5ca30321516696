"""The table of recipes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from napari_disca.core.errors import RecipeError
from napari_disca.recipes.automatic import Automatic
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.disir import Disir
from napari_disca.recipes.function_space import FunctionSpace
from napari_disca.recipes.recipe import Recipe

#: Name -> recipe with its published or measured settings.
RECIPES: dict[str, Recipe] = {
    "disir": Disir(),
    # Equation 1 with the paper's optimiser: 10 passes of plain SGD over the 512-pixel tiles that
    # hold clicks, one tile a step, all weights, held to theta0's unguided prediction.
    "paper": Disca(
        parameters="all",
        optimiser="sgd",
        rate=2e-7,
        passes=10,
        batch="one",
        crops="tiles",
        tolerance=0.0,
    ),
    # What the authors' plugin runs: a larger rate, weights that carry over from click to click,
    # and the latest guided map as anchor, as a hard map (their default).
    "authors-plugin": Disca(
        parameters="all",
        optimiser="sgd",
        rate=5e-6,
        passes=10,
        batch="one",
        crops="tiles",
        tolerance=0.0,
        regulariser="cross-entropy",
        start="current",
        anchor="guided",
    ),
    # Weights, as far as held-out clicks agree, where pixels look like a click, and near the clicks
    # DISIR's map.
    "held-out": Automatic(),
    # Eq. 1 solved for the function, on the encoder's features.
    "default": FunctionSpace(),
}


def recipe_named(name: str, **changes: Any) -> Recipe:
    """Recipe of the table, with some fields changed.

    Raises
    ------
    RecipeError
        If there is no such recipe or field.
    """
    try:
        recipe = RECIPES[name]
    except KeyError:
        raise RecipeError(
            f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}"
        ) from None
    known = {f.name for f in fields(recipe)}  # type: ignore[arg-type]
    unknown = sorted(changes.keys() - known)
    if unknown:
        raise RecipeError(f"recipe {name!r} has no field {unknown[0]!r}")
    return replace(recipe, **changes)  # type: ignore[type-var]


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """Recipe as JSON can keep it; `recipe_of_fields` gives it back.

    Raises
    ------
    RecipeError
        If it is of a kind that is not in the table.
    """
    kind = type(recipe).__name__.lower()
    if _kinds().get(kind) is not type(recipe):
        raise RecipeError(
            f"a recipe of the kind {type(recipe).__name__} cannot be kept; "
            "add it to RECIPES (CONTRIBUTING, 'To add a recipe')"
        )
    return {"kind": kind, **asdict(recipe)}  # type: ignore[call-overload]


def recipe_of_fields(given: Mapping[str, Any]) -> Recipe:
    """Recipe from `recipe_fields`.

    Raises
    ------
    RecipeError
        If the kind or a field is unknown, or a value impossible.
    """
    changes = dict(given)
    kind = _kinds().get(str(changes.pop("kind", "")))
    if kind is None:
        raise RecipeError(f"there is no recipe of the kind {given.get('kind')!r}")
    for old, new in getattr(kind, "former_names", {}).items():
        if old in changes and new not in changes:
            changes[new] = changes.pop(old)
    known = {f.name: type(f.default) for f in fields(kind)}  # type: ignore[arg-type]
    for name, value in changes.items():
        if name not in known:
            raise RecipeError(f"a recipe of the kind {given['kind']!r} has no field {name!r}")
        # JSON may write 1.0 as 1; nothing else may change its type.
        if type(value) is not known[name] and not (known[name] is float and type(value) is int):
            raise RecipeError(f"{name} = {value!r} of a recipe is no {known[name].__name__}")
    return kind(**changes)


def _kinds() -> dict[str, type[Recipe]]:
    return {type(recipe).__name__.lower(): type(recipe) for recipe in RECIPES.values()}
