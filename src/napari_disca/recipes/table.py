"""The table of recipes, and functions to look up, save and load them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any, get_type_hints

from napari_disca.core.errors import RecipeError
from napari_disca.core.typed_values import checked_value
from napari_disca.recipes.automatic import Automatic
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.disir import Disir
from napari_disca.recipes.function_space import FunctionSpace
from napari_disca.recipes.recipe import Recipe, check_fields

#: Recipes by name, with their published or measured settings.
RECIPES: dict[str, Recipe] = {
    "disir": Disir(),
    # Equation 1 with the paper's optimiser: 10 passes of plain SGD over the 512-pixel tiles with
    # clicks, one tile per step, all weights, anchored to theta0's prediction without guidance.
    "paper": Disca(
        parameters="all",
        optimiser="sgd",
        rate=2e-7,
        passes=10,
        batch="one",
        crops="tiles",
        tolerance=0.0,
    ),
    # The settings of the authors' plugin: a larger rate, weights that start from the previous
    # adaptation, and the classes of the latest guided map as anchor.
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
    # DISCA with a strength chosen by held-out clicks, used at pixels that look like a click; near
    # the clicks the map is DISIR's.
    "held-out": Automatic(),
    # Equation 1 solved for the function instead of the weights, on the encoder's features.
    "default": FunctionSpace(),
}


def recipe_named(name: str, **changes: Any) -> Recipe:
    """Return a recipe of the table, with some fields changed.

    Parameters
    ----------
    name : str
    **changes
        New values of fields.

    Raises
    ------
    RecipeError
        If there is no such recipe or field, or a value is not allowed.
    """
    try:
        recipe = RECIPES[name]
    except KeyError:
        raise RecipeError(
            f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}"
        ) from None
    settings = {f.name for f in fields(recipe)}
    unknown = sorted(changes.keys() - settings)
    if unknown:
        raise RecipeError(f"recipe {name!r} has no field {unknown[0]!r}")
    changed: Recipe = replace(recipe, **changes)
    check_fields(changed)
    return changed


def recipe_fields(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as values of JSON, from which `recipe_of_fields` makes it again.

    Raises
    ------
    RecipeError
        If no recipe of the table has its class.
    """
    kind = type(recipe).__name__.lower()
    if _kinds().get(kind) is not type(recipe):
        raise RecipeError(
            f"a recipe of the class {type(recipe).__name__} cannot be saved; "
            "add it to RECIPES (CONTRIBUTING, 'To add a recipe')"
        )
    return {"kind": kind, **asdict(recipe)}


def recipe_of_fields(given: Mapping[str, Any]) -> Recipe:
    """Return the recipe whose fields `recipe_fields` has returned.

    Raises
    ------
    RecipeError
        If the kind or a field is unknown, or a value is not allowed.
    """
    changes = dict(given)
    kind = _kinds().get(str(changes.pop("kind", "")))
    if kind is None:
        raise RecipeError(f"there is no recipe of the kind {given.get('kind')!r}")
    for old, new in getattr(kind, "former_names", {}).items():
        if old in changes and new not in changes:
            changes[new] = changes.pop(old)
    hints = get_type_hints(kind)
    for name, value in changes.items():
        if name not in {f.name for f in fields(kind)}:
            raise RecipeError(f"a recipe of the kind {given['kind']!r} has no field {name!r}")
        try:
            changes[name] = checked_value(value, hints[name])
        except ValueError as error:
            raise RecipeError(f"{name} = {value!r} of a recipe {error}") from None
    recipe = kind(**changes)
    check_fields(recipe)
    return recipe


def _kinds() -> dict[str, type[Recipe]]:
    return {type(recipe).__name__.lower(): type(recipe) for recipe in RECIPES.values()}
