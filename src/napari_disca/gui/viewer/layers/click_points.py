"""Positions and classes of clicks in a Points layer; a part of `ClickLayers`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from napari.layers import Points
from numpy.typing import NDArray

#: Column of the layer's features that holds the class.
CLASS = "class"


def features_of(labels: Iterable[int], names: list[str]) -> pd.DataFrame:
    """Return the table of features of clicks with some classes."""
    values = [names[label] for label in labels]
    return pd.DataFrame({CLASS: pd.Categorical(values, categories=names)})


def labels_of(layer: Points, names: list[str]) -> NDArray[np.int16] | None:
    """Return the class of every row, -1 for none; None without a column of classes."""
    features = layer.features
    if CLASS not in features or len(features) != len(layer.data):
        return None
    codes = _codes(layer, names)
    if codes is not None:
        return codes
    found = pd.Index(names).get_indexer(features[CLASS].astype(object))
    return np.asarray(found, dtype=np.int16)


def _codes(layer: Points, names: list[str]) -> NDArray[np.int16] | None:
    """Return the class of every row, fast, of a table of `features_of`; None of another."""
    column = layer.features[CLASS].array
    if isinstance(column, pd.Categorical) and list(column.categories) == names:
        return np.asarray(column.codes, dtype=np.int16)
    return None


def has_labels(layer: Points, labels: NDArray[np.int16], names: list[str]) -> bool:
    """Whether the features of a layer are those that `features_of` returns."""
    if list(layer.features.columns) != [CLASS]:
        return False
    codes = _codes(layer, names)
    return codes is not None and np.array_equal(codes, labels)


def is_prefix(some: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    """Whether an array begins with another."""
    return len(some) <= len(other) and np.array_equal(some, other[: len(some)])


def put_positions(layer: Points, positions: NDArray[np.float64]) -> None:
    """Move the points of a layer; only another number of points is set as new data."""
    if np.array_equal(layer.data, positions):
        return
    if layer.data.shape == positions.shape and layer.data.flags.writeable:
        layer.data[:] = positions
        layer.refresh()
    else:
        layer.data = positions.copy()
