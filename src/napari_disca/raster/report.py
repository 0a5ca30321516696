"""Lines for the user on how an image is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_disca.core.errors import RasterError
from napari_disca.raster.band_choice import default_bands
from napari_disca.raster.base import Raster
from napari_disca.raster.resolution import raster_resolution
from napari_disca.raster.values.sampling import Block, sample_blocks
from napari_disca.raster.values.scaling import Scaling, ValueScale, value_scale
from napari_disca.raster.values.sentinel import begins_at_offset

_COLOURS = ("red", "green", "blue")
#: Metres; Sentinel-2's pixels have 10 m and more.
_FINEST = 9.0
#: Scaled value (0 to 1) below which a photograph is unusually dark.
_DARK = 0.25


@dataclass(frozen=True, slots=True)
class Chosen:
    """The bands of an image that a network reads, and their scaling.

    Attributes
    ----------
    bands : tuple of int
        From 1.
    names : tuple of str
        The network's names of the bands.
    scale : ValueScale
    """

    bands: tuple[int, ...]
    names: tuple[str, ...]
    scale: ValueScale


def reading_lines(raster: Raster, chosen: Chosen | None = None) -> list[str]:
    """Return lines on bands, scaling, masks, resolution and georeference, and warnings.

    Parameters
    ----------
    raster : Raster
    chosen : Chosen, optional
        How it is read; by default as by a network of red, green and blue.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    odd = list(raster.notes)
    if chosen is None:
        bands, read, problem = _of_colours(raster)
        odd += [problem] if problem else []
        scale = value_scale(raster, bands, Scaling(), _COLOURS)
    else:
        bands, scale = chosen.bands, chosen.scale
        read = _read(bands, chosen.names)
    blocks = sample_blocks(raster, bands)
    valid = float(np.mean([block.valid.mean() for block in blocks]))
    if valid == 0:
        odd.append("none of the sampled pixels has data in all these bands")
    values = np.concatenate([scale(block.pixels)[:, block.valid] for block in blocks], axis=1)
    if values.size and np.nanpercentile(values, 90) < _DARK:
        odd.append(
            "the image is dark: nine tenths of what the network reads are less than a quarter of "
            "full brightness; if it should not be, choose --scaling percentile"
        )
    odd += _offset_unsaid(raster, scale, blocks)
    # Compared as texts, because NaN is not equal to NaN.
    nodatas = list(dict.fromkeys(f"{v:g}" for v in raster.nodatas if v is not None))
    alpha = [b for b, name in enumerate(raster.color_interp, start=1) if name == "alpha"]
    mask = [
        *(f"no-data value {value}" for value in nodatas),
        *(f"alpha in band {band}" for band in alpha),
    ]
    resolution = raster_resolution(raster)
    if resolution is None:
        odd.append("the size of a pixel is not known: give --factor if it is not the network's")
    lines = [
        f"size: {raster.shape[0]} x {raster.shape[1]} pixels, {raster.count} bands of "
        f"{raster.dtype} ({', '.join(raster.color_interp)})",
        f"read: {read}",
        f"scaling: {scale.text}",
        f"data: {100 * valid:.0f} % of the sampled pixels"
        + (f" ({', '.join(mask)})" if mask else ""),
        f"resolution: {resolution:.4g} m" if resolution is not None else "resolution: not known",
        f"georeference: {_place(raster)}",
    ]
    return [*lines, *(f"odd: {line}" for line in odd)]


def _offset_unsaid(raster: Raster, scale: ValueScale, blocks: Sequence[Block]) -> list[str]:
    """Warning that values may have Sentinel-2's offset, if the sensor is not known."""
    stored = np.concatenate([b.pixels[:, b.valid] for b in blocks], axis=1).astype(np.float64)
    resolution = raster_resolution(raster)
    sixteen = raster.dtype.kind in "ui" and raster.dtype.itemsize == 2
    if (
        not sixteen
        or (resolution is not None and resolution < _FINEST)
        or "minus 1000" in scale.text
        or not begins_at_offset(raster, stored)
    ):
        return []
    return [
        "values begin near 1000: of Sentinel-2 since processing baseline 04.00 that is 0, then "
        f"call its bands B02, B03, ... or choose --scaling 1000:{round(max(scale.high))}"
    ]


def _of_colours(raster: Raster) -> tuple[tuple[int, ...], str, str]:
    """Bands for a network of red, green and blue, that as text, and why there are none."""
    try:
        bands = default_bands(raster, 3, _COLOURS)
    except RasterError as error:
        usable = [b for b, name in enumerate(raster.color_interp, start=1) if name != "alpha"]
        return tuple(usable[:1]), "no bands for a network of colours", str(error)
    return bands, _read(bands, _COLOURS), ""


def _read(bands: Sequence[int], names: Sequence[str]) -> str:
    return f"bands {', '.join(map(str, bands))} as {', '.join(names)}"


def _place(raster: Raster) -> str:
    crs = raster.crs
    parts = []
    if raster.transform is None and raster.gcps is not None:
        points, crs = raster.gcps
        parts.append(f"{len(points)} ground control points")
    if raster.transform is None and raster.rpcs is not None:
        parts.append("a sensor's rational polynomial coefficients, which are kept and not applied")
    if crs is not None:
        code = crs.to_epsg()
        parts.insert(0, f"EPSG:{code}" if code else "a CRS without a code")
    if len(parts) == 1 and crs is not None and raster.transform is None:
        parts.append("without a transform that says where its pixels lie")
    if crs is None and raster.transform is not None:
        return "coordinates without a CRS"
    return ", ".join(parts) or "none"
