"""Frames of image layers with sliders, which have more axes than rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image

from napari_disca.core.errors import RasterError
from napari_disca.networks.card import Card
from napari_disca.raster import ArrayRaster, Raster

if TYPE_CHECKING:
    from napari.components import Dims

#: So many planes are bands, as in every picture file; others are frames.
_BANDS = (3, 4)


def shown_frame(layer: Image, dims: Dims) -> tuple[int, ...]:
    """Index of the frame that is shown, along all axes before rows and columns.

    Parameters
    ----------
    layer : Image
    dims : napari.components.Dims
        Of the viewer.

    Raises
    ------
    RasterError
        If other axes than the last two are shown as rows and columns.
    """
    extra = layer.ndim - 2
    if extra <= 0:
        return ()
    if tuple(dims.displayed[-2:]) != (dims.ndim - 2, dims.ndim - 1):
        raise RasterError(
            f"{layer.name!r} is shown along other axes than its last two, rows and columns; "
            "put the axes back (napari's button 'Change order of the visible axes')"
        )
    at = layer.world_to_data(dims.point[-layer.ndim :])
    sides = _shape(layer)
    return tuple(min(max(round(float(at[k])), 0), sides[k] - 1) for k in range(extra))


def frame_of_raster(layer: Image, frame: tuple[int, ...]) -> tuple[int, ...]:
    """Return the part of a frame's index that selects a raster; empty where planes are bands."""
    return () if _is_planes(layer) else frame


def raster_of_frames(layer: Image, frame: tuple[int, ...]) -> ArrayRaster:
    """Raster of a layer with a slider: its planes as bands, or the frame that is shown.

    Parameters
    ----------
    layer : Image
        With more than two axes, colours not counted.
    frame : tuple of int
        See `shown_frame`.

    Raises
    ------
    RasterError
        If its bands are in the last axis, which is shown as columns, or it is no image.
    """
    data, shape = layer.data[0] if layer.multiscale else layer.data, _shape(layer)
    if not _is_planes(layer):
        raster = ArrayRaster(
            data[frame], bands_axis="last" if layer.rgb else "auto", name=layer.name
        )
        numbers = " and ".join(
            f"{k + 1} of {side}" for k, side in zip(frame, shape[: len(frame)], strict=True)
        )
        raster.notes += (f"frame {numbers} is read, the one that is shown",)
        return raster
    planes, height, width = shape
    if width <= max(_BANDS) < min(planes, height):
        raise RasterError(
            f"{layer.name!r} has its {width} bands in the last axis, which is shown as columns; "
            "add it with its bands in the first axis, or with rgb=True"
        )
    raster = ArrayRaster(data, bands_axis="first", name=layer.name)
    if planes in _BANDS:
        raster.notes += (f"its {planes} planes are read as bands",)
    elif planes > 1:
        raster.notes += (f"of its {planes} planes the one that is shown, unless bands are chosen",)
    return raster


def bands_of_frame(
    layer: Image, raster: Raster, card: Card, frame: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Bands to read of a stack by default: the plane that is shown, for all bands.

    None where the number of planes says which bands to read.
    """
    wanted = len(card.bands)
    if not (_is_planes(layer) and frame) or raster.count in (1, wanted, *_BANDS):
        return None
    return (frame[0] + 1,) * wanted


def _is_planes(layer: Image) -> bool:
    return layer.ndim == 3 and not layer.rgb


def _shape(layer: Image) -> tuple[int, ...]:
    data = layer.data[0] if layer.multiscale else layer.data
    return tuple(int(side) for side in data.shape)
