"""Writes strokes as polygons in map coordinates, as a record of what was drawn by hand.

Every stroke is written as it was drawn, even where a later one covers it; the property ``order``
says which is later. The coordinates are as in `napari_disca.exports.locks`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_disca.annotations.areas import Ring, mask_outlines
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.tiling import Window
from napari_disca.exports.vectors.geojson import corner_positions, geojson_feature, write_collection
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame
from napari_disca.session.steps.strokes import Stroke

if TYPE_CHECKING:
    from napari_disca.networks.card import LandClass

#: Side in pixels of the windows in which outlines are found; larger strokes are cut into several
#: polygons.
_PIECE = 4096


def write_strokes(
    strokes: Sequence[Stroke],
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write strokes as polygons, in GeoJSON or a GeoPackage.

    Parameters
    ----------
    strokes : sequence of Stroke
        Oldest first.
    path : str or path
        A GeoPackage if it ends with ``.gpkg``, otherwise GeoJSON; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        Names of the strokes' labels.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ExportError
        If the file cannot be written.
    """
    frame = Frame.of(raster)
    features = [
        geojson_feature(
            "MultiPolygon",
            [[corner_positions(ring, frame) for ring in rings] for rings in outlines(stroke.area)],
            _properties(stroke, order, classes),
        )
        for order, stroke in enumerate(strokes)
    ]
    return write_collection(path, "strokes", features, frame)


def _properties(stroke: Stroke, order: int, classes: Sequence[LandClass]) -> dict[str, Any]:
    return {
        "class_id": stroke.label,
        "class": None if stroke.label is None else classes[stroke.label].name,
        "erased": stroke.label is None,
        "tool": stroke.tool,
        "teaches": stroke.teaches,
        "only_over": ", ".join(classes[label].name for label in stroke.only),
        "pixels": len(stroke.area),
        "order": order,
    }


def outlines(pixels: PixelSet) -> Iterator[list[Ring]]:
    """Yield the polygons that cover a set of pixels.

    Parameters
    ----------
    pixels : PixelSet

    Yields
    ------
    list of Ring
        Closed rings of pixel corners: the outline, then its holes.
    """
    box = pixels.window
    for top in range(box.top, box.bottom, _PIECE):
        for left in range(box.left, box.right, _PIECE):
            piece = Window(top, left, _PIECE, _PIECE) & box
            yield from mask_outlines(pixels.mask(piece), piece.top, piece.left)
