"""Colours and class names of a map's layer."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import pandas as pd
from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    # Importing `networks` imports torch, which the reader does not need.
    from napari_disca.networks.card import LandClass

#: Names of the class for everything else, and its opacity as two hexadecimal digits.
_REST = frozenset(("other", "others", "background", "rest"))
_FAINT = "50"


def class_colormap(
    classes: Iterable[LandClass], alone: int | None = None, hidden: Collection[int] = ()
) -> DirectLabelColormap:
    """Return the colours of a map's layer, whose values are class id + 1; 0 is transparent.

    A class *other* or *background* is fainter than the others, since it covers most of the image.

    Parameters
    ----------
    classes : iterable of LandClass
    alone : int, optional
        The only class that is shown, also if it is in `hidden`.
    hidden : collection of int
        Classes that are transparent.
    """
    colours: dict[int | None, str] = {
        i + 1: c.color if alone == i or c.name.casefold() not in _REST else f"{c.color}{_FAINT}"
        for i, c in enumerate(classes)
        if alone == i or (alone is None and i not in hidden)
    }
    return DirectLabelColormap(color_dict={0: "transparent", None: "transparent", **colours})


def class_features(classes: Iterable[LandClass]) -> pd.DataFrame:
    """Return the class names of a map's layer, which napari shows under the pointer."""
    names = ["", *(c.name for c in classes)]
    return pd.DataFrame({"index": range(len(names)), "class": names})
