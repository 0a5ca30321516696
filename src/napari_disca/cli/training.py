"""The ``train`` command."""

from __future__ import annotations

import argparse
import colorsys
import inspect
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_disca.annotations.clicks import Guidance
from napari_disca.cli.console import Console, note
from napari_disca.core.errors import CardError, DataError, DiscaError
from napari_disca.core.events import Progress, finish
from napari_disca.evaluation import Settings, evaluate, summary
from napari_disca.networks import (
    Card,
    LandClass,
    Network,
    Scaling,
    architecture_of,
    build_network,
    load_network,
    save_network,
)
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.scenes import LAND_COVER, REGIONS, Scene
from napari_disca.training.augment import Augmentation
from napari_disca.training.checkpoint import checkpoint_path
from napari_disca.training.clicking import Clicking
from napari_disca.training.folders import training_set
from napari_disca.training.loop import TrainingStep, train
from napari_disca.training.mask_codings import POTSDAM_CLASSES
from napari_disca.training.plan import LabelledImage, TrainingPlan

#: Held-out images measured at the end, at most; more would take longer than they tell.
_MEASURED = 12
#: Steps between looks at the loss.
_REPORTED = 10

#: What the card says of an encoder that was trained elsewhere.
_ORIGIN = {"imagenet": "Encoder: EfficientNet-Lite0, ImageNet, Apache-2.0"}


def run(
    arguments: argparse.Namespace,
    kept: Sequence[Any],
    held: Sequence[Any],
    plan_fields: Mapping[str, Any],
    compute: Compute,
) -> int:
    """Train, measure on what was held out, and write card and weights."""
    output = arguments.output
    if output.suffix != ".safetensors":
        raise DataError(f"{output} does not end in .safetensors; name the output so")
    if arguments.save_every < 1:
        raise DataError(f"--save-every {arguments.save_every} is too small; give 1 or more")
    if not kept:
        raise DataError("every image is held out, there is none to learn from")
    plan = _plan(plan_fields, compute)
    card = _card(arguments, kept[0].image)
    # A wrong architecture, option or start is told before all images are read.
    start = _start(arguments.start, arguments.encoder_weights, card, plan.seed)
    card, images = finish(
        training_set(kept, card, bands=arguments.bands, coding=arguments.mask_coding), Console()
    )
    if start is not None and arguments.start:
        # Its weights know pixels and clicks as its own card standardises and draws them.
        told = start.card
        card = replace(card, mean=told.mean, std=told.std, guidance=told.guidance)
    images = [*images, *_scenes(arguments.scenes, card, images, plan.seed)]
    checkpoint = checkpoint_path(output)
    job = train(
        images,
        card,
        plan,
        start=start,
        device=compute.device,
        checkpoint=checkpoint,
        save_every=arguments.save_every,
        report_every=_REPORTED,
    )
    try:
        network = finish(job, _Shown())
    except KeyboardInterrupt:
        if checkpoint.exists():
            note("the same command goes on from the last checkpoint")
        raise
    # Before measuring, which may fail on an odd mask.
    written = save_network(network, output)
    if held:
        try:
            written = save_network(_measured(network, held, arguments, compute), output)
        except DiscaError as error:
            note(f"the network is written but was not measured: {error}")
    checkpoint.unlink(missing_ok=True)
    print(written)  # noqa: T201
    return 0


def _card(arguments: argparse.Namespace, image: Path) -> Card:
    """Card of the network to train; `image` is one of those it learns from."""
    bands = _band_names(arguments.bands, image)
    return Card(
        name=arguments.name or arguments.output.stem,
        architecture=arguments.architecture,
        options=_options(arguments.architecture, arguments.option),
        classes=_classes(arguments),
        bands=bands,
        scaling=parse_scaling(arguments.scaling),
        mean=(0.0,) * len(bands),
        std=(1.0,) * len(bands),
        ground_resolution=arguments.ground_resolution,
        guidance=Guidance(arguments.guidance, arguments.guidance_radius),
        training_data=_sources(arguments.data, arguments.encoder_weights),
        licence=arguments.licence,
    )


def _start(name: str | None, encoder: str | None, card: Card, seed: int) -> Network | None:
    """First weights: of another network, or of an encoder that was trained elsewhere."""
    torch.manual_seed(seed)
    network = build_network(card)
    if name is not None and encoder is not None:
        raise CardError("--start brings an encoder along; leave out --encoder-weights")
    if name is not None:
        return _other_network(name, card)
    if encoder is not None:
        network.load_state_dict({**network.state_dict(), **type(network).pretrained(encoder)})
        return network
    if network.encoder_is_frozen:
        raise CardError(
            f"the encoder of a {card.architecture} never learns; give it weights with "
            "--encoder-weights imagenet, or go on from a network with --start"
        )
    return None


