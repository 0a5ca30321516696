"""What was drawn by hand as GeoJSON polygons in map coordinates: who asks later sees where.

Every stroke is a feature as it was drawn, also where a later one lies over it: ``order`` says which
is later. The coordinates are as in `exports.locks`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_disca.annotations.areas import Ring, mask_outlines
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.tiling import Window
from napari_disca.exports.geojson import corner_positions, write_collection
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame
from napari_disca.session.strokes import Stroke

if TYPE_CHECKING:
    from napari_disca.networks.card import LandClass

#: Side of the windows whose outlines are followed together: larger strokes come in pieces.
_PIECE = 4096


def write_strokes(
    strokes: Sequence[Stroke],
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write strokes as GeoJSON, or as a GeoPackage, of polygons.

    Parameters
    ----------
    strokes : sequence of Stroke
        Oldest first.
    path : str or path
        Where to write, a GeoPackage if it ends with ``.gpkg``; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        What the labels mean.

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
        {
            "type": "Feature",
            "properties": _properties(stroke, order, classes),
            "geometry": {
                "type": "MultiPolygon",
                "coordinates": [
                    [corner_positions(ring, frame) for ring in rings]
                    for rings in outlines(stroke.area)
                ],
            },
        }
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
    """Outlines of a set of pixels, each with its holes: closed rings of pixels' corners.

    Parameters
    ----------
    pixels : PixelSet
    """
    box = pixels.window
    for top in range(box.top, box.bottom, _PIECE):
        for left in range(box.left, box.right, _PIECE):
            piece = Window(top, left, _PIECE, _PIECE) & box
            yield from mask_outlines(pixels.mask(piece), piece.top, piece.left)
