"""Vector layers to show over an image: lines, polygons and points, in pixels of the image.

They are only looked at: cadastre, roads, building footprints. GeoJSON, GeoPackage, Shapefile and
FlatGeobuf in any CRS are read by another process, and of those only the features near the image.
"""

from __future__ import annotations

import os
import re
import subprocess
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

from napari_disca.core.child_process import answer_of_script, can_start_python
from napari_disca.core.errors import ClickError, OverlayError, one_line
from napari_disca.exports.vectors import overlay_process
from napari_disca.exports.vectors.placing import LONGITUDE_LATITUDE, Source, named_source, to_pixels
from napari_disca.exports.vectors.vector_formats import (
    GIS_SUFFIXES,
    INSTALL_PYOGRIO,
    first_bytes,
    format_of_start,
    has_pyogrio,
)
from napari_disca.exports.vectors.vector_layer import VectorLayer
from napari_disca.raster.georeference import Frame
from napari_disca.storage.jsonfile import JsonError, parse_json

#: Endings of vector files, for dialogs and readers.
OVERLAY_SUFFIXES = (".geojson", *GIS_SUFFIXES)

#: The image's extent is converted to another CRS at the positions of a grid of this many a side.
_GRID = 21
#: Bytes at the beginning of a GeoJSON, and at its end, in which its members are searched.
_HEAD, _TAIL = 65536, 4096


@dataclass(frozen=True, slots=True)
class Overlay:
    """The layers of a vector file that lie on an image.

    Attributes
    ----------
    path : Path
    layers : tuple of VectorLayer
        Each with at least one feature on the image.
    elsewhere : int
        Number of layers without one, or not read because there are too many layers.
    """

    path: Path
    layers: tuple[VectorLayer, ...]
    elsewhere: int

    def describe(self, layer: VectorLayer, frame: Frame, image: str) -> str:
        """Return one line for the user about a layer.

        Parameters
        ----------
        layer : VectorLayer
            One of `layers`.
        frame : Frame
            Of the image.
        image : str
            The image's name.
        """
        first = "the first " * layer.cut
        called = self.path.name if len(self.layers) == 1 else f"{self.path.name}, {layer.name}"
        line = f"{called}: {first}{len(layer):,} of {layer.total:,} features lie on {image}"
        if layer.cut:
            line += " and are shown; cut the file to the image to see all"
        if layer.source.meaning in ("unknown", "unnamed") and frame.transform is not None:
            line += "; the file names no CRS, so the image's is taken"
        elif layer.source.meaning == "degrees" and frame.crs != LONGITUDE_LATITUDE:
            line += "; converted from longitude and latitude to the image's CRS"
        elif layer.source.crs is not None and layer.source.crs != frame.crs:
            line += f"; converted from {layer.source} to the image's CRS"
        return f"{line}. They are only shown: they are no clicks and do not change the map"


def read_overlay(path: Path, frame: Frame) -> Overlay:
    """Return the layers of a vector file that lie on an image.

    Parameters
    ----------
    path : Path
        GeoJSON, GeoPackage, Shapefile or FlatGeobuf.
    frame : Frame
        Of the image.

    Returns
    -------
    Overlay
        At least one layer.

    Raises
    ------
    OverlayError
        If the file cannot be read, its coordinates cannot be converted to pixels of the image, or
        no feature lies on the image.
    """
    try:
        return _read(path, frame)
    except (ClickError, OverlayError) as error:
        raise OverlayError(f"{path.name}: {error}") from error


def _read(path: Path, frame: Frame) -> Overlay:
    start = first_bytes(path, _HEAD)
    is_text = start.lstrip(b"\xef\xbb\xbf \t\r\n\x1e")[:1] == b"{"
    if not is_text and format_of_start(start) is None:
        raise OverlayError(
            "is not a vector file; open GeoJSON, GeoPackage (.gpkg), Shapefile (.shp) or "
            "FlatGeobuf (.fgb)"
        )
    if not has_pyogrio():
        raise OverlayError(f"needs pyogrio to be read; {INSTALL_PYOGRIO}")
    declared = _geojson_source(path, start) if is_text else None
    in_map_coordinates = declared is None or declared.meaning == "degrees"
    header, arrays_of_layers = _answer(path, frame, only_extent=in_map_coordinates)
    layers: list[VectorLayer] = []
    elsewhere: list[VectorLayer] = []
    for about in header["layers"]:
        arrays = dict(_arrays(about["counts"], arrays_of_layers))
        source = declared or _source(about["crs"], is_text)
        layer = _placed(about, arrays, source, frame)
        (layers if len(layer) else elsewhere).append(layer)
    if len(elsewhere) == 1 and not layers:
        raise OverlayError(f"none of its {elsewhere[0].total:,} features lies on the image")
    if not layers:
        raise OverlayError("none of its features lies on the image")
    return Overlay(path, tuple(layers), len(elsewhere) + int(header["left_out"]))


