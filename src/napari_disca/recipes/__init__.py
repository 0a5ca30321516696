"""Recipes: how clicks change a network's answer.

To add a recipe, write one module with a frozen dataclass that is a `Recipe`, and add one line
to `RECIPES`. The panel's form, the command line's flags and the contract tests are made from its
fields.
"""

from __future__ import annotations

from napari_disca.recipes.answers import AnswerParts, composer_of
from napari_disca.recipes.automatic import Automatic
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.disir import Disir
from napari_disca.recipes.recipe import (
    AdaptationResult,
    Recipe,
    check_fields,
    checked_seed,
    crops_for,
)
from napari_disca.recipes.table import (
    RECIPES,
    recipe_fields,
    recipe_named,
    recipe_of_fields,
)

__all__ = [
    "RECIPES",
    "AdaptationResult",
    "AnswerParts",
    "Automatic",
    "Disca",
    "Disir",
    "Recipe",
    "check_fields",
    "checked_seed",
    "composer_of",
    "crops_for",
    "recipe_fields",
    "recipe_named",
    "recipe_of_fields",
]
