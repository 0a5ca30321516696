"""Vectors to lay over an image: lines, polygons and points of a GIS, in pixels of the image.

They are read to be looked at: cadastre, roads, footprints. GeoJSON, GeoPackage, Shapefile and
FlatGeobuf are read by another process, only where the image lies, whatever their CRS.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from napari_disca.core.errors import ClickError, OverlayError, one_line
from napari_disca.exports import overlay_process
from napari_disca.exports.geometry import clipped, holds
from napari_disca.exports.overlay_process import HOLE, LINE, POINT, RING
from napari_disca.exports.placing import LONGITUDE_LATITUDE, Source, to_pixels
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.georeference import Frame, crs_named
from napari_disca.storage.jsonfile import JsonError, parse_json

__all__ = [
    "HOLE",
    "LINE",
    "OVERLAY_SUFFIXES",
    "POINT",
    "RING",
    "Overlay",
    "VectorLayer",
    "read_overlay",
]

#: Endings of files of vectors, for dialogs and readers.
OVERLAY_SUFFIXES = (".geojson", ".gpkg", ".shp", ".fgb")
_MAGIC = (b"SQLite format 3\x00", b"fgb\x03fgb", b"\x00\x00\x27\x0a")
#: Positions a side of the grid by which the image is found in another CRS.
_GRID = 21
#: Bytes at either end of a GeoJSON where its members are looked for.
_ENDS = 65536


@dataclass(frozen=True, slots=True, eq=False)
class VectorLayer:
    """Features of a layer of a file that lie on an image.

    Attributes
    ----------
    name : str
        What the file calls the layer.
    source : Source
        What its coordinates mean.
    total : int
        Features that the layer has.
    cut : bool
        Whether there are more on the image than are here.
    places : array of shape (n, 2)
        Row and column, whose whole parts are the pixel, of all corners and points.
    starts : array of shape (parts + 1,)
        Where the parts begin among them.
    kinds : array of shape (parts,)
        `POINT`, `LINE`, `RING`, or `HOLE` of the ring before it.
    owners : array of shape (parts,)
        Number of the feature that a part belongs to.
    texts : tuple of bytes
        What is known of each feature, as an object in JSON.
    """

    name: str
    source: Source
    total: int
    cut: bool
    places: NDArray[np.float64]
    starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    owners: NDArray[np.int64]
    texts: tuple[bytes, ...]

    def __len__(self) -> int:
        """Features that lie on the image."""
        return len(self.texts)

    def known(self, feature: int) -> dict[str, Any]:
        """What is known of a feature, by the names of the columns."""
        found = json.loads(self.texts[feature])
        return found if isinstance(found, dict) else {}

    def part_of(self) -> NDArray[np.int64]:
        """Number of the part that each of the `places` belongs to."""
        return np.repeat(np.arange(len(self.kinds)), np.diff(self.starts))

    def segments(self) -> NDArray[np.int64]:
        """Numbers of the `places` from which a line goes on to the next."""
        part = self.part_of()
        lines = (part[:-1] == part[1:]) & (self.kinds[part[:-1]] != POINT)
        return np.flatnonzero(lines)


@dataclass(frozen=True, slots=True)
class Overlay:
    """What a file has for an image.

    Attributes
    ----------
    path : Path
    layers : tuple of VectorLayer
        Those of which something lies on the image.
    elsewhere : int
        Layers of which nothing does, or that were not read because there are too many.
    """

    path: Path
    layers: tuple[VectorLayer, ...]
    elsewhere: int

    def describe(self, layer: VectorLayer, frame: Frame, image: str) -> str:
        """One line for the user about a layer.

        Parameters
        ----------
        layer : VectorLayer
        frame : Frame
        image : str
            What the image is called.
        """
        first = "the first " * layer.cut
        called = self.path.name if len(self.layers) == 1 else f"{self.path.name}, {layer.name}"
        line = f"{called}: {first}{len(layer):,} of {layer.total:,} features lie on {image}"
        if layer.cut:
            line += " and are shown; cut the file to the image to see all"
        if layer.source.meaning in ("own", "unsaid") and frame.transform is not None:
            line += "; the file names no CRS, so the image's is taken"
        elif layer.source.meaning == "degrees" and frame.crs != LONGITUDE_LATITUDE:
            line += "; converted from longitude and latitude to the image's CRS"
        elif layer.source.crs is not None and layer.source.crs != frame.crs:
            line += f"; converted from {layer.source} to the image's CRS"
        return f"{line}. To look at: they are no clicks and change nothing"


def read_overlay(path: Path, frame: Frame) -> Overlay:
    """Read what a file of vectors has for an image.

    Parameters
    ----------
    path : Path
        GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
    frame : Frame
        Of the image.

    Raises
    ------
    OverlayError
        If it cannot be read, has no place on the image, or nothing of it lies there.
    """
    try:
        return _read(path, frame)
    except (ClickError, OverlayError) as error:
        raise OverlayError(f"{path.name}: {error}") from error


def _read(path: Path, frame: Frame) -> Overlay:
    start = _start(path)
    is_text = start.lstrip(b"\xef\xbb\xbf \t\r\n\x1e")[:1] == b"{"
    if not is_text and not start.startswith(_MAGIC):
        raise OverlayError(
            "is no file of vectors; GeoJSON, GeoPackage (.gpkg), Shapefile (.shp) and FlatGeobuf "
            "(.fgb) are read"
        )
    if importlib.util.find_spec("pyogrio") is None:
        raise OverlayError(
            'needs pyogrio to be read; install it with pip install "napari-disca[vector]"'
        )
    said = _geojson_source(path, start) if is_text else None
    of_map = said is None or said.meaning == "degrees"
    about, content = _asked(path, frame, only_there=of_map)
    layers: list[VectorLayer] = []
    beside: list[str] = []
    for told in about["layers"]:
        arrays = dict(_arrays(told["counts"], content))
        source = said or _source(told["crs"], is_text)
        layer = _placed(told, arrays, source, frame)
        if len(layer):
            layers.append(layer)
        else:
            beside.append(f"none of its {layer.total:,} features lies on the image")
    if not layers:
        raise OverlayError(beside[0] if len(beside) == 1 else "nothing in it lies on the image")
    return Overlay(path, tuple(layers), len(beside) + int(about["left_out"]))


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_ENDS)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OverlayError(f"cannot be read: {why}") from error


def _geojson_source(path: Path, start: bytes) -> Source | None:
    """What a GeoJSON says of its coordinates that GDAL does not hand on; None if it names a CRS."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        end = file.read()
    members = start.partition(b'"features"')[0] + end.rpartition(b"]")[2]
    if re.search(rb'"coordinates"\s*:\s*"pixels"', members):
        return Source("pixels")
    if re.search(rb'"crs"\s*:\s*null', members):
        return Source("own")
    return None if b'"crs"' in members else Source("degrees")


