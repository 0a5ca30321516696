"""The ``train`` command."""

from __future__ import annotations

import argparse
import colorsys
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from napari_disca.cli.console import Console, duration
from napari_disca.clicks import Guidance
from napari_disca.compute import Compute
from napari_disca.errors import DataError
from napari_disca.evaluate import Settings, evaluate, summary
from napari_disca.events import finish
from napari_disca.networks import Card, LandClass, Network, save_network
from napari_disca.scenes import LAND_COVER, REGIONS, Scene
from napari_disca.training.folders import training_set
from napari_disca.training.loop import (
    LabelledImage,
    TrainingPlan,
    TrainingStep,
    checkpoint_path,
    train,
)
from napari_disca.training.masks import POTSDAM_CLASSES

#: Held-out images measured at the end, at most; more would take longer than they tell.
_MEASURED = 12


def run(
    arguments: argparse.Namespace,
    kept: Sequence[Any],
    held: Sequence[Any],
    plan_fields: Mapping[str, Any],
) -> int:
    """Train, measure on what was held out, and write card and weights."""
    output = arguments.output
    if output.suffix != ".safetensors":
        raise DataError(f"{output} does not end in .safetensors; name the output so")
    classes = parse_classes(arguments.classes)
    compute = Compute.choose(arguments.device)
    plan = _plan(plan_fields)
    bands = arguments.bands or (1, 2, 3)
    colours = ("red", "green", "blue")
    card = Card(
        name=arguments.name or output.stem,
        architecture=arguments.architecture,
        options={"encoder": arguments.encoder},
        classes=classes,
        bands=colours if len(bands) == 3 else tuple(f"band {b}" for b in bands),
        mean=(0.0,) * len(bands),
        std=(1.0,) * len(bands),
        ground_resolution=arguments.ground_resolution,
        guidance=Guidance(arguments.guidance, arguments.guidance_radius),
        training_data=arguments.data,
        licence=arguments.licence,
    )
    console = Console()
    card, images = finish(
        training_set(kept, card, bands=arguments.bands, coding=arguments.mask_coding), console
    )
    images = [*images, *_scenes(arguments.scenes, card, images, plan.seed)]
    checkpoint = checkpoint_path(output)
    if checkpoint.exists():
        console.line(f"going on from {checkpoint.name}")

    def show(event: Any) -> None:
        if isinstance(event, TrainingStep):
            left = duration((plan.steps - event.step) * event.seconds)
            console.line(
                f"step {event.step} of {plan.steps}: loss {event.loss:.3f}, "
                f"{event.seconds:.2f} s a step, about {left} left"
            )

    network = finish(train(images, card, plan, device=compute.device, checkpoint=checkpoint), show)
    if held:
        network = _measured(network, held, arguments, compute, console)
    written = save_network(network, output)
    checkpoint.unlink(missing_ok=True)
    print(written)  # noqa: T201
    return 0


def parse_classes(text: str) -> tuple[LandClass, ...]:
    """Classes from ``"building:#d95f02,other"`` or ``"potsdam"``.

    Raises
    ------
    DataError, CardError
        If there are too few, or a colour is not one.
    """
    if text == "potsdam":
        return POTSDAM_CLASSES
    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(names) < 2:
        raise DataError(f"--classes {text!r} names fewer than two classes; separate them by commas")
    found = []
    for i, part in enumerate(names):
        name, _, colour = part.partition(":")
        found.append(LandClass(name.strip(), colour.strip() or _colour(i)))
    return tuple(found)


def _colour(index: int) -> str:
    """Colours far from their neighbours: steps of the golden ratio round the hues."""
    channels = colorsys.hsv_to_rgb(0.07 + index * 0.618 % 1.0, 0.7, 0.85)
    return "#" + "".join(f"{int(c * 255):02x}" for c in channels)


def _plan(given: Mapping[str, Any]) -> TrainingPlan:
    plan = replace(TrainingPlan(), **given)
    for name, least in (("steps", 1), ("batch", 1), ("size", 32)):
        if getattr(plan, name) < least:
            raise DataError(f"--{name} {getattr(plan, name)} is too small; give {least} or more")
    if not 0 < plan.rate < 1:
        raise DataError(f"--rate {plan.rate:g} is not between 0 and 1")
    return plan


def _scenes(
    share: float, card: Card, images: Sequence[LabelledImage], seed: int
) -> list[LabelledImage]:
    """Generated scenes that make up a share of what is drawn."""
    if share == 0:
        return []
    if not 0 < share <= 0.9:
        raise DataError(f"--scenes {share:g} is not between 0 and 0.9")
    names = [c.name for c in card.classes]
    if names == [c.name for c in LAND_COVER]:
        table = np.arange(256, dtype=np.uint8)
    elif sorted(names) == ["building", "other"]:
        table = np.full(256, names.index("other"), np.uint8)
        table[0] = names.index("building")
    else:
        raise DataError(
            "--scenes needs the classes building, land, road, vegetation, water, or building and "
            f"other; these are {', '.join(names)}"
        )
    resolution = card.ground_resolution or 0.5
    made = []
    for region in REGIONS:
        for i in range(4):
            scene = Scene(
                (768, 768),
                seed=1000 + 10 * seed + i,
                region=region,
                ground_resolution=resolution * (0.7, 1.0)[i % 2],
            )
            image, labels = scene.render()
            made.append((image, table[labels]))
    total = sum(math.sqrt(item.labels.size) for item in images)
    weight = share / (1 - share) * total / sum(math.sqrt(labels.size) for _, labels in made)
    return [LabelledImage(image, labels, weight) for image, labels in made]


def _measured(
    network: Network,
    held: Sequence[Any],
    arguments: argparse.Namespace,
    compute: Compute,
    console: Console,
) -> Network:
    """Write validation figures into the card."""
    console.line(f"measuring on {min(len(held), _MEASURED)} held-out images")
    settings = Settings(
        coding=arguments.mask_coding, crop=512, max_images=_MEASURED, bands=arguments.bands
    )
    records = finish(evaluate(network, held, ["disir"], settings, compute=compute), console)
    if records:
        console.line(summary(records))
        network.card = replace(
            network.card,
            figures={
                "images": len(records),
                "miou_before": round(float(np.nanmean([r.before for r in records])), 4),
                "miou_disir_10_clicks": round(float(np.nanmean([r.after for r in records])), 4),
            },
        )
    return network