def _other_network(name: str, card: Card) -> Network:
    """Network to go on from; refused where its weights mean something else."""
    start = load_network(name)
    for what, has, needs in (
        ("architecture", start.card.architecture, card.architecture),
        ("options", _with_defaults(start.card), _with_defaults(card)),
        ("classes", [c.name for c in start.card.classes], [c.name for c in card.classes]),
        ("bands", start.card.bands, card.bands),
        ("scaling", _scaled(start.card), _scaled(card)),
        # Not its scale, which no flag names.
        ("guidance", _drawn(start.card), _drawn(card)),
    ):
        if has != needs:
            raise CardError(
                f"--start {name} has {what} {_listed(has)}, asked for are {_listed(needs)}; "
                "give the same, or train from scratch"
            )
    return start


def _options(architecture: str, given: Sequence[str]) -> dict[str, Any]:
    """Options of an architecture from ``NAME=VALUE``."""
    options: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise CardError(f"--option {text!r} is not like encoder=resnet34")
        options[name] = _value(value)
    return options


def _value(text: str) -> str | int | float | bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _with_defaults(card: Card) -> dict[str, Any]:
    """Options of a card, with those that it leaves to the architecture."""
    parameters = inspect.signature(architecture_of(card)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **card.options}


def _sources(data: str, encoder: str | None) -> str:
    """What a network has learned from, for the card."""
    return ". ".join(text for text in (data.rstrip(". "), _ORIGIN.get(encoder or "", "")) if text)


def _scaled(card: Card) -> str:
    """As `--scaling` names it."""
    scaling = card.scaling
    ends = f"{scaling.low:g}:{scaling.high:g}"
    return ends if scaling.kind == "range" else scaling.kind


def _drawn(card: Card) -> str:
    return f"{card.guidance.drawing} of radius {card.guidance.radius}"


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


class _Shown:
    """Progress of a training, with the loss."""

    def __init__(self) -> None:
        self._console = Console()
        self._loss = ""
        self._begun = False

    def __call__(self, event: Any) -> None:
        if isinstance(event, TrainingStep):
            self._loss = f"loss {event.loss:.3f}"
        elif isinstance(event, Progress):
            if not self._begun and event.done:
                note(f"resuming at step {event.done} of {event.total}")
            self._begun = True
            self._console(event, self._loss)


def _classes(arguments: argparse.Namespace) -> tuple[LandClass, ...]:
    if arguments.classes:
        return parse_classes(arguments.classes)
    if arguments.mask_coding == "potsdam":
        return POTSDAM_CLASSES
    raise DataError("--classes is missing; name them in the order of the masks' ids")


def _band_names(bands: Sequence[int] | None, image: Path) -> tuple[str, ...]:
    """Names for the card; by them the network finds its bands in other images."""
    if bands is None:
        return "red", "green", "blue"
    with open_raster(image) as raster:
        there = dict(enumerate(raster.color_interp, start=1))
    names = tuple(there.get(band, "") for band in bands)
    known = {"red", "green", "blue", "nir"}
    if len(set(names)) < len(names):
        return tuple(f"band {band}" for band in bands)
    return tuple(n if n in known else f"band {b}" for n, b in zip(names, bands, strict=True))


def parse_scaling(text: str) -> Scaling:
    """Scaling from its kind, or from ``"LOW:HIGH"``.

    Raises
    ------
    CardError
        If it is neither.
    """
    low, colon, high = text.partition(":")
    if not colon:
        if text == "range":
            raise CardError("--scaling range needs its ends; write --scaling LOW:HIGH")
        return Scaling(text)  # type: ignore[arg-type]  # checks it
    try:
        return Scaling("range", float(low), float(high))
    except ValueError as error:
        if isinstance(error, CardError):
            raise
        raise CardError(f"--scaling {text!r} is not like 0:10000") from error


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


def _plan(given: Mapping[str, Any], compute: Compute) -> TrainingPlan:
    """Plan with the given fields; in bfloat16 only where that is fast."""
    native = compute.dtype == torch.bfloat16
    own, clicking, augmentation = (
        {name: value for name, value in given.items() if name in kind.__dataclass_fields__}
        for kind in (TrainingPlan, Clicking, Augmentation)
    )
    return TrainingPlan(
        **{"bfloat16": native, **own},
        clicking=Clicking(**clicking),
        augmentation=Augmentation(**augmentation),
    )


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
            made.append((image, table[labels], f"scene {region} {i}"))
    total = sum(math.sqrt(item.labels.size) for item in images)
    weight = share / (1 - share) * total / sum(math.sqrt(labels.size) for _, labels, _ in made)
    return [LabelledImage(image, labels, weight, name) for image, labels, name in made]


def _measured(
    network: Network,
    held: Sequence[Any],
    arguments: argparse.Namespace,
    compute: Compute,
) -> Network:
    """Write validation figures into the card."""
    settings = Settings(
        coding=arguments.mask_coding, crop=512, max_images=_MEASURED, bands=arguments.bands
    )
    job = evaluate(network, held, ["disir"], settings, compute=compute)
    records = finish(job, Console(outer="images"))
    note(summary(records))
    known = [r for r in records if math.isfinite(r.before) and math.isfinite(r.after)]
    if known:
        network.card = replace(
            network.card,
            figures={
                "images": len(known),
                "miou_before": round(float(np.mean([r.before for r in known])), 4),
                "miou_disir_10_clicks": round(float(np.mean([r.after for r in known])), 4),
            },
        )
    return network