def _source(crs: str | None, is_text: bool) -> Source:
    if not crs:
        return Source("degrees") if is_text else Source("unsaid")
    try:
        found = crs_named(crs)
    except (*GDAL_ERRORS, ValueError) as error:
        raise OverlayError(
            f"has a CRS that is not understood, {crs[:60]!r}; use one with an EPSG code"
        ) from error
    return Source("crs", found)


def _asked(
    path: Path, frame: Frame, *, only_there: bool
) -> tuple[Mapping[str, Any], Iterator[bytes]]:
    """Ask another process, because GDAL can crash or hang on a damaged file."""
    request: dict[str, Any] = {"crs": None, "extent": []}
    if frame.transform is not None and frame.crs is not None and only_there:
        request = {"crs": frame.crs.to_wkt(), "extent": _extent(frame)}
    if not sys.executable or getattr(sys, "frozen", False):
        said = b"".join(overlay_process.read(path, request))
    else:
        said = _answer(path, json.dumps(request))
    head, _, rest = said.partition(b"\n")
    try:
        about = parse_json(head)
    except JsonError:
        about = None
    if not isinstance(about, dict):
        raise OverlayError("is damaged: it ends the program that reads it; get it again")
    if isinstance(about.get("error"), str):
        raise OverlayError(f"cannot be read: {one_line(ValueError(about['error']))}")
    return about, _pieces(about["layers"], rest)