def _geojson_source(path: Path, start: bytes) -> Source | None:
    """Return what a GeoJSON's coordinates mean, or None if it names a CRS, which GDAL reads.

    GDAL takes a null CRS, and pixels, for longitude and latitude.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        end = file.read()
    members = start.partition(b'"features"')[0] + end.rpartition(b"]")[2]
    if re.search(rb'"coordinates"\s*:\s*"pixels"', members):
        return Source("pixels")
    if re.search(rb'"crs"\s*:\s*null', members):
        return Source("unknown")
    return None if b'"crs"' in members else Source("degrees")


def _source(crs: str | None, is_text: bool) -> Source:
    """Return what the coordinates of a layer in a CRS that GDAL names mean."""
    if crs:
        return named_source(crs)
    return Source("degrees") if is_text else Source("unnamed")


def _answer(
    path: Path, frame: Frame, *, only_extent: bool
) -> tuple[Mapping[str, Any], Iterator[bytes]]:
    """Return what `overlay_process` answers: the header, and the bytes of one array after another.

    Raises
    ------
    OverlayError
        If the file cannot be read.
    """
    request: dict[str, Any] = {"path": os.fspath(path.absolute()), "crs": None, "extent": []}
    if frame.transform is not None and frame.crs is not None and only_extent:
        request |= {"crs": frame.crs.to_wkt(), "extent": _extent(frame)}
    if can_start_python():
        answer = _answer_of_process(request)
    else:
        answer = b"".join(overlay_process.read(request))
    line, _, content = answer.partition(b"\n")
    try:
        header = parse_json(line)
    except JsonError:
        header = None
    if not isinstance(header, dict):
        raise OverlayError("is damaged: it ends the program that reads it; get it again")
    if isinstance(header.get("error"), str):
        raise OverlayError(f"cannot be read: {one_line(ValueError(header['error']))}")
    return header, _pieces(header["layers"], content)


def _answer_of_process(request: Mapping[str, Any]) -> bytes:
    try:
        return answer_of_script(overlay_process.__file__, request, seconds=overlay_process.HANG)
    except subprocess.TimeoutExpired:
        raise OverlayError(
            f"takes more than {overlay_process.HANG:.0f} seconds to be read; cut it to the image, "
            "or save it as a GeoPackage, of which only a part is read"
        ) from None
    except OSError as error:
        raise OverlayError(f"cannot be read: {error.strerror or error}") from error


def _extent(frame: Frame) -> list[tuple[float, float]]:
    """Return the map coordinates of a grid of positions that covers an image."""
    rows = np.linspace(0, frame.shape[0], _GRID)
    cols = np.linspace(0, frame.shape[1], _GRID)
    a, b, c, d, e, f = frame.transform or (1, 0, 0, 0, 1, 0)
    return [(a * x + b * y + c, d * x + e * y + f) for y in rows for x in cols]


def _pieces(layers: list[dict[str, Any]], content: bytes) -> Iterator[bytes]:
    """Yield the bytes of one array after another."""
    at = 0
    for about in layers:
        for (_, kind), count in zip(overlay_process.ARRAYS, about["counts"], strict=True):
            end = at + np.dtype(kind).itemsize * count
            if end > len(content):
                raise OverlayError("is damaged: it ends the program that reads it; get it again")
            yield content[at:end]
            at = end


def _arrays(counts: list[int], content: Iterator[bytes]) -> Iterator[tuple[str, NDArray[Any]]]:
    for (name, kind), _ in zip(overlay_process.ARRAYS, counts, strict=True):
        yield name, np.frombuffer(next(content), kind)


def _placed(
    about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], source: Source, frame: Frame
) -> VectorLayer:
    """Return the features that lie on the image, in its pixels."""
    bounds = about["bounds"]
    if bounds is not None:
        # Only for its errors: coordinates that do not fit their CRS are refused.
        to_pixels(bounds[0::2], bounds[1::2], source, frame)
    places = _pixels(arrays["positions"].reshape(-1, 2), source, frame)
    texts = arrays["texts"].tobytes()
    begins = arrays["text_starts"].tolist()
    whole = VectorLayer(
        about["name"],
        source,
        int(about["total"]),
        bool(about["cut"]),
        places,
        arrays["starts"],
        arrays["kinds"],
        arrays["owners"],
        tuple(texts[begin:end] for begin, end in pairwise(begins)),
    )
    return whole.only(whole.on_image(frame))


def _pixels(positions: NDArray[np.float64], source: Source, frame: Frame) -> NDArray[np.float64]:
    """Return rows and columns of a file's positions; NaN where they cannot be converted."""
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
