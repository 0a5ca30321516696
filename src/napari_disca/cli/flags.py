"""Command-line flags made from the fields of a frozen dataclass."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from napari_disca.core.errors import RecipeError
from napari_disca.recipes import RECIPES, Recipe, recipe_named


def add_fields(
    group: argparse._ArgumentGroup,
    kinds: Iterable[type],
    told: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add a flag for every number, switch and choice among the fields of some dataclasses.

    A field's ``tooltip`` is the flag's help, its ``min`` and ``max`` are checked. The flags have
    no default, so that only what the user gives is changed.

    Parameters
    ----------
    group : argument group
    kinds : iterable of type
    told : mapping, optional
        Metadata by name for fields that have none.
    """
    taken: set[str] = set()
    for kind in kinds:
        hints = get_type_hints(kind)
        for field in fields(kind):
            about = field.metadata or (told or {}).get(field.name, {})
            options = _options(hints[field.name], about)
            if field.name not in taken and options is not None:
                taken.add(field.name)
                group.add_argument(
                    f"--{field.name.replace('_', '-')}",
                    dest=f"field_{field.name}",
                    default=argparse.SUPPRESS,
                    help=_help(about, field.default),
                    **options,
                )


def _help(about: Mapping[str, Any], default: object) -> str:
    tooltip = str(about.get("tooltip", "")).replace("%", "%%")
    return f"{tooltip} (default {_spelt(default)})".strip()


def _options(hint: Any, about: Mapping[str, Any]) -> dict[str, Any] | None:
    """Argparse's options for a field; None for what no flag can say."""
    if get_origin(hint) is Literal:
        # Blanks would have to be quoted.
        by_spelling = {_spelt(choice): choice for choice in get_args(hint)}
        return {"type": _choice(by_spelling), "metavar": "{" + ",".join(by_spelling) + "}"}
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint in (int, float):
        return {"type": _number(hint, about), "metavar": hint.__name__.upper()}
    return None


def _spelt(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "-")


def _choice(by_spelling: dict[str, Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return by_spelling[_spelt(text)]
        except KeyError:
            raise argparse.ArgumentTypeError(
                f"{text!r} is unknown; use {' or '.join(by_spelling)}"
            ) from None

    return parse


def _number(kind: type[int] | type[float], about: Mapping[str, Any]) -> Callable[[str], float]:
    low, high = about.get("min", float("-inf")), about.get("max", float("inf"))

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            whole = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is not a {whole}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low:g} and {high:g}")
        return value

    return parse


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
        If a recipe is unknown, none of them has such a field, or its value is impossible.
    """
    names = list(names)
    for name in names:
        if name not in RECIPES:
            raise RecipeError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
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
