"""Selects the lines of an overlay for a view: those in view, no finer than the screen."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_disca.exports.vectors.geometry import Place, clipped, contains

if TYPE_CHECKING:
    from napari_disca.exports.vectors.vector_layer import VectorLayer

#: Most lines shown at once: more stall the window, and are not distinct.
_MOST = 20_000
#: Number of lines up to which no coarser level is made.
_FEW = 4_000
#: Passes in which corners are removed for a level.
_PASSES = 12
#: Corners of the sign of a point, in pixels of the screen from it.
_SIGN = 4.0 * np.array([(-1, 0), (0, 1), (1, 0), (0, -1), (-1, 0)])
#: Most characters, and most attributes, in the line about a feature.
_LONGEST, _COLUMNS = 90, 4


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """All lines, simplified for a screen pixel of `size` image pixels."""

    size: float
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]


class OverlayLines:
    """Lines and points of a layer of vectors, prepared for drawing and pointing.

    To be made on a thread, since this takes long. Positions are napari's, in which an integer is
    the centre of a pixel.

    Parameters
    ----------
    layer : VectorLayer
    shape : (int, int)
        Height and width of the image in pixels; nothing is drawn outside it.
    """

    def __init__(self, layer: VectorLayer, shape: tuple[int, int]) -> None:
        from napari_disca.exports.vectors.vector_layer import POINT, RING

        self.layer, self._shape = layer, shape
        part = layer.part_of()
        places = layer.places - 0.5
        is_point = layer.kinds[part] == POINT
        self._points = places[is_point & np.isfinite(places).all(axis=1)]
        first = layer.segments()
        on, _, _ = clipped(places[first], places[first + 1], *self._limits())
        self._levels = _levels(places, first[on])
        # For pointing: the sides, their features, and the boxes of the features.
        self._starts, self._ends = places[first], places[first + 1]
        owner = layer.owners[part]
        self._owners = owner[first]
        self._is_ring = layer.kinds[part[first]] >= RING
        self._order = np.searchsorted(self._owners, np.arange(len(layer) + 1))
        self._point_owners = owner[is_point & np.isfinite(places).all(axis=1)]
        self._low, self._high = _boxes(places, owner, len(layer))

    def in_view(self, low: Place, high: Place, pixel: float) -> tuple[NDArray[np.float64], bool]:
        """Return the lines to draw in a view.

        Parameters
        ----------
        low, high : pairs of float
            First and last row and column in view.
        pixel : float
            Image pixels per screen pixel.

        Returns
        -------
        array of shape (n, 2, 2)
            Start of each line and the vector to its end, as in a napari Vectors layer.
        bool
            Whether these are all lines in view; some are left out where there are too many.
        """
        first, last = self._limits()
        low, high = np.maximum(low, first), np.minimum(high, last)
        fine = max(k for k, level in enumerate(self._levels) if level.size <= max(pixel, 0.0))
        for level in self._levels[fine:]:
            inside, starts, ends = clipped(level.starts, level.ends, low, high)
            if inside.sum() <= _MOST:
                break
        starts, ends = starts[inside], ends[inside]
        every = -(-len(starts) // _MOST)
        whole = every <= 1
        if not whole:
            starts, ends = starts[::every], ends[::every]
        signs, all_points = self._signs(low, high, pixel)
        lines = np.stack([starts, ends - starts], axis=1)
        return np.concatenate([lines, signs]), whole and all_points

    def at(self, row: float, col: float, reach: float) -> int | None:
        """Return the feature at a place: the nearest line or point, else the smallest area.

        Parameters
        ----------
        row, col : float
        reach : float
            Largest distance of a line or point, in pixels of the image.
        """
        place = np.array((row, col))
        near = ((self._low - reach <= place) & (place <= self._high + reach)).all(axis=1)
        candidates = np.flatnonzero(near)
        if not len(candidates):
            return None
        best, feature = reach, None
        for number in candidates.tolist():
            away = self._distance(number, place)
            if away <= best:
                best, feature = away, number
        if feature is not None:
            return feature
        size = (self._high - self._low).prod(axis=1)
        for number in sorted(candidates.tolist(), key=lambda n: float(size[n])):
            if self._goes_around(number, place):
                return int(number)
        return None

    def describe(self, feature: int) -> str:
        """Return the attributes of a feature in one short line, its name first."""
        attributes = self.layer.attributes(feature)
        names = sorted(attributes, key=lambda key: str(key).lower() != "name")
        words = ", ".join(f"{key} {_word(attributes[key])}" for key in names[:_COLUMNS])
        return words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"

    def _limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the first and last corner of the image."""
        return np.array((-0.5, -0.5)), np.array(self._shape) - 0.5

    def _signs(self, low: Place, high: Place, pixel: float) -> tuple[NDArray[np.float64], bool]:
        """Return the lines of the signs of points in view, and whether these are all."""
        points = self._points
        points = points[((points >= low) & (points <= high)).all(axis=1)]
        if len(points) > _FEW:
            cells = np.floor(points / (4 * pixel)).astype(np.int64)
            _, first = np.unique(cells, axis=0, return_index=True)
            points = points[first]
        every = max(1, -(-4 * len(points) // _MOST))
        corners = points[::every, None] + pixel * _SIGN
        sides = np.stack([corners[:, :-1], np.diff(corners, axis=1)], axis=2)
        return sides.reshape(-1, 2, 2), every == 1

    def _sides(self, feature: int) -> slice:
        return slice(self._order[feature], self._order[feature + 1])

    def _distance(self, feature: int, place: NDArray[np.float64]) -> float:
        sides = self._sides(feature)
        found = [np.inf]
        starts, ends = self._starts[sides], self._ends[sides]
        if len(starts):
            away = _from_line(place[None], starts, ends)
            found.append(float(np.nanmin(away, initial=np.inf)))
        points = self._points[self._point_owners == feature]
        if len(points):
            found.append(float(np.linalg.norm(points - place, axis=1).min()))
        return min(found)

    def _goes_around(self, feature: int, place: NDArray[np.float64]) -> bool:
        sides = self._sides(feature)
        rings = self._is_ring[sides]
        starts, ends = self._starts[sides][rings], self._ends[sides][rings]
        return bool(contains(starts, ends, np.zeros(len(starts), np.int64), 1, place)[0])


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _levels(places: NDArray[np.float64], first: NDArray[np.int64]) -> list[_Level]:
    """Return the levels of lines from the finest to the coarsest.

    Parameters
    ----------
    places : array of shape (n, 2)
    first : array of int
        Indices of places with a line to the next place.
    """
    levels = [_Level(0.0, places[first], places[first + 1])]
    if len(first) <= _FEW:
        return levels
    # Corners in the order of the lines, and the run of lines that each belongs to.
    begins = np.diff(first, prepend=-2) != 1
    last = np.append(np.flatnonzero(begins)[1:] - 1, len(first) - 1)
    numbers = np.sort(np.concatenate([first, first[last] + 1]))
    corners, run = places[numbers], np.searchsorted(first[begins], numbers, side="right")
    size = 1.0
    while len(levels[-1].starts) > _FEW and size < 1 << 20:
        corners, run = _simplified(corners, run, size / 2)
        level = _level(corners, run, size)
        if len(level.starts) < 0.8 * len(levels[-1].starts):
            levels.append(level)
        size *= 2
    return levels


def _simplified(
    corners: NDArray[np.float64], run: NDArray[np.int64], away: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return lines without corners that lie nearly between their neighbours; ends stay."""
    for _ in range(_PASSES):
        before, here, after = corners[:-2], corners[1:-1], corners[2:]
        near = np.zeros(len(corners), bool)
        inner = (run[:-2] == run[1:-1]) & (run[1:-1] == run[2:])
        near[1:-1] = inner & (_from_line(here, before, after) < away)
        # Only every second neighbour is removed, so that each is judged by corners that stay.
        number = np.arange(len(near))
        since = number - np.maximum.accumulate(np.where(near, -1, number))
        gone = near & (since % 2 == 1)
        if gone.sum() < 0.02 * len(corners):
            break
        corners, run = corners[~gone], run[~gone]
    return corners, run


def _from_line(
    place: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the distances of places from straight lines."""
    way = end - start
    length = (way**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(((place - start) * way).sum(axis=1) / length, 0, 1)
    nearest = start + np.where(length > 0, share, 0)[:, None] * way
    found: NDArray[np.float64] = np.linalg.norm(nearest - place, axis=1)
    return found


def _level(corners: NDArray[np.float64], run: NDArray[np.int64], size: float) -> _Level:
    """Return the lines between corners; lines within one cell become one dot."""
    joined = run[1:] == run[:-1]
    starts, ends = corners[:-1][joined], corners[1:][joined]
    short = (np.abs(ends - starts) < size).all(axis=1)
    dots = starts[short]
    _, one = np.unique(np.floor(dots / size).astype(np.int64), axis=0, return_index=True)
    dots = dots[one]
    starts, ends = starts[~short], ends[~short]
    right = dots + np.array((0.0, size))
    return _Level(size, np.concatenate([starts, dots]), np.concatenate([ends, right]))


def _boxes(
    places: NDArray[np.float64], owner: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least and greatest row and column of each feature."""
    low, high = np.full((count, 2), np.inf), np.full((count, 2), -np.inf)
    finite = np.isfinite(places).all(axis=1)
    np.minimum.at(low, owner[finite], places[finite])
    np.maximum.at(high, owner[finite], places[finite])
    return low, high
