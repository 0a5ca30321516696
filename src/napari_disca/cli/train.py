"""The ``train`` command."""

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
from napari_disca.core.events import Job, Progress, finish
from napari_disca.evaluation import Settings, evaluate, summary, summary_rows
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
from napari_disca.raster.value_scale import fill_text
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

#: Held-out images measured at the end, at most; more would take longer than they tell.
_MEASURED = 12
#: Steps between looks at the loss.
_REPORTED = 10

#: What the card says of an encoder that was trained elsewhere.
_ORIGIN = {"imagenet": "Encoder: EfficientNet-Lite0, ImageNet, Apache-2.0"}


def train(options: TrainOptions) -> int:
    """Train, measure on what was held out, and write card and weights."""
    output = writable(options.output)
    compute = compute_of(ComputeOptions(device=options.device, threads=options.threads))
    learned, held = pairs_of(options.folders)
    if output.suffix != ".safetensors":
        raise DataError(f"{output} does not end in .safetensors; name the output so")
    if options.save_every < 1:
        raise DataError(f"--save-every {options.save_every} is too small; give 1 or more")
    if not learned:
        raise DataError("every image is held out, there is none to learn from")
    plan = _plan(options, compute)
    card = _card(options, learned[0].image)
    # A wrong architecture, option or start is told before all images are read.
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
        # Its weights know pixels and clicks as its own card standardises and draws them.
        told = start.card
        card = replace(card, mean=told.mean, std=told.std, guidance=told.guidance)
    images = [*images, *_scenes(options.scenes, card, images, plan.seed)]
    checkpoint = checkpoint_path(output)
    job = run_training(
        images,
        card,
        plan,
        reading=_told(options.reading),
        start=start,
        device=compute.device,
        checkpoint=checkpoint,
        save_every=options.save_every,
        report_every=_REPORTED,
    )
    try:
        network = _shown(job)
    except KeyboardInterrupt:
        if checkpoint.exists():
            note("the same command goes on from the last checkpoint")
        raise
    # Before measuring, which may fail on an odd mask.
    written = save_network(network, output)
    if held:
        try:
            written = save_network(_measured(network, held, options, compute), output)
        except DiscaError as error:
            note(f"the network is written but was not measured: {error}")
    checkpoint.unlink(missing_ok=True)
    say(str(written))
    return 0


def _card(options: TrainOptions, image: Path) -> Card:
    """Card of the network to train; `image` is one of those it learns from."""
    bands = _band_names(options.reading.bands, image)
    given = dict(options.card)
    sources = _sources(given.pop("training_data", ""), options.encoder_weights)
    return Card(
        **{"name": options.output.stem, **given},
        architecture=options.architecture,
        options=dict(options.option),
        classes=_classes(options),
        bands=bands,
        scaling=options.reading.scaling or Scaling(),
        mean=(0.0,) * len(bands),
        std=(1.0,) * len(bands),
        guidance=Guidance(options.guidance, options.guidance_radius),
        training_data=sources,
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


def _told(reading: PixelOptions) -> dict[str, str]:
    """Flags that say how images are read, for the checkpoint."""
    return {
        "--bands": ",".join(map(str, reading.bands or ())),
        "--scaling": str(reading.scaling or Scaling()),
        "--fill": fill_text(reading.fill),
    }


def _listed(value: object) -> str:
    return ", ".join(value) if isinstance(value, list | tuple) else str(value)


def _shown(job: Job[Network]) -> Network:
    """Run a training, and show its loss beside its progress."""
    loss, begun = "", False
    with display() as shown:

        def on_event(event: Any) -> None:
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


def _plan(options: TrainOptions, compute: Compute) -> TrainingPlan:
    """Plan with the given fields; in bfloat16 only where that is fast."""
    return TrainingPlan(
        **{"bfloat16": compute.dtype == torch.bfloat16, **options.plan},
        clicking=Clicking(**options.clicking),
        augmentation=Augmentation(**options.augmentation),
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
    held: Sequence[Pair],
    options: TrainOptions,
    compute: Compute,
) -> Network:
    """Write validation figures into the card."""
    settings = Settings(
        coding=options.folders.mask_coding,
        crop=512,
        max_images=_MEASURED,
        bands=options.reading.bands,
        find_fill=options.reading.fill,
    )
    job = evaluate(network, held, ["disir"], settings, compute=compute)
    records = run_job(job, outer="images")
    say_table(summary_rows(records), summary(records), sys.stderr)
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
