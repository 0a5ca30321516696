"""Label maps that export formats write; they are read window by window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.events import Event, Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.storage.label_pyramid import NO_DATA

#: Rows that `in_memory` reads at a time.
_ROWS = 512


class Labels(Protocol):
    """A label map read window by window, for instance a `LabelPyramid`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids of a window.

        Returns
        -------
        (h, w) array of uint8
            255 where there is no data.
        """


@runtime_checkable
class ChangingLabels(Labels, Protocol):
    """A label map that may be painted while it is written, for instance a `LabelPyramid`."""

    def snapshot(self) -> Labels:
        """Return the map as it is now; later painting does not change what it reads."""


@runtime_checkable
class GrowingLabels(Labels, Protocol):
    """A label map that is computed from top to bottom while it is written."""

    def grow(self, bottom: int) -> Iterator[Event]:
        """Compute the rows above row `bottom`, which are read next; yield events of a job."""


def merged(labels: Labels, values: NDArray[np.uint8]) -> Labels:
    """Return a label map whose values are replaced, so that classes are merged.

    Parameters
    ----------
    labels : Labels
        The map as it is now; later painting is not read.
    values : (256,) array of uint8
        The new value for each value, for instance `Document.merged_values`.
    """
    if np.array_equal(values, np.arange(256)):
        return labels
    if isinstance(labels, GrowingLabels):
        return _GrowingMerged(labels, values)
    return _Merged(labels.snapshot() if isinstance(labels, ChangingLabels) else labels, values)


class _Merged:
    """A label map whose values are replaced."""

    def __init__(self, labels: Labels, values: NDArray[np.uint8]) -> None:
        self._labels, self._values = labels, values
        self.shape = labels.shape

    def read(self, window: Window) -> NDArray[np.uint8]:
        """See `Labels`."""
        return self._values[self._labels.read(window)]


class _GrowingMerged(_Merged):
    """A `_Merged` map that is computed while it is written."""

    def __init__(self, labels: GrowingLabels, values: NDArray[np.uint8]) -> None:
        super().__init__(labels, values)
        self._growing = labels

    def grow(self, bottom: int) -> Iterator[Event]:
        """See `GrowingLabels`."""
        return self._growing.grow(bottom)


def in_memory(labels: Labels) -> Job[NDArray[np.uint8]]:
    """Return a job that reads a whole map, for formats that cannot be written window by window.

    Parameters
    ----------
    labels : Labels
        `GrowingLabels` are computed on the way.

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
