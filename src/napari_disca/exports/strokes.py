"""What was drawn by hand as GeoJSON polygons in map coordinates: who asks later sees where.

Every stroke is a feature as it was drawn, also where a later one lies over it: ``order`` says which
is later. The coordinates are as in `exports.locks`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio.features
from affine import Affine

from napari_disca.annotations.areas import Ring
from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.tiling import Window
from napari_disca.exports.geojson import georeference_members
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame
from napari_disca.session.strokes import Stroke
from napari_disca.storage.atomic import replacing

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
    """Write strokes as a GeoJSON collection of polygons.

    Parameters
    ----------
    strokes : sequence of Stroke
        Oldest first.
    path : str or path
        Where to write; the file appears when it is complete.
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
    path = Path(path)
    frame = Frame.of(raster)
    features = [
        {
            "type": "Feature",
            "properties": _properties(stroke, order, classes),
            "geometry": {
                "type": "MultiPolygon",
                # A position is that of a pixel's centre, a corner lies half a pixel before it.
                "coordinates": [
                    [frame.outline([(r - 0.5, c - 0.5) for r, c in ring]) for ring in rings]
                    for rings in outlines(stroke.area)
                ],
            },
        }
        for order, stroke in enumerate(strokes)
    ]
    collection = {"type": "FeatureCollection", "name": "strokes", **georeference_members(frame)}
    text = json.dumps({**collection, "features": features}, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        # A lone surrogate in a class name has no UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return path


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
            mask = pixels.mask(piece)
            found = rasterio.features.shapes(
                mask.view(np.uint8),
                mask=mask,
                connectivity=4,
                # rasterio warns of a transform that is the identity, which the shift below is not.
                transform=Affine.translation(piece.left + 1, piece.top + 1),
            )
            for outline, _ in found:
                yield [tuple((y - 1, x - 1) for x, y in ring) for ring in outline["coordinates"]]
