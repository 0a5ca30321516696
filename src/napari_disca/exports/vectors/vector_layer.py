"""A layer of a vector file, in pixels of an image."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.exports.vectors.geometry import clipped, contains
from napari_disca.exports.vectors.overlay_process import HOLE, LINE, POINT, RING
from napari_disca.exports.vectors.placing import Source
from napari_disca.raster.georeference import Frame

__all__ = ["HOLE", "LINE", "POINT", "RING", "VectorLayer"]


@dataclass(frozen=True, slots=True, eq=False)
class VectorLayer:
    """Features of a layer of a file that lie on an image.

    Attributes
    ----------
    name : str
        The layer's name in the file.
    source : Source
        What its coordinates mean.
    total : int
        Number of features in the file's layer.
    cut : bool
        Whether some features on the image were left out because there are too many.
    places : (n, 2) array
        Row and column of every vertex, in pixels; whole numbers are pixel corners.
    starts : (parts + 1,) array
        Index in `places` at which each part begins.
    kinds : (parts,) array
        `POINT`, `LINE` or `RING`; or `HOLE`, which belongs to the `RING` before it.
    owners : (parts,) array
        Index of the feature that a part belongs to.
    texts : tuple of bytes
        Attributes of each feature, as an object in JSON.
    """

    name: str
    source: Source
    total: int
    cut: bool
    places: NDArray[np.float64]
    starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    owners: NDArray[np.int64]
    texts: tuple[bytes, ...]

    def __len__(self) -> int:
        """Return the number of features that lie on the image."""
        return len(self.texts)

    def attributes(self, feature: int) -> dict[str, Any]:
        """Return the attributes of a feature, by column name."""
        found = json.loads(self.texts[feature])
        return found if isinstance(found, dict) else {}

    def part_of(self) -> NDArray[np.int64]:
        """Return, for each of the `places`, the index of the part that it belongs to.

        Returns
        -------
        (n,) array
        """
        return np.repeat(np.arange(len(self.kinds)), np.diff(self.starts))

    def segments(self) -> NDArray[np.int64]:
        """Return the indices ``i`` for which a line runs from ``places[i]`` to ``places[i + 1]``.

        Returns
        -------
        (segments,) array
        """
        part = self.part_of()
        lines = (part[:-1] == part[1:]) & (self.kinds[part[:-1]] != POINT)
        return np.flatnonzero(lines)

    def on_image(self, frame: Frame) -> NDArray[np.bool_]:
        """Return, for each feature, whether it lies on the image or around all of it.

        Returns
        -------
        (features,) array of bool
        """
        part = self.part_of()
        owner = self.owners[part]
        found = np.zeros(len(self), bool)
        size = np.array(frame.shape, float)
        points = self.kinds[part] == POINT
        with np.errstate(invalid="ignore"):
            inside = ((self.places >= 0) & (self.places < size)).all(axis=1)
        found[owner[points & inside]] = True
        first = self.segments()
        starts, ends = self.places[first], self.places[first + 1]
        on, _, _ = clipped(starts, ends, (0.0, 0.0), frame.shape)
        # A segment of more than half a turn is one that crosses the date line, away from the image.
        with np.errstate(invalid="ignore"):
            on &= np.abs(starts - ends).max(axis=1, initial=0) < frame.turn / 2
        found[owner[first[on]]] = True
        rings = self.kinds[part[first]] >= RING
        middle = frame.shape[0] / 2, frame.shape[1] / 2
        around = contains(starts[rings], ends[rings], owner[first[rings]], len(self), middle)
        result: NDArray[np.bool_] = found | around
        return result

    def only(self, wanted: NDArray[np.bool_]) -> VectorLayer:
        """Return the layer with some of its features.

        Parameters
        ----------
        wanted : (features,) array of bool
        """
        parts = wanted[self.owners]
        lengths = np.diff(self.starts)
        number = np.cumsum(wanted) - 1
        return VectorLayer(
            self.name,
            self.source,
            self.total,
            self.cut,
            self.places[np.repeat(parts, lengths)],
            np.concatenate([[0], np.cumsum(lengths[parts])]).astype(np.int64),
            self.kinds[parts],
            number[self.owners[parts]],
            tuple(text for text, keep in zip(self.texts, wanted.tolist(), strict=True) if keep),
        )