def _answer(path: Path, request: str) -> bytes:
    try:
        done = subprocess.run(
            # -P: nothing beside the script may take the place of a library.
            [sys.executable, "-P", overlay_process.__file__, str(path.absolute()), request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=overlay_process.HANG,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise OverlayError(
            f"takes more than {overlay_process.HANG:.0f} seconds to be read; cut it to the image, "
            "or save it as a GeoPackage, of which only a part is read"
        ) from None
    except OSError as error:
        raise OverlayError(f"cannot be read: {error.strerror or error}") from error
    return done.stdout


def _extent(frame: Frame) -> list[tuple[float, float]]:
    """Map coordinates of places all over an image."""
    rows = np.linspace(0, frame.shape[0], _GRID)
    cols = np.linspace(0, frame.shape[1], _GRID)
    a, b, c, d, e, f = frame.transform or (1, 0, 0, 0, 1, 0)
    return [(a * x + b * y + c, d * x + e * y + f) for y in rows for x in cols]


def _pieces(layers: list[dict[str, Any]], content: bytes) -> Iterator[bytes]:
    """The bytes of one array after another."""
    at = 0
    for told in layers:
        for (_, kind), count in zip(overlay_process.ARRAYS, told["counts"], strict=True):
            end = at + np.dtype(kind).itemsize * count
            if end > len(content):
                raise OverlayError("is damaged: it ends the program that reads it; get it again")
            yield content[at:end]
            at = end


def _arrays(counts: list[int], content: Iterator[bytes]) -> Iterator[tuple[str, NDArray[Any]]]:
    for (name, kind), _ in zip(overlay_process.ARRAYS, counts, strict=True):
        yield name, np.frombuffer(next(content), kind)


def _placed(
    told: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], source: Source, frame: Frame
) -> VectorLayer:
    """The features that lie on the image, in its pixels."""
    bounds = told["bounds"]
    if bounds is not None:
        # What can be said against the coordinates is said of the least and the greatest.
        to_pixels(bounds[0::2], bounds[1::2], source, frame)
    places = _pixels(arrays["positions"].reshape(-1, 2), source, frame)
    texts = arrays["texts"].tobytes()
    begins = arrays["text_starts"].tolist()
    whole = VectorLayer(
        told["name"],
        source,
        int(told["total"]),
        bool(told["cut"]),
        places,
        arrays["starts"],
        arrays["kinds"],
        arrays["owners"],
        tuple(texts[begin:end] for begin, end in pairwise(begins)),
    )
    return _only(whole, _on_image(whole, frame))


def _pixels(positions: NDArray[np.float64], source: Source, frame: Frame) -> NDArray[np.float64]:
    """Rows and columns of positions of a file; not a number where there is no place for them."""
    if source.meaning == "pixels":
        return positions[:, ::-1].astype(np.float64)
    crs = LONGITUDE_LATITUDE if source.meaning == "degrees" else source.crs
    if crs is None or frame.crs is None or frame.transform is None or crs == frame.crs:
        return frame.pixels(positions)
    return frame.pixels(_converted(positions, crs, frame.crs))


def _converted(positions: NDArray[np.float64], source: CRS, to: CRS) -> NDArray[np.float64]:
    try:
        transformer = pyproj.Transformer.from_crs(source.to_wkt(), to.to_wkt(), always_xy=True)
        xs, ys = transformer.transform(positions[:, 0], positions[:, 1])
    except ProjError as error:
        raise OverlayError(
            f"has coordinates that cannot be converted to the image's CRS: {one_line(error)}"
        ) from error
    return np.stack([xs, ys], axis=1)


def _on_image(layer: VectorLayer, frame: Frame) -> NDArray[np.bool_]:
    """Which features lie on the image, or around all of it."""
    part = layer.part_of()
    owner = layer.owners[part]
    found = np.zeros(len(layer), bool)
    size = np.array(frame.shape, float)
    points = layer.kinds[part] == POINT
    with np.errstate(invalid="ignore"):
        inside = ((layer.places >= 0) & (layer.places < size)).all(axis=1)
    found[owner[points & inside]] = True
    first = layer.segments()
    starts, ends = layer.places[first], layer.places[first + 1]
    on, _, _ = clipped(starts, ends, (0.0, 0.0), frame.shape)
    # From one side of the world to the other: the way leads round the back.
    with np.errstate(invalid="ignore"):
        on &= np.abs(starts - ends).max(axis=1, initial=0) < frame.turn / 2
    found[owner[first[on]]] = True
    rings = layer.kinds[part[first]] >= RING
    middle = frame.shape[0] / 2, frame.shape[1] / 2
    around = holds(starts[rings], ends[rings], owner[first[rings]], len(layer), middle)
    result: NDArray[np.bool_] = found | around
    return result


def _only(layer: VectorLayer, wanted: NDArray[np.bool_]) -> VectorLayer:
    """A layer with some of its features."""
    parts = wanted[layer.owners]
    lengths = np.diff(layer.starts)
    number = np.cumsum(wanted) - 1
    return VectorLayer(
        layer.name,
        layer.source,
        layer.total,
        layer.cut,
        layer.places[np.repeat(parts, lengths)],
        np.concatenate([[0], np.cumsum(lengths[parts])]).astype(np.int64),
        layer.kinds[parts],
        number[layer.owners[parts]],
        tuple(text for text, keep in zip(layer.texts, wanted.tolist(), strict=True) if keep),
    )
