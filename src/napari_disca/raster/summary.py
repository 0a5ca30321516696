"""Which bands of an image a network reads."""

from __future__ import annotations

from collections.abc import Sequence

from napari_disca.core.errors import RasterError
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
    known = {name for name in raster.color_interp if name not in ("gray", "undefined", "alpha")}
    colours = [name for name in names[:wanted] if name in ("red", "green", "blue", "nir")]
    if len(set(names)) == wanted and colours and all(name in lookup for name in colours):
        others = [b for b in usable if b not in {lookup[name] for name in colours}]
        fill = iter(others)
        return tuple(lookup[name] if name in colours else next(fill) for name in names)
    missing = [name for name in colours if name not in lookup]
    if missing and known and len(set(names)) == wanted:
        raise RasterError(
            f"{raster.name} has bands {', '.join(raster.color_interp)}, but the network reads "
            f"{', '.join(names)}: there is no {' and no '.join(missing)}; choose the bands, or "
            "another network"
        )
    if len(usable) > max(4, wanted) and not known:
        raise RasterError(
            f"{raster.name} has {len(usable)} planes and does not say what they are: a stack of "
            f"pictures, or bands? The network reads {', '.join(names) or wanted}; choose the bands "
            "(one of them is read as gray)"
        )
    return tuple(usable[:wanted])
