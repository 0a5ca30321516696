"""The ``train`` command: trains a network and writes its file."""

from __future__ import annotations

import colorsys
import inspect
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_disca.annotations.guidance import Guidance
from napari_disca.cli.console import display, note, run_job, say, say_table
from napari_disca.cli.engine import compute_of
from napari_disca.cli.evaluate import pairs_of
from napari_disca.cli.options import TrainOptions
from napari_disca.cli.outputs import writable
from napari_disca.cli.shared_options import ComputeOptions, PixelOptions
from napari_disca.core.errors import CardError, DataError, DiscaError
from napari_disca.core.events import Event, Job, Progress, finish
from napari_disca.evaluation import Settings, evaluate, summary, summary_rows
from napari_disca.networks import (
    Card,
    LandClass,
    Network,
    Scaling,
    architecture_of,
    build_network,
    load_network,
    parsed_options,
    save_network,
)
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.raster.values.value_scale import fill_text
from napari_disca.scenes import LAND_COVER, REGIONS, Scene
from napari_disca.training.augment import Augmentation
from napari_disca.training.checkpoint import checkpoint_path
from napari_disca.training.clicking import Clicking
from napari_disca.training.folders import training_set
from napari_disca.training.loop import TrainingStep
from napari_disca.training.loop import train as run_training
from napari_disca.training.mask_codings import POTSDAM_CLASSES
from napari_disca.training.pairing import Pair
from napari_disca.training.plan import LabelledImage, TrainingPlan

#: Held-out images that are measured at the end, at most: enough for an estimate in short time.
_MOST_EVALUATED = 12
#: Steps between two reports of the loss.
_REPORT_EVERY = 10
#: Height and width of a generated scene, in pixels.
_SCENE = 768

#: The card's text about a pretrained encoder.
_ORIGIN = {"imagenet": "Encoder: EfficientNet-Lite0, ImageNet, Apache-2.0"}


def train(options: TrainOptions) -> int:
    """Train a network, measure it on held-out images and write it; return the exit code."""
    output = writable(options.output)
    compute = compute_of(ComputeOptions(device=options.device, threads=options.threads))
    learned, held_out = pairs_of(options.folders)
    if output.suffix != ".safetensors":
        raise DataError(f"{output} does not end with .safetensors; change the output's name")
    if options.save_every < 1:
        raise DataError(f"--save-every is {options.save_every}; give 1 or more")
    if not learned:
        raise DataError("all images are held out, so none is left to train on; change --hold-out")
    plan = _plan(options, compute)
    card = _card(options, learned[0].image)
    # Before all images are read, because the architecture, an option or --start may be wrong.
    start = _start(options.start, options.encoder_weights, card, plan.seed)
    coding = options.folders.mask_coding
    card, images = run_job(
        training_set(
            learned,
            card,
            bands=options.reading.bands,
            find_fill=options.reading.fill,
            coding=coding,
        )
    )
    if start is not None and options.start:
        # Its weights were trained on pixels and clicks as its own card normalises and draws them.
        own = start.card
        card = replace(card, mean=own.mean, std=own.std, guidance=own.guidance)
    images = [*images, *_scenes(options.scenes, card, images, plan.seed)]
    checkpoint = checkpoint_path(output)
    job = run_training(
        images,
        card,
        plan,
        reading=_reading_flags(options.reading),
        start=start,
        device=compute.device,
        checkpoint=checkpoint,
        save_every=options.save_every,
        report_every=_REPORT_EVERY,
    )
    try:
        network = _run_with_loss(job)
    except KeyboardInterrupt:
        if checkpoint.exists():
            note("the same command continues from the last checkpoint")
        raise
    # Before measuring, which may fail because of a mask.
    written = save_network(network, output)
    if held_out:
        try:
            written = save_network(_with_figures(network, held_out, options, compute), output)
        except DiscaError as error:
            note(f"the network is written, but could not be measured: {error}")
    checkpoint.unlink(missing_ok=True)
    say(str(written))
    return 0


