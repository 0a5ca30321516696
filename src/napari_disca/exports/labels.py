"""What an export format gets to write: label maps that are read window by window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.storage.label_pyramid import NO_DATA

#: Rows that are read at a time.
_ROWS = 512


class Labels(Protocol):
    """A label map read window by window, for instance a `LabelPyramid`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window; 255 where there is no data."""


@runtime_checkable
class ChangingLabels(Labels, Protocol):
    """A label map that may be painted while it is written, for instance a `LabelPyramid`."""

    def snapshot(self) -> Labels:
        """The map as it is now, whatever is painted later."""


@runtime_checkable
class GrowingLabels(Labels, Protocol):
    """A label map that is made from top to bottom while it is written."""

    def grow(self, bottom: int) -> Iterator[Any]:
        """Make the rows above `bottom`, which are read next; yields events."""


def merged(labels: Labels, values: NDArray[np.uint8]) -> Labels:
    """A label map in which classes are one where a table of values says so.

    Parameters
    ----------
    labels : Labels
        As it is now, whatever is painted later.
    values : (256,) array of uint8
        What is read instead of each value, for instance `Document.merged_values`.
    """
    if np.array_equal(values, np.arange(256)):
        return labels
    if isinstance(labels, GrowingLabels):
        return _GrowingMerged(labels, values)
    return _Merged(labels.snapshot() if isinstance(labels, ChangingLabels) else labels, values)


class _Merged:
    """Labels read through a table of values."""

    def __init__(self, labels: Labels, values: NDArray[np.uint8]) -> None:
        self._labels, self._values = labels, values
        self.shape = labels.shape

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        return self._values[self._labels.read(window)]


class _GrowingMerged(_Merged):
    """The same, of labels that are made while they are read."""

    def __init__(self, labels: GrowingLabels, values: NDArray[np.uint8]) -> None:
        super().__init__(labels, values)
        self._growing = labels

    def grow(self, bottom: int) -> Iterator[Any]:
        """See `GrowingLabels`."""
        return self._growing.grow(bottom)


def in_memory(labels: Labels) -> Job[NDArray[np.uint8]]:
    """Job that reads a whole map, for a format that cannot be written piece by piece.

    Parameters
    ----------
    labels : Labels
        Also one that is made on the way.

    Yields
    ------
    Progress

    Returns
    -------
    (h, w) array of uint8
        Class ids, 255 where there is no data.
    """
    height, width = labels.shape
    pixels = np.full(labels.shape, NO_DATA, dtype=np.uint8)
    growing = labels if isinstance(labels, GrowingLabels) else None
    for top in range(0, height, _ROWS):
        strip = Window(top, 0, min(_ROWS, height - top), width)
        if growing is None:
            yield Progress("saving", top, height)
        else:
            yield from growing.grow(strip.bottom)
        pixels[strip.slices] = labels.read(strip)
    return pixels
