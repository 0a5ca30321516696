"""The default bands of an image for a network."""

from __future__ import annotations

from collections.abc import Sequence

from napari_disca.core.errors import RasterError
from napari_disca.raster.base import Raster


def default_bands(raster: Raster, wanted: int, names: Sequence[str] = ()) -> tuple[int, ...]:
    """Return the bands of an image that a network reads if the user chooses none.

    Parameters
    ----------
    raster : Raster
    wanted : int
        How many.
    names : sequence of str
        The network's names of them. ``"red"``, ``"green"``, ``"blue"`` and ``"nir"`` are found
        by the names in the file. The others are taken, in the file's order, from the bands
        without a known name; alpha is left out.

    Raises
    ------
    RasterError
        If the image has too few bands, lacks a colour, or does not tell what its bands are.
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
    named = {name for name in raster.color_interp if name not in ("gray", "undefined", "alpha")}
    colours = [name for name in names[:wanted] if name in ("red", "green", "blue", "nir")]
    if len(set(names)) == wanted and colours and named:
        # An unnamed band may be the missing one, for instance near infrared after red, green, blue.
        found = {name: lookup[name] for name in colours if name in lookup}
        if "nir" in colours and "nir" not in found and "nir narrow" in lookup:
            found["nir"] = lookup["nir narrow"]  # Sentinel-2's B8A
        others = [b for b in usable if b not in found.values()]
        silent = [b for b in others if raster.color_interp[b - 1] in ("gray", "undefined")]
        missing = [name for name in colours if name not in found]
        guessed = len(silent) > len(missing) and {*missing} & {"red", "green", "blue"}
        if len(missing) > len(silent) or guessed:
            raise RasterError(
                f"{raster.name} has bands {', '.join(raster.color_interp)}, but the network reads "
                f"{', '.join(names)}: there is no {' and no '.join(missing)}; choose the bands, "
                "or another network"
            )
        found |= dict(zip(missing, silent, strict=False))
        rest = iter(b for b in others if b not in found.values())
        return tuple(found[name] if name in found else next(rest) for name in names)
    if len(usable) > max(4, wanted) and not named:
        raise RasterError(
            f"{raster.name} has {len(usable)} planes and does not say what they are: a stack of "
            f"pictures, or bands? The network reads {', '.join(names) or wanted}; choose the bands "
            "(one of them is read as gray)"
        )
    return tuple(usable[:wanted])