def _card(options: TrainOptions, image: Path) -> Card:
    """Return the card of the network to train; `image` is one of the training images."""
    bands = _band_names(options.reading.bands, image)
    given = dict(options.card)
    sources = _sources(given.pop("training_data", ""), options.encoder_weights)
    return Card(
        **{"name": options.output.stem, **given},
        architecture=options.architecture,
        options=parsed_options(options.architecture, dict(options.option)),
        classes=_classes(options),
        bands=bands,
        scaling=options.reading.scaling or Scaling(),
        mean=(0.0,) * len(bands),
        std=(1.0,) * len(bands),
        guidance=Guidance(options.guidance, options.guidance_radius),
        training_data=sources,
    )


def _start(name: str | None, encoder: str | None, card: Card, seed: int) -> Network | None:
    """Return a network with initial weights, or None if they are random.

    Parameters
    ----------
    name : str or None
        Another network whose weights are used.
    encoder : str or None
        A pretrained encoder.
    card : Card
        Of the network to train.
    seed : int

    Raises
    ------
    CardError
        If the weights do not fit the card, or the architecture needs a pretrained encoder.
    """
    torch.manual_seed(seed)
    network = build_network(card)
    if name is not None and encoder is not None:
        raise CardError("--start already has an encoder; leave out --encoder-weights")
    if name is not None:
        return _other_network(name, card)
    if encoder is not None:
        network.load_state_dict({**network.state_dict(), **type(network).pretrained(encoder)})
        return network
    if network.encoder_is_frozen:
        raise CardError(
            f"the encoder of {card.architecture} is not trained; give it weights with "
            "--encoder-weights imagenet, or with a network in --start"
        )
    return None


def _other_network(name: str, card: Card) -> Network:
    """Return the network of ``--start``; raise CardError if its weights mean something else."""
    start = load_network(name)
    for what, has, needs in (
        ("architecture", start.card.architecture, card.architecture),
        ("options", _with_defaults(start.card), _with_defaults(card)),
        ("classes", [c.name for c in start.card.classes], [c.name for c in card.classes]),
        ("bands", start.card.bands, card.bands),
        ("scaling", _scaling_text(start.card), _scaling_text(card)),
        # Without the guidance's scale, which has no flag.
        ("guidance", _guidance_text(start.card), _guidance_text(card)),
    ):
        if has != needs:
            raise CardError(
                f"--start {name} has the {what} {_listed(has)}, but the flags say "
                f"{_listed(needs)}; give the same, or leave out --start"
            )
    return start


def _with_defaults(card: Card) -> dict[str, Any]:
    """Return the options of a card, completed with the architecture's defaults."""
    parameters = inspect.signature(architecture_of(card)).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    return {**defaults, **card.options}


def _sources(data: str, encoder: str | None) -> str:
    """Return the card's text about the training data."""
    return ". ".join(text for text in (data.rstrip(". "), _ORIGIN.get(encoder or "", "")) if text)


def _scaling_text(card: Card) -> str:
    """Return a card's scaling as ``--scaling`` writes it."""
    scaling = card.scaling
    ends = f"{scaling.low:g}:{scaling.high:g}"
    return ends if scaling.kind == "range" else scaling.kind


def _guidance_text(card: Card) -> str:
    return f"{card.guidance.drawing} of radius {card.guidance.radius}"


def _reading_flags(reading: PixelOptions) -> dict[str, str]:
    """Return the flags about reading images, which the checkpoint compares."""
    return {
        "--bands": ",".join(map(str, reading.bands or ())),
        "--scaling": str(reading.scaling or Scaling()),
        "--fill": fill_text(reading.fill),
    }


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


def _run_with_loss(job: Job[Network]) -> Network:
    """Run a training, show its progress with the loss, and return the network."""
    loss, begun = "", False
    with display() as shown:

        def on_event(event: Event) -> None:
            nonlocal loss, begun
            if isinstance(event, TrainingStep):
                loss = f"loss {event.loss:.3f}"
            elif isinstance(event, Progress):
                if not begun and event.done:
                    note(f"resuming at step {event.done} of {event.total}")
                begun = True
            shown.show(event, loss)

        return finish(job, on_event)


