"""The commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_disca.cli.console import Console
from napari_disca.cli.flags import given_fields, recipes_of
from napari_disca.errors import DataError, DiscaError, ExportError
from napari_disca.events import finish


def _say(*lines: str) -> None:
    print(*lines, sep="\n")  # noqa: T201


def _note(line: str) -> None:
    print(line, file=sys.stderr)  # noqa: T201


def demo(_: argparse.Namespace) -> int:
    """Open napari with the sample scene."""
    return _window((), demo=True, weights=_.weights)


def open_images(arguments: argparse.Namespace) -> int:
    """Open napari with images."""
    missing = [str(path) for path in arguments.images if not path.exists()]
    if missing:
        raise DiscaError(f"{missing[0]} does not exist; check the path")
    return _window(arguments.images, demo=False, weights=arguments.weights)


def _window(images: Sequence[Path], *, demo: bool, weights: str | None) -> int:
    import os

    # torch before Qt: on Windows the other order can fail to load torch's libraries.
    import torch  # noqa: F401

    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
        or os.environ.get("QT_QPA_PLATFORM")
    ):
        raise DiscaError(
            "there is no screen to open a window on (DISPLAY is not set); run under a desktop or "
            "xvfb-run, or use 'napari-disca predict' and 'refine'"
        )
    try:
        from napari_disca.gui.app import open_window
    except ImportError as error:
        raise DiscaError(
            f"napari or Qt is not installed ({error}); pip install 'napari-disca[all]'"
        ) from error
    open_window(images, demo=demo, weights=weights)
    return 0


def info(_: argparse.Namespace) -> int:
    """Print versions, device, and what is wrong with them."""
    from napari_disca.cli.doctor import report

    _say(*report())
    return 0


def predict(arguments: argparse.Namespace) -> int:
    """Write the network's maps."""
    from napari_disca.networks import load_network

    network = load_network(arguments.weights)
    folder = len(arguments.images) > 1 or arguments.output.is_dir()
    outputs = [
        arguments.output / f"{image.stem}_labels.tif" if folder else arguments.output
        for image in arguments.images
    ]
    if len(set(outputs)) < len(outputs):
        raise DiscaError("two of the images have the same name; predict them into two folders")
    for image, output in zip(arguments.images, outputs, strict=True):
        with _session(arguments, image, output, network) as session:
            finish(session.predict(), _handled(session))
            _save(session, "initial", output)
    return 0


def refine(arguments: argparse.Namespace) -> int:
    """Write a map corrected with clicks."""
    from napari_disca.exports import read_clicks
    from napari_disca.networks import load_network

    (recipe,) = recipes_of(arguments, _known_recipes([arguments.recipe])).values()
    network = load_network(arguments.weights)
    with _session(arguments, arguments.image, arguments.output, network) as session:
        session.set_clicks(
            read_clicks(arguments.clicks, raster=session.raster, classes=session.classes)
        )
        name = "disca" if recipe.learns and len(session.clicks) else "disir"
        if name == "disca":
            adaptation = finish(session.adapt(recipe, ("disca",)), _handled(session))
            _note(adaptation.note)
        else:
            finish(session.refresh(("disir",)), _handled(session))
        _save(session, name, arguments.output)
    return 0


class _session:  # noqa: N801 - used like a function
    """Session of an image on the command line; its file is closed at the end."""

    def __init__(self, arguments: Any, image: Path, output: Path, network: Any) -> None:
        from napari_disca.raster import open_raster
        from napari_disca.remembered import recall, remember
        from napari_disca.session import Session

        if output.exists() and image.exists() and output.samefile(image):
            raise ExportError(f"{output} is the image itself; choose another output file")
        compute = _compute(arguments)
        self._raster = open_raster(image)
        try:
            factor = arguments.factor
            if factor is None:
                factor = recall(self._raster, network.card)
            self.session = Session(
                self._raster,
                network,
                bands=arguments.bands,
                factor=factor,
                compute=compute,
                seed=arguments.seed,
            )
            if arguments.factor is not None:
                remember(self._raster, network.card, arguments.factor)
        except BaseException:
            self._raster.close()
            raise
        _note(f"{image.name}: {self.session.inputs.describe()}; {compute}")

    def __enter__(self) -> Any:
        return self.session

    def __exit__(self, *_: object) -> None:
        self._raster.close()


def _compute(arguments: Any) -> Any:
    import torch

    from napari_disca.compute import Compute

    if arguments.threads is not None:
        if arguments.threads < 1:
            raise DiscaError(f"--threads {arguments.threads} is too few; give 1 or more")
        torch.set_num_threads(arguments.threads)
    return Compute.choose(arguments.device, arguments.precision)


def _handled(session: Any) -> Any:
    console = Console()

    def on_event(event: Any) -> None:
        console(event)
        session.handle(event)

    return on_event


def _save(session: Any, name: str, output: Path) -> None:
    from napari_disca.exports import write_geotiff

    job = write_geotiff(session.maps[name], output, raster=session.raster, classes=session.classes)
    _say(str(finish(job, Console())))


def _known_recipes(names: Sequence[str]) -> Sequence[str]:
    from napari_disca.recipes import RECIPES

    for name in names:
        if name not in RECIPES:
            raise DiscaError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
    return names


def _pairs(arguments: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Image and mask pairs: those to use, and those held out."""
    from napari_disca.training.folders import hold_out, pairs

    found = pairs(arguments.images, arguments.masks)
    if arguments.only:
        found = [p for p in found if any(text in p.name for text in arguments.only)]
        if not found:
            raise DataError(f"no image's name contains {' or '.join(arguments.only)}")
    return hold_out(found, arguments.hold_out)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure recipes."""
    from napari_disca.evaluate import ClassMap, Settings, summary, write_json
    from napari_disca.evaluate import evaluate as measure
    from napari_disca.networks import load_network

    recipes = recipes_of(arguments, _known_recipes(arguments.recipe or ["disir", "default"]))
    network = load_network(arguments.weights)
    settings = Settings(
        clicks=arguments.clicks,
        mode=arguments.mode,
        factor=arguments.scale,
        class_map=(
            ClassMap.parse(arguments.class_map, network.card.classes)
            if arguments.class_map
            else None
        ),
        coding=arguments.mask_coding,
        crop=arguments.crop,
        max_images=arguments.max_images,
        bands=arguments.bands,
        seed=arguments.seed,
    )
    pairs, _ = _pairs(arguments)
    job = measure(network, pairs, recipes, settings, compute=_compute(arguments))
    records = finish(job, Console())
    _say(summary(records))
    if arguments.json:
        _note(f"figures written to {write_json(records, arguments.json)}")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train a network and write it."""
    from napari_disca.cli.training import run

    return run(arguments, *_pairs(arguments), given_fields(arguments))
