"""The table of recipes."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from napari_disca.errors import RecipeError
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.disir import Disir
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
    "default": Disca(),
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
