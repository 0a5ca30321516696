"""Reading reference masks, whichever way their data set writes classes.

One line of `CODINGS` per way; `read_mask` gives class ids with 255 where nothing is known.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError, RasterError, brief
from napari_disca.networks import LandClass
from napari_disca.raster import examine

#: ``"auto"`` or a key of `CODINGS`.
Coding: TypeAlias = Literal["auto", "ids", "binary255", "potsdam", "potsdam-buildings"]

#: ISPRS Potsdam's (and Vaihingen's) classes; the colours are those of its masks.
POTSDAM_CLASSES = (
    LandClass("impervious surface", "#ffffff"),
    LandClass("building", "#0000ff"),
    LandClass("low vegetation", "#00ffff"),
    LandClass("tree", "#00ff00"),
    LandClass("car", "#ffff00"),
    LandClass("clutter", "#ff0000"),
)

_DRIVERS = ["GTiff", "PNG", "JPEG", "JP2OpenJPEG", "BMP"]
_ROWS = 512
#: A channel this far from 0 and 255 is no colour of the table: compression, or another legend.
_TOLERANCE = 48
#: With a larger share of unknown colours the file is no Potsdam mask.
_UNKNOWN = 0.05
#: Masks looked at to tell 0/255 masks from class ids.
_LOOKED_AT = 16


def read_mask(
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    classes: int,
    *,
    coding: Coding = "auto",
) -> NDArray[np.uint8]:
    """Read a mask as class ids.

    Parameters
    ----------
    path : str or path
    shape : (int, int)
        Height and width of its image.
    classes : int
        How many ids there may be; tells 0/255 masks from ids where `coding` is ``"auto"``.
    coding : {"auto", "ids", "binary255", "potsdam", "potsdam-buildings"}
        ``"ids"``: one band of class ids (of a palette: its indices), 255 where nothing is known.
        ``"binary255"``: 0 is class 0, 255 class 1 (INRIA, AIRS). ``"potsdam"``: six RGB colours
        in the order of `POTSDAM_CLASSES`; black (the borders that Potsdam's scores leave out)
        and up to 5 % of other colours become 255. ``"potsdam-buildings"``: the same masks as
        building (1) or other (0). ``"auto"``: Potsdam's colours where there are three bands;
        0/255 where there are two classes and no other value; else ids. To decide for a whole
        folder at once use `coding_of`.

    Returns
    -------
    (height, width) array of uint8

    Raises
    ------
    DataError
        If the mask cannot be read, has another size than its image, or another coding.
    """
    path = Path(path)
    if coding != "auto" and coding not in CODINGS:
        raise DataError(f"mask coding {coding!r} is unknown; use auto, {', '.join(CODINGS)}")
    with _opened(path) as file:
        if (file.height, file.width) != tuple(shape):
            raise DataError(
                f"mask {path.name} is {file.height} x {file.width} pixels, its image "
                f"{shape[0]} x {shape[1]}; they must be equal"
            )
        if coding == "auto":
            coding = _coding(file, path, classes) or ("binary255" if classes == 2 else "ids")
        decode, bands = CODINGS[coding]
        labels = np.empty(shape, dtype=np.uint8)
        unknown = 0
        for top, pixels in _strips(file, path, bands):
            labels[top : top + pixels.shape[1]], strange = decode(pixels, path, file.nodata)
            unknown += strange
    if unknown > _UNKNOWN * labels.size:
        raise DataError(
            f"{unknown / labels.size:.0%} of mask {path.name} have none of Potsdam's six colours; "
            "is it coded otherwise? Masks of class ids need a single band"
        )
    return labels


def coding_of(paths: Sequence[Path], classes: int) -> Coding:
    """Decide how the masks of a folder are coded, from as many as it takes.

    A single mask of class ids may happen to hold 0 and 255 (ignore) only; the masks beside it
    tell. At most 16 are read.

    Raises
    ------
    DataError
        If one cannot be read.
    """
    step = max(1, -(-len(paths) // _LOOKED_AT))
    for path in paths[::step]:
        with _opened(path) as file:
            found = _coding(file, path, classes)
        if found is not None:
            return found
    return "binary255" if classes == 2 else "ids"


def _coding(file: Any, path: Path, classes: int) -> Coding | None:
    """How a mask is coded; None if it holds 0 and 255 only and could be either."""
    if file.count >= 3:
        return "potsdam-buildings" if classes == 2 else "potsdam"
    if classes != 2:
        return "ids"
    for _, pixels in _strips(file, path, 1):
        if not np.isin(pixels, (0, 255)).all():
            return "ids"
    return None


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        examine(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(path)
    except (RasterioError, RasterError, OSError) as error:
        raise DataError(f"mask {path.name} cannot be read: {brief(error)}") from error
    with file:
        if file.driver not in _DRIVERS:
            # Above all a VRT, which may name files anywhere.
            raise DataError(
                f"mask {path.name} is of format {file.driver}; use GeoTIFF, PNG, JPEG or BMP"
            )
        yield file


def _strips(file: Any, path: Path, bands: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Rows of a mask from the top: first row and ``(bands, rows, width)`` pixels."""
    palette = None
    if file.count < bands:
        if file.count != 1 or not _has_palette(file):
            raise DataError(
                f"mask {path.name} has {file.count} band{'s' * (file.count > 1)}, but its coding "
                f"needs {bands} (red, green, blue); use the coding ids or binary255"
            )
        palette = np.zeros((256, 3), dtype=np.uint8)
        for index, colour in file.colormap(1).items():
            palette[index] = colour[:3]
    for top in range(0, file.height, _ROWS):
        rows = min(_ROWS, file.height - top)
        window = RasterioWindow(0, top, file.width, rows)
        try:
            pixels = file.read(
                1 if palette is not None else list(range(1, bands + 1)), window=window
            )
        except (RasterioError, OSError) as error:
            raise DataError(f"mask {path.name} cannot be read: {brief(error)}") from error
        yield top, (palette[pixels].transpose(2, 0, 1) if palette is not None else pixels)


def _has_palette(file: Any) -> bool:
    return bool(file.colorinterp[0].name == "palette" and file.dtypes[0] == "uint8")


def _ids(pixels: NDArray[Any], path: Path, nodata: float | None) -> tuple[NDArray[np.uint8], int]:
    ids = pixels[0]
    # Masks often declare 0 "no data" although it is a class: only 255 and what cannot be an id
    # is taken for unknown.
    unknown = np.zeros(ids.shape, dtype=np.bool_)
    if nodata is not None and not 0 <= nodata < IGNORE:
        unknown = np.isnan(ids) if np.isnan(nodata) else ids == nodata
    wrong = ~unknown & ~((ids >= 0) & (ids <= IGNORE) & (ids == np.floor(ids)))
    if wrong.any():
        raise DataError(
            f"mask {path.name} holds the value {ids[wrong][0]}; class ids are whole numbers from "
            "0 to 254, and 255 where nothing is known"
        )
    return np.where(unknown, IGNORE, ids).astype(np.uint8), 0


def _binary(
    pixels: NDArray[Any], path: Path, nodata: float | None
) -> tuple[NDArray[np.uint8], int]:
    values = pixels[0]
    # JPEG and resampled masks are not quite 0 and 255.
    low, high = values <= _TOLERANCE, values >= 255 - _TOLERANCE
    if ((values == 1) & low).any():
        raise DataError(f"mask {path.name} holds 1; it is coded as ids, not as 0 and 255")
    return np.where(high, 1, np.where(low, 0, IGNORE)).astype(np.uint8), 0


def _potsdam(
    pixels: NDArray[Any], path: Path, nodata: float | None
) -> tuple[NDArray[np.uint8], int]:
    lit = pixels >= 255 - _TOLERANCE
    clear = (lit | (pixels <= _TOLERANCE)).all(axis=0)
    corner = lit[0] * 4 + lit[1] * 2 + lit[2] * 1
    table = np.full(8, IGNORE, dtype=np.uint8)
    for label, land in enumerate(POTSDAM_CLASSES):
        red, green, blue = (value == 255 for value in land.rgb)
        table[red * 4 + green * 2 + blue] = label
    labels = np.where(clear, table[corner], np.uint8(IGNORE))
    black = clear & (corner == 0)
    return labels, int(((labels == IGNORE) & ~black).sum())


def _potsdam_buildings(
    pixels: NDArray[Any], path: Path, nodata: float | None
) -> tuple[NDArray[np.uint8], int]:
    labels, unknown = _potsdam(pixels, path, nodata)
    return np.where(labels == IGNORE, labels, labels == 1).astype(np.uint8), unknown


_Decode: TypeAlias = Callable[[NDArray[Any], Path, float | None], tuple[NDArray[np.uint8], int]]

#: Coding -> its decoder (labels of some pixels, and how many had an unknown colour), and bands.
CODINGS: dict[str, tuple[_Decode, int]] = {
    "ids": (_ids, 1),
    "binary255": (_binary, 1),
    "potsdam": (_potsdam, 3),
    "potsdam-buildings": (_potsdam_buildings, 3),
}
