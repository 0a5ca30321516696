"""Flags come from the fields of dataclasses: recipes, plans, cards and the commands' options."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import pytest
import typer.main

from napari_disca.cli import app, engine_fields, options
from napari_disca.cli.app import COMMANDS, UsageError
from napari_disca.cli.engine import recipes_of
from napari_disca.cli.flags import FieldsOf, argument, fields_of, flag
from napari_disca.core.errors import RecipeError
from napari_disca.core.typed_values import text_of
from napari_disca.evaluation import Settings
from napari_disca.networks import Card
from napari_disca.recipes import RECIPES
from napari_disca.training.augment import Augmentation
from napari_disca.training.clicking import Clicking
from napari_disca.training.plan import TrainingPlan

REFINE = ["refine", "i.tif", "--clicks", "c.geojson", "-o", "o.tif"]
EVALUATE = ["evaluate", "--images", "i"]
TRAIN = ["train", "--images", "i", "-o", "o.safetensors"]


@pytest.fixture
def parse(monkeypatch):
    """What a command is told, without running it."""

    def call(*given: str):
        received = []
        monkeypatch.setattr(app.Command, "run", lambda self, options: received.append(options) or 0)
        assert app.run(list(given)) == 0
        return received[0]

    return call


def flags_of(name: str, value: object) -> tuple[str, ...]:
    """The flags that give a field of a recipe a value."""
    flag = name.replace("_", "-")
    if isinstance(value, bool):
        return (f"--{flag}" if value else f"--no-{flag}",)
    return f"--{flag}", text_of(value).replace(" ", "-")


@pytest.mark.parametrize("name", RECIPES)
def test_every_field_of_every_recipe_has_a_flag(name, parse):
    recipe = RECIPES[name]
    given = {f.name: getattr(recipe, f.name) for f in fields(recipe)}
    flags = [part for item in given.items() for part in flags_of(*item)]
    for command in (REFINE, EVALUATE):
        options = parse(*command, "--recipe", name, *flags)
        assert options.fields == given
        assert recipes_of(options.fields, [name]) == {name: recipe}


def test_what_is_not_given_stays_as_the_recipe_has_it(parse):
    options = parse(*REFINE, "--passes", "3")
    changed = recipes_of(options.fields, ["disir", "paper", "held-out"])
    assert changed["disir"] == RECIPES["disir"]
    assert changed["paper"].passes == changed["held-out"].passes == 3
    assert changed["paper"].rate == RECIPES["paper"].rate
    assert changed["held-out"].rate == RECIPES["held-out"].rate


def test_a_field_that_no_chosen_recipe_has_is_refused(parse):
    options = parse(*REFINE, "--rate", "1e-4")
    with pytest.raises(RecipeError, match="--rate is not a field of disir"):
        recipes_of(options.fields, ["disir"])


def test_every_field_of_the_training_plan_has_a_flag_and_a_help(capsys):
    kinds = (TrainingPlan, Clicking, Augmentation)
    all_fields = [f for kind in kinds for f in fields(kind)]
    flagged = {f.name for f in all_fields} - {"augmentation", "clicking", "scale"}
    assert all(f.metadata["tooltip"] for f in all_fields if f.name in flagged)
    assert len(flagged) == len(all_fields) - 3, "no name twice: they share the command line"
    assert app.run(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for name in flagged:
        assert f"--{name.replace('_', '-')}" in text


def test_the_evaluations_settings_come_from_their_dataclass(parse):
    options = parse(*EVALUATE, "--clicks", "3", "--scale", "0.5", "--mode", "one-shot")
    assert options.settings == {"clicks": 3, "factor": 0.5, "mode": "one-shot"}
    assert set(engine_fields.SETTINGS) <= {f.name for f in fields(Settings)}
    options = parse(*EVALUATE, "--crop", "100", "--max-images", "2")
    assert options.settings == {"crop": 100, "max_images": 2}


def test_what_a_card_says_comes_from_its_dataclass(parse):
    options = parse(*TRAIN, "--name", "x", "--data", "mine", "--ground-resolution", "0.5")
    assert options.card == {"name": "x", "training_data": "mine", "ground_resolution": 0.5}
    assert set(engine_fields.CARD) <= {f.name for f in fields(Card)}


def test_options_of_an_architecture_are_pairs(parse):
    flags = ("--option", "encoder=resnet34", "--option", "width=8", "--option", "x=0.5")
    options = parse(*TRAIN, *flags, "--option", "deep=true")
    assert options.option == (
        ("encoder", "resnet34"), ("width", "8"), ("x", "0.5"), ("deep", "true")
    )  # fmt: skip


@dataclass(frozen=True)
class First:
    crops: Literal["tiles", "around clicks"] = field(default="tiles", metadata={"tooltip": "a"})
    size: int = field(default=3, metadata={"tooltip": "b", "min": 1, "max": 9})


@dataclass(frozen=True)
class Second:
    crops: Literal["whole"] | None = field(default="whole", metadata={"tooltip": "c"})
    size: float = field(default=30.0, metadata={"tooltip": "d", "min": 20.0, "max": 90.0})
    scales: tuple[float, ...] = field(default=(1.0,), metadata={"tooltip": "e"})


@dataclass(frozen=True)
class Both:
    fields: dict = fields_of(FieldsOf(lambda: [First, Second], "Fields"))


def test_a_flag_takes_the_values_of_all_fields_with_its_name(parse, monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "both", app.Command(Both, "nowhere:nothing", "An example."))
    for text, value in (("whole", "whole"), ("around-clicks", "around clicks"), ("none", None)):
        assert parse("both", "--crops", text).fields == {"crops": value}
    assert parse("both", "--size", "2").fields == {"size": 2}
    assert parse("both", "--size", "88.5").fields == {"size": 88.5}
    assert parse("both", "--scales", "0.5,2").fields == {"scales": (0.5, 2.0)}
    with pytest.raises(UsageError, match="91 is not between 1 and 90"):
        parse("both", "--size", "91")
    with pytest.raises(UsageError, match="use tiles or around clicks or whole or none"):
        parse("both", "--crops", "half")
    assert app.run(["both", "--help"]) == 0
    assert "{tiles,around-clicks,whole,none}" in capsys.readouterr().out


def test_nothing_given_is_the_dataclasses_default(parse):
    assert parse("predict", "a.tif", "-o", "o.tif") == options.PredictOptions(
        images=(Path("a.tif"),), output="o.tif"
    )


def test_blanks_in_choices_need_no_quotes(parse):
    for spelling in ("around-clicks", "around clicks"):
        assert parse(*REFINE, "--crops", spelling).fields == {"crops": "around clicks"}


@dataclass(frozen=True)
class Example:
    count: int = field(default=3, metadata={"min": 1, "max": 9, "tooltip": "How many, 50 % of all"})
    share: float = 2e-7
    on: bool = True
    mode: Literal["a", "b"] = "a"
    nested: tuple[int, ...] = ()


@dataclass(frozen=True)
class ExampleOptions:
    names: tuple[str, ...] = argument("who", "NAME")
    least: float | None = flag("the least", default=None)
    fields: dict = fields_of(FieldsOf(lambda: [Example], "Fields"))


@pytest.fixture
def example(parse, monkeypatch):
    monkeypatch.setitem(
        COMMANDS, "example", app.Command(ExampleOptions, "nowhere:nothing", "An example.")
    )
    return lambda *given: parse("example", "a", "b", *given)


def test_numbers_switches_and_choices(example):
    assert example() == ExampleOptions(("a", "b"))
    options = example("--count", "9", "--share", "5e-6", "--no-on", "--mode", "b", "--least", "-1")
    assert options == ExampleOptions(
        ("a", "b"), -1.0, {"count": 9, "share": 5e-6, "on": False, "mode": "b"}
    )


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (("--count", "10"), "between 1 and 9"),
        (("--count", "2.5"), "whole number"),
        (("--share", "x"), "'x' is not a number"),
        (("--share", "nan"), "nan is not a number"),
        (("--mode", "c"), "use a or b"),
        (("--nested", "1"), "--nested"),
        (("--coun", "1"), "--count"),
        (("--count",), "--count"),
    ],
)
def test_impossible_values(example, given, word):
    with pytest.raises(UsageError, match=word) as caught:
        example(*given)
    assert str(caught.value).endswith("(see napari-disca example --help)")


def test_help_shows_tooltip_and_default(example, capsys):
    assert app.run(["example", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "How many, 50 % of all (default 3)" in text
    assert "(default 2e-07)" in text
    assert "The least" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_has_a_help(name, capsys):
    """With the flags that come from other dataclasses."""
    assert app.run([name, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    flags = [i for i, line in enumerate(lines) if line.startswith("  -")]
    assert flags
    for i in flags:
        below = lines[i + 1] if i + 1 < len(lines) else ""
        assert "  " in lines[i].strip() or below.startswith(" " * 20), lines[i]


@pytest.mark.parametrize("name", COMMANDS)
def test_no_two_flags_of_a_command_have_one_name(name):
    """A field of a recipe, for instance, that is called as a flag of the command."""
    command = typer.main.get_command(app.build_app(name)).commands[name]
    names = [one for option in command.params for one in (*option.opts, *option.secondary_opts)]
    assert len(set(names)) == len(names)
