"""The bands that a file offers: palettes, names, types, no-data values, scales and offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from napari_disca.core.errors import RasterError
from napari_disca.raster.bands import band_kinds, band_names, band_texts, foreign_names
from napari_disca.raster.gdal.local_files import GdalError

#: Most bands. Hyperspectral images have hundreds; a file with far more is damaged or not an image,
#: and reading the metadata of every band would take very long.
_MOST_BANDS = 4096


@dataclass(frozen=True)
class FileBands:
    """The bands that an image offers, and where each comes from in its file.

    A band of the file is offered as it is, or as the red, green and blue of its palette.

    Attributes
    ----------
    sources : tuple of (int, int or None)
        Per offered band: the band of the file (from 1), and the colour of its palette (0 to 2).
    palettes : dict of int to (n, 4) array of uint8
        Per band of the file that has a palette: red, green, blue and opacity of every value.
    names : tuple of str
        Per offered band: ``"red"``, ``"nir"``, ``"alpha"``, ``"undefined"``, ...
    descriptions : tuple of str
        Per offered band: its name in the file.
    dtype : numpy.dtype
        Type that holds the values of all bands.
    nodatas : tuple of float or None
        Per offered band: its no-data value.
    scales, offsets : tuple of float
        Per offered band: ``value * scale + offset`` is the value in its unit.
    bits : int
        Number of bits that are used of an integer type.
    white : int or None
        Number from which values are subtracted because 0 is white in the file; None in others.
    notes : tuple of str
        Decisions that the user may want to know, one line each.
    """

    sources: tuple[tuple[int, int | None], ...]
    palettes: dict[int, NDArray[np.uint8]]
    names: tuple[str, ...]
    descriptions: tuple[str, ...]
    dtype: np.dtype[Any]
    nodatas: tuple[float | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    bits: int
    white: int | None
    notes: tuple[str, ...]


def file_bands(file: Any, alphas: Sequence[int]) -> FileBands:
    """Return the bands of an open file.

    Parameters
    ----------
    file : rasterio.io.DatasetReader
        A file that `check_is_image` accepts.
    alphas : sequence of int
        Bands of the file that are masks, from 1.
    """
    types = _types(file)
    tags = [file.tags(band) for band in range(1, file.count + 1)]
    kinds = band_names(
        band_kinds(file.descriptions, tags), [interp.name for interp in file.colorinterp]
    )
    sources: list[tuple[int, int | None]] = []
    palettes: dict[int, NDArray[np.uint8]] = {}
    names: list[str] = []
    for band, interp in enumerate(file.colorinterp, start=1):
        if interp == ColorInterp.palette and types[band - 1].kind == "u":
            palettes[band] = _palette(file.colormap(band))
            sources += [(band, 0), (band, 1), (band, 2)]
            names += ["red", "green", "blue"]
            types[band - 1] = np.dtype(np.uint8)
        else:
            sources.append((band, None))
            names.append("alpha" if band in alphas else kinds[band - 1])
    dtype: np.dtype[Any] = np.result_type(*types)
    texts = band_texts(file.descriptions, tags)
    units = [_unit(file, band) if colour is None else (1.0, 0.0) for band, colour in sources]
    bits = _bits(file, dtype)
    white = _white(file, dtype, bits) if not palettes else None
    notes = foreign_names(file.descriptions, names)
    if white is not None:
        notes += ("0 is white in this file (MinIsWhite): its values are inverted",)
    return FileBands(
        tuple(sources),
        palettes,
        tuple(names),
        tuple(texts[band - 1] if colour is None else "" for band, colour in sources),
        dtype,
        tuple(file.nodatavals[band - 1] if colour is None else None for band, colour in sources),
        tuple(scale for scale, _ in units),
        tuple(offset for _, offset in units),
        bits,
        white,
        notes,
    )


def check_is_image(file: Any, path: Path) -> None:
    """Raise an error if the bands of a file are not those of an image.

    Raises
    ------
    GdalError
        If there are no bands.
    RasterError
        If there are too many bands, or their pixels are complex numbers.
    """
    if file.count < 1:
        names = [name.rpartition(":")[2] or name for name in file.subdatasets]
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        hint = f"; it holds several images ({listed}), export one of them" if names else ""
        raise GdalError(f"{path} has no bands{hint}")
    if file.count > _MOST_BANDS:
        raise RasterError(
            f"{path} has {file.count} bands; {_MOST_BANDS} are the most, "
            "export those that are needed"
        )
    if any(kind.kind not in "uif" for kind in _types(file)):
        raise RasterError(
            f"{path} has pixels of type {file.dtypes[0]}; "
            "save it as integers or real numbers (for radar: its amplitude)"
        )


def _types(file: Any) -> list[np.dtype[Any]]:
    # GDAL's complex integers have no name in NumPy.
    names = ["complex64" if name.startswith("complex") else name for name in file.dtypes]
    return [np.dtype(name) for name in names]


def _unit(file: Any, band: int) -> tuple[float, float]:
    """Scale and offset of a band's values; 1 and 0 where they make no sense."""
    scale, offset = float(file.scales[band - 1]), float(file.offsets[band - 1])
    # Some programs write a scale of 0 for "not set".
    return (scale, offset) if np.isfinite((scale, offset)).all() and scale != 0 else (1.0, 0.0)


def _bits(file: Any, dtype: np.dtype[Any]) -> int:
    tags = [file.tags(band, ns="IMAGE_STRUCTURE") for band in range(1, file.count + 1)]
    used = [int(t["NBITS"]) for t in tags if t.get("NBITS", "").isdigit()]
    return max(used) if len(used) == file.count else 8 * dtype.itemsize


def _white(file: Any, dtype: np.dtype[Any], bits: int) -> int | None:
    """Number from which values are subtracted in a file in which 0 is white; None in others.

    The largest value of an unsigned type; -1 for signed and 0 for real numbers, which are only
    turned round.
    """
    if file.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") != "YES":
        return None
    tops: dict[str, int] = {"u": 2 ** min(bits, 8 * dtype.itemsize) - 1, "i": -1, "f": 0}
    return tops[dtype.kind]


def _palette(colours: dict[int, tuple[int, int, int, int]]) -> NDArray[np.uint8]:
    table = np.zeros((max(colours, default=0) + 1, 4), dtype=np.uint8)
    for index, colour in colours.items():
        table[index] = colour
    return table
