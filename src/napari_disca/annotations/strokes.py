"""Shapes that a user draws on a map: paths of a brush, and outlines; the pixels they hold."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area
from napari_disca.annotations.pixel_sets import STRIP, PixelSet
from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window

#: The tool that a stroke was drawn with.
Tool: TypeAlias = Literal["brush", "polygon", "lasso", "patch"]
TOOLS: tuple[Tool, ...] = ("brush", "polygon", "lasso", "patch")

#: Smallest and largest radius of a brush in pixels of the image.
SMALLEST, LARGEST = 0.5, 1000.0
#: Most vertices of a path: more than the mouse reports in one stroke.
_MOST_VERTICES = 50_000


@dataclass(frozen=True, slots=True)
class BrushPath:
    """The path of a round brush.

    It holds the pixels whose centres are no farther from the path than the radius.

    Attributes
    ----------
    path : tuple of (float, float)
        Vertices as row and column; pixel ``(0, 0)`` reaches from 0 to 1, so its centre is at 0.5.
    radius : float
        In pixels.

    Raises
    ------
    AreaError
        If the path has no vertex or too many, or a number is not finite or out of range.
    """

    path: tuple[tuple[float, float], ...]
    radius: float

    def __post_init__(self) -> None:
        if not self.path or len(self.path) > _MOST_VERTICES:
            raise AreaError(
                f"a brush stroke has 1 to {_MOST_VERTICES} vertices, not {len(self.path)}; "
                "draw it again"
            )
        values = [*(value for place in self.path for value in place), self.radius]
        if not all(math.isfinite(value) and abs(value) < 2**31 for value in values):
            raise AreaError("a vertex of the brush stroke is not a finite number; draw it again")
        if not SMALLEST <= self.radius <= LARGEST:
            raise AreaError(
                f"a brush has a radius of {SMALLEST} to {LARGEST:.0f} pixels, not {self.radius:g}"
            )
        # Rounded as the journal writes it, so that a journal gives the very same path back.
        path = [(round(row, 2), round(col, 2)) for row, col in self.path]
        distinct = [
            path[0],
            *(here for here, last in zip(path[1:], path, strict=False) if here != last),
        ]
        object.__setattr__(self, "path", tuple(distinct))
        object.__setattr__(self, "radius", round(self.radius, 2))

    def pixels(self, shape: tuple[int, int]) -> PixelSet:
        """Return the pixels of an image of this shape that the path holds.

        Raises
        ------
        AreaError
            If it holds none.
        """
        return PixelSet.from_masks(self._strips(shape))

    def _strips(self, shape: tuple[int, int]) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
        places = np.array(self.path)
        first, last = places, places
        if len(places) > 1:
            first, last = places[:-1], places[1:]
        low = np.floor(np.minimum(first, last) - self.radius).astype(np.int64)
        high = np.ceil(np.maximum(first, last) + self.radius).astype(np.int64)
        whole = Window.whole(shape)
        box = whole & Window.from_bounds(*map(int, (*low.min(axis=0), *high.max(axis=0))))
        for top in range(box.top, box.bottom, STRIP):
            bottom = min(top + STRIP, box.bottom)
            near = np.flatnonzero((low[:, 0] < bottom) & (high[:, 0] > top))
            if not len(near):
                continue
            left, right = int(low[near, 1].min()), int(high[near, 1].max())
            strip = whole & Window.from_bounds(top, left, bottom, right)
            if not strip:
                continue
            mask = np.zeros(strip.shape, dtype=np.bool_)
            for i in near:
                ends = (*low[i].tolist(), *high[i].tolist())
                part = strip & Window.from_bounds(*ends)
                if part:
                    here = _near_segment(first[i], last[i], self.radius, part)
                    mask[part.relative_to(strip).slices] |= here
            yield strip, mask


#: A shape that a user has drawn, as the journal keeps it.
DrawnShape: TypeAlias = BrushPath | Area


def drawn_pixels(drawn: DrawnShape, shape: tuple[int, int]) -> PixelSet:
    """Return the pixels of an image that a path or an outline holds.

    Raises
    ------
    AreaError
        If there are none.
    """
    if isinstance(drawn, BrushPath):
        return drawn.pixels(shape)
    box = drawn.window & Window.whole(shape)
    strips = [
        Window.from_bounds(top, box.left, min(top + STRIP, box.bottom), box.right)
        for top in range(box.top, box.bottom, STRIP)
    ]
    return PixelSet.from_masks((strip, drawn.mask(strip)) for strip in strips)


def _near_segment(
    start: NDArray[np.float64], end: NDArray[np.float64], radius: float, window: Window
) -> NDArray[np.bool_]:
    """Which pixels of a window have centres no farther from a line segment than a radius."""
    rows = np.arange(window.top, window.bottom)[:, None] + 0.5 - start[0]
    cols = np.arange(window.left, window.right)[None, :] + 0.5 - start[1]
    along = end - start
    length = float(along @ along)
    if length:
        share = np.clip((rows * along[0] + cols * along[1]) / length, 0.0, 1.0)
        rows, cols = rows - share * along[0], cols - share * along[1]
    near: NDArray[np.bool_] = rows * rows + cols * cols <= radius * radius
    return near
