"""A review as GeoJSON polygons in map coordinates: which places were seen, and what was said."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_disca.annotations.areas import Area
from napari_disca.exports.geojson import corner_positions, write_collection
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame

if TYPE_CHECKING:
    # Which costs torch.
    from napari_disca.networks.card import LandClass
    from napari_disca.session.review_marks import Mark


def write_review(
    marks: Sequence[Mark],
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write verdicts on places as GeoJSON, or as a GeoPackage, of polygons.

    Parameters
    ----------
    marks : sequence of Mark
        Oldest first.
    path : str or path
        Where to write, a GeoPackage if it ends with ``.gpkg``; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        Not written: a correction is among the clicks.

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
    features = []
    for order, mark in enumerate(marks):
        (ring,) = Area.rectangle(mark.window).rings
        outline = corner_positions((*ring, ring[0]), frame)
        features.append(
            {
                "type": "Feature",
                "properties": {
                    "verdict": mark.verdict,
                    "checked": mark.is_checked,
                    "note": mark.note,
                    "order": order,
                },
                "geometry": {"type": "Polygon", "coordinates": [outline]},
            }
        )
    return write_collection(path, "review", features, frame)
