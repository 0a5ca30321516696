"""How an image would be read, in lines for its user."""

from __future__ import annotations

import numpy as np

from napari_disca.core.errors import RasterError
from napari_disca.raster.base import Raster
from napari_disca.raster.resolution import raster_resolution
from napari_disca.raster.sampling import sample_blocks
from napari_disca.raster.scaling import Scaling, value_scale
from napari_disca.raster.summary import default_bands

_COLOURS = ("red", "green", "blue")


def reading_lines(raster: Raster) -> list[str]:
    """Bands, scaling, mask, resolution, georeference, and what looks odd.

    Parameters
    ----------
    raster : Raster

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    odd = list(raster.notes)
    usable = [b for b, name in enumerate(raster.color_interp, start=1) if name != "alpha"]
    try:
        bands = default_bands(raster, 3, _COLOURS)
        chosen = f"bands {', '.join(map(str, bands))} as {', '.join(_COLOURS)}"
    except RasterError as error:
        bands, chosen = tuple(usable[:1]), "no bands for a network of colours"
        odd.append(str(error))
    valid = float(np.mean([block.valid.mean() for block in sample_blocks(raster, bands)]))
    if valid == 0:
        odd.append("not one of the pixels that were looked at has data in all these bands")
    nodatas = sorted({value for value in raster.nodatas if value is not None})
    alpha = [b for b, name in enumerate(raster.color_interp, start=1) if name == "alpha"]
    mask = [
        *(f"no-data value {value:g}" for value in nodatas),
        *(f"alpha in band {band}" for band in alpha),
    ]
    resolution = raster_resolution(raster)
    if resolution is None:
        odd.append("the size of a pixel is not known: give --factor if it is not the network's")
    lines = [
        f"size: {raster.shape[0]} x {raster.shape[1]} pixels, {raster.count} bands of "
        f"{raster.dtype} ({', '.join(raster.color_interp)})",
        f"read: {chosen}",
        f"scaling: {value_scale(raster, bands, Scaling(), _COLOURS).text}",
        f"data: {100 * valid:.0f} % of the pixels that were looked at"
        + (f" ({', '.join(mask)})" if mask else ""),
        f"resolution: {resolution:.4g} m" if resolution is not None else "resolution: not known",
        f"georeference: {_place(raster)}",
    ]
    return [*lines, *(f"odd: {line}" for line in odd)]


def _place(raster: Raster) -> str:
    crs = raster.crs
    told = []
    if raster.transform is None and raster.gcps is not None:
        points, crs = raster.gcps
        told.append(f"{len(points)} ground control points")
    if raster.transform is None and raster.rpcs is not None:
        told.append("a sensor's rational polynomial coefficients, which are kept and not applied")
    if crs is not None:
        code = crs.to_epsg()
        told.insert(0, f"EPSG:{code}" if code else "a CRS without a code")
    if len(told) == 1 and crs is not None and raster.transform is None:
        told.append("without a transform that says where its pixels lie")
    if crs is None and raster.transform is not None:
        return "coordinates without a CRS"
    return ", ".join(told) or "none"
