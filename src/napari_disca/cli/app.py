"""The program `napari-disca`: the table of its commands, and how they are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any, Literal

import typer
import typer.main

import napari_disca
from napari_disca.cli import options
from napari_disca.cli.flags import command_function

PROGRAM = "napari-disca"

_EXAMPLES = """\
\b
Examples:
  napari-disca demo
  napari-disca open city.tif
  napari-disca predict city.tif -o city_map.tif
  napari-disca refine city.tif --clicks clicks.geojson -o city_map.tif --recipe default
  napari-disca replay city.tif.disca.jsonl city.tif -o city_map.tif
  napari-disca evaluate --images imgs --masks gts --recipe disir --recipe default
  napari-disca train --images imgs --masks gts --classes building,other -o mine.safetensors
  napari-disca info
"""
_FIELDS = (
    "Fields of the recipe that are not given stay as the recipe has them; shown are the "
    "values of 'default'."
)


@dataclass(frozen=True)
class Command:
    """A command: what it is told, and where the function is that takes it.

    Attributes
    ----------
    options : type
        Dataclass whose fields are its flags.
    home : str
        ``module:function``; imported, and torch with it, only when the command runs.
    text : str
        Its help.
    reads_images : bool
        Whether images will be opened: the process that looks at them first starts while torch
        is imported.
    """

    options: type
    home: str
    text: str
    reads_images: bool = False

    def run(self, given: Any) -> int:
        """Run the command as it is told."""
        if self.reads_images:
            from napari_disca.raster import warm

            warm()
        module, name = self.home.split(":")
        function: Callable[[Any], int] = getattr(import_module(f"napari_disca.cli.{module}"), name)
        return function(given)


COMMANDS: dict[str, Command] = {
    "demo": Command(
        options.DemoOptions, "window:demo", "Open napari with a sample scene and a first map."
    ),
    "open": Command(
        options.OpenOptions, "window:open_images", "Open images in napari, the panel docked."
    ),
    "predict": Command(
        options.PredictOptions,
        "predict:predict",
        "Write a network's maps of images.",
        reads_images=True,
    ),
    "refine": Command(
        options.RefineOptions,
        "refine:refine",
        f"Correct a map with clicks, and write it.\n\n{_FIELDS}",
        reads_images=True,
    ),
    "replay": Command(
        options.ReplayOptions,
        "replay:replay",
        "Make a session's map again from its journal, pixel for pixel.",
    ),
    "evaluate": Command(
        options.EvaluateOptions,
        "evaluate:evaluate",
        f"Measure recipes with a simulated annotator.\n\n{_FIELDS}",
    ),
    "train": Command(
        options.TrainOptions,
        "train:train",
        "Train a network; run it again to go on after an interruption.",
    ),
    "info": Command(
        options.InfoOptions, "doctor:info", "Print versions, device, and what is wrong with them."
    ),
}


def build_app(chosen: str = "") -> typer.Typer:
    """Return the program.

    Parameters
    ----------
    chosen : str
        The command that will run: only its flags that come from the fields of a recipe, a plan
        or a card are made, because that imports torch.
    """
    # A pipe or a file gets plain text, as wide as it is.
    markup: Literal["rich"] | None = "rich" if sys.stdout.isatty() else None
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=markup,
        epilog=_EXAMPLES,
        help="Correct segmentation maps of satellite and aerial images with a few clicks.",
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_version)
    for name, command in COMMANDS.items():
        function = command_function(command.options, command.run, complete=name == chosen)
        app.command(name, help=command.text)(function)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"{PROGRAM} {napari_disca.__version__}")  # noqa: T201
        raise typer.Exit


def _version(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None: ...


def run(given: Sequence[str]) -> int:
    """Run the command that the arguments name; return its exit code.

    Raises
    ------
    UsageError
        If an argument is wrong; one line, which names the help that tells more.
    """
    chosen = given[0] if given and given[0] in COMMANDS else ""
    command = typer.main.get_command(build_app(chosen))
    try:
        # Not `command()`: that would print mistakes over several lines, and take Ctrl+C for one.
        with command.make_context(PROGRAM, list(given)) as context:
            code: int = command.invoke(context)
            return code
    except typer.Exit as stop:
        return stop.exit_code
    except _TYPERS_USAGE_ERROR as error:
        message = error.format_message().rstrip(".")
        raise UsageError(
            f"{message} (see {' '.join(filter(None, (PROGRAM, chosen)))} --help)"
        ) from None


class UsageError(Exception):
    """The command line was not understood."""


#: What typer raises for a wrong argument; it has no public name of its own.
_TYPERS_USAGE_ERROR: Any = typer.BadParameter.__base__
