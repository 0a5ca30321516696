"""The program `napari-disca`: the table of its commands, and the parser of its arguments."""

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
    "Fields of the recipe that are not given keep the recipe's own values; the help shows those "
    "of 'default'."
)


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Attributes
    ----------
    options : type
        Dataclass whose fields are its flags.
    home : str
        ``module:function``, which is imported, and torch with it, when the command runs.
    text : str
        Its help.
    reads_images : bool
        Whether it opens images: then the process that examines them (`raster.probe`) starts while
        torch is imported.
    """

    options: type
    home: str
    text: str
    reads_images: bool = False

    def run(self, given: Any) -> int:
        """Run the command and return its exit code.

        Parameters
        ----------
        given : object
            An instance of `options`.
        """
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
        options.OpenOptions, "window:open_images", "Open images in napari with the panel."
    ),
    "predict": Command(
        options.PredictOptions,
        "predict:predict",
        "Write a network's label maps of images.",
        reads_images=True,
    ),
    "refine": Command(
        options.RefineOptions,
        "refine:refine",
        f"Write a label map that is corrected with clicks.\n\n{_FIELDS}",
        reads_images=True,
    ),
    "replay": Command(
        options.ReplayOptions,
        "replay:replay",
        "Compute a session's map again from its journal, pixel for pixel.",
    ),
    "evaluate": Command(
        options.EvaluateOptions,
        "evaluate:evaluate",
        f"Measure recipes with a simulated annotator.\n\n{_FIELDS}",
    ),
    "train": Command(
        options.TrainOptions,
        "train:train",
        "Train a network.\n\nAfter an interruption, the same command continues.",
    ),
    "info": Command(
        options.InfoOptions,
        "doctor:info",
        "Print versions, device and problems.\n\nWith images: print how they would be read.",
    ),
}


def build_app(chosen: str = "") -> typer.Typer:
    """Return the program as typer runs it.

    Parameters
    ----------
    chosen : str
        The command that will run. Only this one gets the flags that are fields of a recipe, a
        training plan or a card, because they import torch.
    """
    # Help in a pipe or a file is plain text.
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


def _print_version(wanted: bool) -> None:
    if wanted:
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


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        After the program's name.

    Raises
    ------
    UsageError
        If an argument is wrong; its message is one line.
    """
    chosen = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    command = typer.main.get_command(build_app(chosen))
    try:
        # Not `command()`, which prints errors on several lines and handles Ctrl+C itself.
        with command.make_context(PROGRAM, list(arguments)) as context:
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
    """An argument of the command line is wrong."""


#: The class of typer's errors about arguments, which has no public name.
_TYPERS_USAGE_ERROR: Any = typer.BadParameter.__base__
