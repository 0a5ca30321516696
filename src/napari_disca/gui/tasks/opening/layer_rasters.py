"""Finds the raster of an image layer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from napari_disca.core.errors import RasterError
from napari_disca.gui.toolkit.formats import RASTER_SUFFIXES
from napari_disca.gui.toolkit.frames import raster_of_frames

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks.proposal import Proposal
    from napari_disca.raster import Raster
    from napari_disca.session.session import Session

#: Endings of files that `open_raster` reads to the same pixels as napari's own readers.
_FILES = (*RASTER_SUFFIXES, ".jpg", ".jpeg", ".png")


def path_of(layer: Image) -> str | None:
    """Return the file of an image layer; None if it is not known."""
    path = layer.metadata.get("napari_disca", {}).get("path") or layer.source.path
    return str(path) if path else None


def raster_of(layer: Image, frame: tuple[int, ...] = ()) -> Raster:
    """Return the raster of an image layer: of its file where it has one, else of its array.

    Parameters
    ----------
    layer : Image
    frame : tuple of int
        The frame that a layer with a slider shows; see `frames.shown_frame`.

    Raises
    ------
    RasterError
        If neither can be read as an image.
    """
    from napari_disca.raster import open_raster

    if layer.ndim > 2:
        return raster_of_frames(layer, frame)
    data = layer.data[0] if layer.multiscale else layer.data
    about = layer.metadata.get("napari_disca", {})
    path = path_of(layer)
    if path and Path(path).suffix.lower() in _FILES:
        try:
            raster = open_raster(path)
        except RasterError:
            if "path" in about:
                raise
        else:
            # A layer may show one page of its file, or an array computed from it.
            if raster.shape == tuple(data.shape[:2]):
                return raster
            raster.close()
    return open_raster(data)


def stack_of(layers: Sequence[Image]) -> Raster:
    """Return one raster of several layers with one band each.

    Raises
    ------
    RasterError
        If they do not lie on one grid; the layer is named.
    """
    from napari_disca.raster.stack import BandStack

    first = layers[0]
    for layer in layers:
        if not np.allclose(_grid(layer), _grid(first)):
            raise RasterError(
                f"{layer.name!r} is shown elsewhere than {first.name!r}; bands of one image lie "
                "on one grid"
            )
    rasters: list[Raster] = []
    try:
        rasters.extend(map(raster_of, layers))
        return BandStack(rasters, [layer.name for layer in layers])
    except BaseException:
        for raster in rasters:
            raster.close()
        raise


def _grid(layer: Image) -> NDArray[np.float64]:
    corners = np.array([(0, 0), (1, 0), (0, 1)])
    return np.array([layer.data_to_world(corner) for corner in corners])


def examine_layer(
    layer: Image, frame: tuple[int, ...] = (), parts: Sequence[Image] = ()
) -> tuple[Raster, Proposal, list[str]]:
    """Return the raster of a layer, the network proposed for it, and how it is read, in lines.

    Raises
    ------
    RasterError
        If the layer cannot be read as an image.
    CardError
        If a bundled network is damaged.
    """
    from napari_disca.networks.proposal import bundled_sizes, propose_network
    from napari_disca.raster.report import reading_lines
    from napari_disca.raster.resolution import raster_resolution

    raster = stack_of(parts) if parts else raster_of(layer, frame)
    try:
        proposal = propose_network(raster_resolution(raster), bundled_sizes())
        try:
            lines = reading_lines(raster)
        except RasterError as error:
            lines = [str(error)]
    except BaseException:
        raster.close()
        raise
    return raster, proposal, lines


def lines_of_view(view: NetworkView) -> list[str]:
    """Return how the chosen network reads an image, in lines for the user.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    from napari_disca.raster.report import Chosen, reading_lines

    return reading_lines(view.raster, Chosen(view.bands, view.card.bands, view.scale))


def class_names(session: Session) -> tuple[str, ...]:
    """Return the names of the classes of a session's network, in their order."""
    return tuple(c.name for c in session.network.card.classes)
