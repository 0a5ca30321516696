"""How a map's layer shows its classes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    # `networks` costs torch, which the reader should not pay for.
    from napari_disca.networks.card import LandClass

#: What networks call the class of all that they do not look for, and its opacity (hexadecimal).
_REST = frozenset(("other", "others", "background", "rest"))
_FAINT = "50"


def class_colormap(
    classes: Iterable[LandClass], alone: int | None = None, hidden: Collection[int] = ()
) -> DirectLabelColormap:
    """Colours of a map's layer, whose values are class id + 1; 0, nothing, is transparent.

    A class for all that is of no interest is fainter than the others: it covers most of the image.

    Parameters
    ----------
    classes : iterable of LandClass
    alone : int, optional
        The only class that is to be seen, also if it is hidden otherwise.
    hidden : collection of int
        Classes that are not to be seen.
    """
    colours: dict[int | None, str] = {
        i + 1: c.color if alone == i or c.name.casefold() not in _REST else f"{c.color}{_FAINT}"
        for i, c in enumerate(classes)
        if alone == i or (alone is None and i not in hidden)
    }
    return DirectLabelColormap(color_dict={0: "transparent", None: "transparent", **colours})


def class_features(classes: Iterable[LandClass]) -> pd.DataFrame:
    """Class names of a map's layer: napari shows them under the pointer."""
    names = ["", *(c.name for c in classes)]
    return pd.DataFrame({"index": range(len(names)), "class": names})
