"""What several commands are told: the network, how an image is read, folders of images.

Nothing here imports torch or GDAL, so that ``--help`` is there at once.
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
#: Network pixels per image pixel; ``"auto"`` forgets what was remembered for the image.
Factor: TypeAlias = "float | Literal['auto'] | None"


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
class PixelOptions:
    """Which values of an image are read, and how: of all commands that read pixels."""

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
        "no-data values that a file does not declare: found and left out (auto), taken for data "
        "(keep), or these",
        default=True,
        metavar="auto|keep|0,255",
        parse=parse_fill,
    )


@dataclass(frozen=True, slots=True)
class ReadingOptions(PixelOptions):
    """How an image is read."""

    factor: Factor = flag(
        "network pixels per image pixel, remembered for the image; 'auto' forgets it (from the "
        "ground resolutions)",
        default=None,
        metavar="X",
        parse=parse_factor,
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
