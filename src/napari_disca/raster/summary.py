"""What stands for a whole image: its bands and a sample of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import Raster


def default_bands(raster: Raster, wanted: int, names: Sequence[str] = ()) -> tuple[int, ...]:
    """Bands of an image that a network reads if the user chooses none.

    Parameters
    ----------
    raster : Raster
    wanted : int
        How many.
    names : sequence of str
        What the network calls them; ``"red"``, ``"green"`` and ``"blue"`` are found by the
        file's colour interpretation. Others are taken in the file's order, alpha left out.

    Raises
    ------
    RasterError
        If the image has too few bands.
    """
    usable = [b for b, name in enumerate(raster.color_interp, start=1) if name != "alpha"]
    if len(usable) == 1 and wanted == 3:
        return (usable[0],) * 3
    if len(usable) < wanted:
        which = f" ({', '.join(names)})" if names else ""
        raise RasterError(
            f"{raster.name} has {len(usable)} band{'s' * (len(usable) != 1)}, the network reads "
            f"{wanted}{which}; choose the bands, or another network"
        )
    lookup = {name: b for b, name in reversed(list(enumerate(raster.color_interp, start=1)))}
    colours = [name for name in names[:wanted] if name in ("red", "green", "blue", "nir")]
    if len(set(names)) == wanted and colours and all(name in lookup for name in colours):
        others = [b for b in usable if b not in {lookup[name] for name in colours}]
        fill = iter(others)
        return tuple(lookup[name] if name in colours else next(fill) for name in names)
    return tuple(usable[:wanted])


def sample(
    raster: Raster, max_side: int = 1024, bands: Sequence[int] | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Pixels that stand for the whole image, and where they have data, for statistics.

    An overview where that is cheap; of larger images an even lattice of small windows side by
    side, because an overview of a file without overviews decodes the whole file.

    Returns
    -------
    (bands, h, w) array, (h, w) array of bool
    """
    if raster.shape[0] * raster.shape[1] <= 16 << 20:
        return raster.overview(max_side, bands)
    windows = lattice(raster.shape, 8, 128)
    valid = np.concatenate([raster.valid(window).ravel() for window in windows])
    if valid.mean() < 0.01:
        return raster.overview(max_side, bands)
    pixels = [raster.read(w, bands).reshape(-1, w.size) for w in windows]
    return np.concatenate(pixels, axis=1)[:, None], valid[None]


def lattice(shape: tuple[int, int], count: int, side: int) -> list[Window]:
    """At most `count` x `count` small windows, evenly spread."""
    height, width = min(side, shape[0]), min(side, shape[1])
    tops = sorted({round(k * (shape[0] - height) / (count - 1)) for k in range(count)})
    lefts = sorted({round(k * (shape[1] - width) / (count - 1)) for k in range(count)})
    return [Window(top, left, height, width) for top in tops for left in lefts]
