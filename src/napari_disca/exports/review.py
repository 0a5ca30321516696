"""Writes a review as polygons in map coordinates: the places that were seen, with verdicts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_disca.annotations.areas import Area
from napari_disca.exports.vectors.geojson import corner_positions, geojson_feature, write_collection
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame

if TYPE_CHECKING:
    # `networks` costs torch, which the table should not pay for.
    from napari_disca.networks.card import LandClass
    from napari_disca.session.steps.review_marks import Mark


def write_review(
    marks: Sequence[Mark],
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write verdicts on places as polygons, in GeoJSON or a GeoPackage.

    Parameters
    ----------
    marks : sequence of Mark
        Oldest first.
    path : str or path
        A GeoPackage if it ends with ``.gpkg``, otherwise GeoJSON; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        Not used, because a correction is written as a click; every format is called with it.

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
        properties = {
            "verdict": mark.verdict,
            "checked": mark.is_checked,
            "note": mark.note,
            "order": order,
        }
        outline = corner_positions((*ring, ring[0]), frame)
        features.append(geojson_feature("Polygon", [outline], properties))
    return write_collection(path, "review", features, frame)
