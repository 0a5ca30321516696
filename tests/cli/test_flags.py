"""Flags come from the fields of recipes and plans."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, fields
from typing import Literal

import pytest

from napari_disca.cli.flags import add_fields, given_fields, recipes_of
from napari_disca.cli.parser import build_parser
from napari_disca.core.errors import RecipeError
from napari_disca.recipes import RECIPES
from napari_disca.training.augment import Augmentation
from napari_disca.training.clicking import Clicking
from napari_disca.training.plan import TrainingPlan

REFINE = ["refine", "i.tif", "--clicks", "c.geojson", "-o", "o.tif"]


def spelt(value: object) -> str:
    return str(value).replace(" ", "-")


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_every_recipe_has_a_flag(name):
    recipe = RECIPES[name]
    given = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    flags = [part for k, v in given.items() for part in (f"--{k.replace('_', '-')}", f"{spelt(v)}")]
    for command in (REFINE, ["evaluate", "--images", "i"]):
        arguments = build_parser(command[0]).parse_args([*command, "--recipe", name, *flags])
        assert given_fields(arguments) == given
        assert recipes_of(arguments, [name]) == {name: recipe}


def test_what_is_not_given_stays_as_the_recipe_has_it():
    arguments = build_parser("refine").parse_args([*REFINE, "--passes", "3"])
    changed = recipes_of(arguments, ["disir", "paper", "default"])
    assert changed["disir"] == RECIPES["disir"]
    assert changed["paper"].passes == changed["default"].passes == 3
    assert changed["paper"].rate == RECIPES["paper"].rate
    assert changed["default"].rate == RECIPES["default"].rate


def test_a_field_that_no_chosen_recipe_has_is_refused():
    arguments = build_parser("refine").parse_args([*REFINE, "--rate", "1e-4"])
    with pytest.raises(RecipeError, match="--rate is no field of disir"):
        recipes_of(arguments, ["disir"])


def test_every_field_of_the_training_plan_has_a_flag_and_a_help(capsys):
    kinds = (TrainingPlan, Clicking, Augmentation)
    all_fields = [f for kind in kinds for f in fields(kind)]
    flagged = {f.name for f in all_fields} - {"augmentation", "clicking", "scale"}
    assert all(f.metadata["tooltip"] for f in all_fields if f.name in flagged)
    assert len(flagged) == len(all_fields) - 3, "no name twice: they share the command line"
    with pytest.raises(SystemExit):
        build_parser("train").parse_args(["train", "--help"])
    text = capsys.readouterr().out
    for name in flagged:
        assert f"--{name.replace('_', '-')}" in text


def test_blanks_in_choices_need_no_quotes():
    for spelling in ("around-clicks", "around clicks"):
        arguments = build_parser("refine").parse_args([*REFINE, "--crops", spelling])
        assert given_fields(arguments) == {"crops": "around clicks"}


@dataclass(frozen=True)
class Example:
    count: int = field(default=3, metadata={"min": 1, "max": 9, "tooltip": "How many, 50 % of all"})
    share: float = 2e-7
    on: bool = True
    mode: Literal["a", "b"] = "a"
    nested: tuple[int, ...] = ()


def parse(*given: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_fields(parser.add_argument_group("x"), [Example])
    return given_fields(parser.parse_args(list(given)))


def test_numbers_switches_and_choices():
    assert parse() == {}
    assert parse("--count", "9", "--share", "5e-6", "--no-on", "--mode", "b") == {
        "count": 9,
        "share": 5e-6,
        "on": False,
        "mode": "b",
    }


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (("--count", "10"), "between 1 and 9"),
        (("--count", "2.5"), "whole number"),
        (("--share", "x"), "'x' is not a number"),
        (("--mode", "c"), "use a or b"),
        (("--nested", "1"), "unrecognized"),
    ],
)
def test_impossible_values(capsys, given, word):
    with pytest.raises(SystemExit) as stop:
        parse(*given)
    assert stop.value.code == 2
    assert word in capsys.readouterr().err


def test_help_shows_tooltip_and_default(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "How many, 50 % of all (default 3)" in text
    assert "(default 2e-07)" in text
