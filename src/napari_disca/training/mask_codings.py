"""Decodes masks: one line of `CODINGS` for each way in which they encode classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.networks import LandClass
from napari_disca.training.mask_files import MaskFile, Strip

#: ``"auto"`` or a key of `CODINGS`.
Coding: TypeAlias = Literal["auto", "ids", "binary255", "colours", "potsdam", "potsdam-buildings"]

#: ISPRS Potsdam's (and Vaihingen's) classes; the colours are those of its masks.
POTSDAM_CLASSES = (
    LandClass("impervious surface", "#ffffff"),
    LandClass("building", "#0000ff"),
    LandClass("low vegetation", "#00ffff"),
    LandClass("tree", "#00ff00"),
    LandClass("car", "#ffff00"),
    LandClass("clutter", "#ff0000"),
)

#: Largest difference of a channel from a colour after compression.
TOLERANCE = 48
#: Largest difference between channels of a grey value after compression.
_GREY = 8
#: Share of the distance to the next colour within which a pixel has a colour.
_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class MaskInfo:
    """What a decoder needs to know of a mask.

    Attributes
    ----------
    classes : tuple of LandClass
    name : str
        Name of the mask, for messages.
    """

    classes: tuple[LandClass, ...]
    name: str


def greys(file: MaskFile, strip: Strip) -> NDArray[Any] | None:
    """Return the values ``(rows, width)`` of one band, or of three equal ones; else None."""
    pixels = strip.pixels
    first: NDArray[Any] = pixels[len(pixels) // 2]
    if len(pixels) == 1:
        return first
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    apart = (high - low)[strip.present]
    if apart.size and apart.max() > (_GREY if file.lossy else 0):
        return None
    return first


def colours(file: MaskFile, strip: Strip) -> NDArray[np.uint8]:
    """Return red, green and blue ``(3, rows, width)``; a grey value is repeated."""
    pixels = strip.pixels
    if file.palette is not None:
        return np.ascontiguousarray(file.palette[pixels[0]].transpose(2, 0, 1))
    pixels = _of_bytes(pixels)
    values = np.clip(np.nan_to_num(pixels), 0, 255)
    return np.broadcast_to(values, (3, *pixels.shape[1:])).astype(np.uint8)


def _of_bytes(values: NDArray[Any]) -> NDArray[Any]:
    """Return brightness from 0 to 255; 16-bit masks hold it as it is, or times 257."""
    if values.dtype == np.uint16 and values.max(initial=0) > IGNORE:
        return values // 257
    return values


def nearest_colour(
    pixels: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]]
) -> NDArray[np.uint8]:
    """Return the index of the colour of each pixel.

    Parameters
    ----------
    pixels : (3, ...) array of uint8
    palette : sequence of (int, int, int)

    Returns
    -------
    (...) array of uint8
        255 where no colour is close enough to be that colour after compression.
    """
    table = np.array(palette, dtype=np.int16)
    between = np.abs(table[:, None] - table[None]).max(axis=2)
    apart = int(between[between > 0].min(initial=255))
    most = min(TOLERANCE, int(_SHARE * apart))
    best = np.full(pixels.shape[1:], most + 1, dtype=np.int16)
    labels = np.full(pixels.shape[1:], IGNORE, dtype=np.uint8)
    for index, colour in enumerate(table):
        distance = np.zeros(pixels.shape[1:], dtype=np.int16)
        for channel, value in zip(pixels, colour, strict=True):
            np.maximum(distance, np.abs(channel.astype(np.int16) - value), out=distance)
        closer = distance < best
        labels[closer] = index
        best[closer] = distance[closer]
    return labels


def _ids(file: MaskFile, strip: Strip, info: MaskInfo) -> tuple[NDArray[np.uint8], int]:
    ids = _needed_greys(file, strip, "class ids")
    # Masks often declare 0 as no data although it is a class: only 255 and values that cannot be
    # ids are unknown.
    unknown = np.zeros(ids.shape, dtype=np.bool_)
    nodata = file.nodata
    if nodata is not None and not 0 <= nodata < IGNORE:
        unknown = np.isnan(ids) if np.isnan(nodata) else ids == nodata
    unknown |= ~strip.present
    wrong = ~unknown & ~((ids >= 0) & (ids <= IGNORE) & (ids == np.floor(ids)))
    if wrong.any():
        raise DataError(
            f"mask {info.name} holds the value {ids[wrong][0]}; class ids are whole numbers from "
            "0 to 254, and 255 where nothing is known"
        )
    return np.where(unknown, IGNORE, ids).astype(np.uint8), 0


def _binary(file: MaskFile, strip: Strip, info: MaskInfo) -> tuple[NDArray[np.uint8], int]:
    values = _needed_greys(file, strip, "0 and 255")
    values = _of_bytes(values)
    # Values of JPEG and resampled masks are near 0 and 255.
    low, high = values <= TOLERANCE, values >= 255 - TOLERANCE
    # Compressed masks may hold 1, but always with other values near it.
    noise = ((values > 1) & low).any()
    if not file.lossy and not noise and (values == 1).any():
        raise DataError(f"mask {info.name} holds 1; it is coded as ids, not as 0 and 255")
    labels = np.where(high, 1, np.where(low, 0, IGNORE)).astype(np.uint8)
    return labels, _odd(file, strip, labels)


def _colours(file: MaskFile, strip: Strip, info: MaskInfo) -> tuple[NDArray[np.uint8], int]:
    labels = nearest_colour(colours(file, strip), [land.rgb for land in info.classes])
    return labels, _odd(file, strip, labels)


def _potsdam(file: MaskFile, strip: Strip, info: MaskInfo) -> tuple[NDArray[np.uint8], int]:
    if file.bands == 1 and file.palette is None:
        raise DataError(
            f"mask {info.name} has 1 band, but its coding needs 3 (red, green, blue); use the "
            "coding ids or binary255"
        )
    table = [*(land.rgb for land in POTSDAM_CLASSES), (0, 0, 0)]
    labels = nearest_colour(colours(file, strip), table)
    unknown = _odd(file, strip, labels)
    # Black borders are not counted in Potsdam's own scores.
    labels[labels == len(POTSDAM_CLASSES)] = IGNORE
    return labels, unknown


def _potsdam_buildings(
    file: MaskFile, strip: Strip, info: MaskInfo
) -> tuple[NDArray[np.uint8], int]:
    labels, unknown = _potsdam(file, strip, info)
    building = building_class(info.classes)
    chosen = np.where(labels == 1, building, 1 - building)
    return np.where(labels == IGNORE, labels, chosen).astype(np.uint8), unknown


def _odd(file: MaskFile, strip: Strip, labels: NDArray[np.uint8]) -> int:
    """Return the number of pixels that are not of the coding; 0 for lossy masks."""
    return int(((labels == IGNORE) & file.certain(strip)).sum())


def building_class(classes: Sequence[LandClass]) -> int:
    """Return the id of buildings among two classes: by its name, else the second."""
    named = [i for i, c in enumerate(classes) if "build" in c.name.lower() or "roof" in c.name]
    return named[0] if len(named) == 1 else 1


def _needed_greys(file: MaskFile, strip: Strip, coding: str) -> NDArray[Any]:
    values = greys(file, strip)
    if values is None:
        raise DataError(
            f"mask {file.path.name} has colours, but its coding is {coding}; name the coding of "
            "all masks with --mask-coding, or convert this one"
        )
    return values


_Decode: TypeAlias = Callable[[MaskFile, Strip, MaskInfo], tuple[NDArray[np.uint8], int]]

#: Decoder of each coding: returns the labels of a strip, and the number of pixels not of it.
CODINGS: dict[str, _Decode] = {
    "ids": _ids,
    "binary255": _binary,
    "colours": _colours,
    "potsdam": _potsdam,
    "potsdam-buildings": _potsdam_buildings,
}


def coding_text(coding: Coding, classes: Sequence[LandClass]) -> str:
    """Return a coding in words."""
    if coding == "binary255":
        return f"0 is {classes[0].name}, 255 is {classes[1].name}"
    if coding == "colours":
        return "colours: " + ", ".join(f"{land.color} is {land.name}" for land in classes)
    if coding == "potsdam":
        pairs = zip(POTSDAM_CLASSES, classes, strict=False)
        return "Potsdam's colours: " + ", ".join(f"{p.color} is {c.name}" for p, c in pairs)
    if coding == "potsdam-buildings":
        building = building_class(classes)
        return (
            f"Potsdam's colours: #0000ff is {classes[building].name}, the others are "
            f"{classes[1 - building].name}"
        )
    return "class ids, 255 is not known"
