"""Options that several commands share: the network, how an image is read, folders of images.

Neither torch nor GDAL is imported here, so that ``--help`` is shown at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_disca.cli.flags import flag
from napari_disca.cli.values import (
    parse_bands,
    parse_factor,
    parse_fill,
    parse_seed,
    parse_value_scaling,
)

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]
#: Network pixels per image pixel; ``"auto"`` forgets the one remembered for the image.
Factor: TypeAlias = "float | Literal['auto'] | None"


def torchscript_flag() -> bool:
    """Return the field of the flag that allows TorchScript networks."""
    allowed: bool = flag(
        "run a TorchScript network, which is a program: only if you trust who made it",
        default=False,
    )
    return allowed


@dataclass(frozen=True, slots=True)
class ComputeOptions:
    """Device, precision and threads of the network."""

    device: Device = flag("where the network runs", default="auto")
    precision: Precision = flag(
        "precision of the forward pass; auto: the fastest that the device supports natively",
        default="auto",
    )
    threads: int | None = flag("CPU threads (all cores)", default=None, metavar="N")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """The network, and where it runs."""

    weights: str | None = flag(
        "a bundled network, a .safetensors or a TorchScript file (landcover-5; predict: the "
        "bundled one that fits the image's ground resolution)",
        default=None,
        metavar="NAME_OR_FILE",
    )
    allow_torchscript: bool = torchscript_flag()
    compute: ComputeOptions = field(default_factory=ComputeOptions)
    seed: int = flag("seed of the random numbers", default=0, metavar="N", parse=parse_seed)


@dataclass(frozen=True, slots=True)
class PixelOptions:
    """Bands, scaling and no-data values of an image."""

    bands: tuple[int, ...] | None = flag(
        "image bands to read", default=None, metavar="1,2,3", parse=parse_bands
    )
    scaling: Any = flag(
        "how pixel values become 0 to 1: auto, dtype, percentile, or LOW:HIGH (as the network's "
        "card says; train: auto)",
        default=None,
        metavar="auto|LOW:HIGH",
        parse=parse_value_scaling,
    )
    fill: Any = flag(
        "no-data values that a file does not declare: auto finds and leaves out fill values, keep "
        "takes them for data, or a list of values",
        default=True,
        metavar="auto|keep|0,255",
        parse=parse_fill,
    )


@dataclass(frozen=True, slots=True)
class ReadingOptions(PixelOptions):
    """How the network reads an image."""

    factor: Factor = flag(
        "network pixels per image pixel, which is remembered for the image; 'auto' forgets it "
        "(by default the ratio of the ground resolutions)",
        default=None,
        metavar="X",
        parse=parse_factor,
    )


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """Folders of images and masks."""

    images: Path = flag("folder of the images", metavar="DIR")
    masks: Path | None = flag(
        "folder of the masks, which have the images' names (by default --images contains the "
        "folders imgs and gts)",
        default=None,
        metavar="DIR",
    )
    # As `training.masks.Coding`, which imports NumPy.
    mask_coding: Literal["auto", "ids", "binary255", "colours", "potsdam", "potsdam-buildings"] = (
        flag("how masks code classes; auto: recognised from their values", default="auto")
    )
    only: tuple[str, ...] = flag(
        "only images whose name contains this; repeatable", default=(), metavar="TEXT"
    )
    hold_out: tuple[str, ...] = flag(
        "leave out images whose name contains this (train: measure on them); repeatable",
        default=(),
        metavar="TEXT",
    )
