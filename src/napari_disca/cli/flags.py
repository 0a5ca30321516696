"""Command-line flags made from the fields of a frozen dataclass."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from napari_disca.errors import RecipeError
from napari_disca.recipes import RECIPES, Recipe, recipe_named


def add_fields(
    group: argparse._ArgumentGroup, kinds: Iterable[type], skip: Iterable[str] = ()
) -> None:
    """Add a flag for every number and choice among the fields of some dataclasses.

    The flags have no default, so that only what the user gives is changed.
    """
    taken = set(skip)
    for kind in kinds:
        hints = get_type_hints(kind)
        for field in fields(kind):
            hint, name = hints[field.name], field.name
            if name in taken:
                continue
            options: dict[str, Any] = {
                "dest": f"field_{name}",
                "default": argparse.SUPPRESS,
                "help": str(field.metadata.get("tooltip", "")).replace("%", "%%")
                + f" (default {field.default})",
            }
            if get_origin(hint) is Literal:
                options["choices"] = get_args(hint)
            elif hint in (int, float):
                options |= {"type": hint, "metavar": hint.__name__.upper()}
            else:
                continue
            taken.add(name)
            group.add_argument(f"--{name.replace('_', '-')}", **options)


def given_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields that the user gave on the command line."""
    return {
        name.removeprefix("field_"): value
        for name, value in vars(arguments).items()
        if name.startswith("field_")
    }


def recipes_of(arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Recipe]:
    """Recipes by name, with the fields given on the command line.

    Raises
    ------
    RecipeError
        If none of the recipes has such a field, or its value is impossible.
    """
    changes = given_fields(arguments)
    known = {name: {f.name for f in fields(RECIPES[name])} for name in names}  # type: ignore[arg-type]
    for field in changes:
        if not any(field in has for has in known.values()):
            raise RecipeError(
                f"--{field.replace('_', '-')} is no field of {', '.join(known)}; leave it out or "
                "choose a recipe that learns"
            )
    return {
        name: recipe_named(name, **{k: v for k, v in changes.items() if k in has})
        for name, has in known.items()
    }