def _classes(options: TrainOptions) -> tuple[LandClass, ...]:
    if options.classes:
        return parse_classes(options.classes)
    if options.folders.mask_coding == "potsdam":
        return POTSDAM_CLASSES
    raise DataError("--classes is missing; name them in the order of the masks' ids")


def _band_names(bands: Sequence[int] | None, image: Path) -> tuple[str, ...]:
    """Return the bands' names for the card; the network finds bands of other images by them."""
    if bands is None:
        return "red", "green", "blue"
    with open_raster(image) as raster:
        interpretations = dict(enumerate(raster.color_interp, start=1))
    names = tuple(interpretations.get(band, "") for band in bands)
    colours = {"red", "green", "blue", "nir"}
    if len(set(names)) < len(names):
        return tuple(f"band {band}" for band in bands)
    return tuple(n if n in colours else f"band {b}" for n, b in zip(names, bands, strict=True))


def parse_classes(text: str) -> tuple[LandClass, ...]:
    """Return the classes that a text names.

    Parameters
    ----------
    text : str
        ``"building:#d95f02,other"`` or ``"potsdam"``.

    Raises
    ------
    DataError
        If there are fewer than two.
    CardError
        If a colour is not like ``#d95f02``.
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
    """Return a colour; those of consecutive numbers have hues far apart (golden ratio)."""
    channels = colorsys.hsv_to_rgb(0.07 + index * 0.618 % 1.0, 0.7, 0.85)
    return "#" + "".join(f"{int(c * 255):02x}" for c in channels)


def _plan(options: TrainOptions, compute: Compute) -> TrainingPlan:
    """Return the plan with the given fields; bfloat16 by default only if the device supports it."""
    return TrainingPlan(
        **{"bfloat16": compute.dtype == torch.bfloat16, **options.plan},
        clicking=Clicking(**options.clicking),
        augmentation=Augmentation(**options.augmentation),
    )


def _scenes(
    share: float, card: Card, images: Sequence[LabelledImage], seed: int
) -> list[LabelledImage]:
    """Return generated scenes, weighted so that they are a share of the crops."""
    if share == 0:
        return []
    if not 0 < share <= 0.9:
        raise DataError(f"--scenes is {share:g}; give a number from 0 to 0.9")
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
                (_SCENE, _SCENE),
                seed=1000 + 10 * seed + i,
                region=region,
                ground_resolution=resolution * (0.7, 1.0)[i % 2],
            )
            image, labels = scene.render()
            made.append((image, table[labels], f"scene {region} {i}"))
    total = sum(math.sqrt(item.labels.size) for item in images)
    weight = share / (1 - share) * total / sum(math.sqrt(labels.size) for _, labels, _ in made)
    return [LabelledImage(image, labels, weight, name) for image, labels, name in made]


def _with_figures(
    network: Network,
    held_out: Sequence[Pair],
    options: TrainOptions,
    compute: Compute,
) -> Network:
    """Measure a network on held-out images, and return it with the figures in its card."""
    settings = Settings(
        coding=options.folders.mask_coding,
        crop=512,
        max_images=_MOST_EVALUATED,
        bands=options.reading.bands,
        find_fill=options.reading.fill,
    )
    job = evaluate(network, held_out, ["disir"], settings, compute=compute)
    records = run_job(job, outer="images")
    say_table(summary_rows(records), summary(records), sys.stderr)
    finite = [r for r in records if math.isfinite(r.before) and math.isfinite(r.after)]
    if finite:
        network.card = replace(
            network.card,
            figures={
                "images": len(finite),
                "miou_before": round(float(np.mean([r.before for r in finite])), 4),
                "miou_disir_10_clicks": round(float(np.mean([r.after for r in finite])), 4),
            },
        )
    return network
