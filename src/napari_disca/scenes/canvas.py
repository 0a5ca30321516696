"""The canvas on which a block of the world is painted: pixels, labels and textures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.scenes.noise import Floats, Values, field
from napari_disca.scenes.plan import World
from napari_disca.scenes.regions import Colour

Slices: TypeAlias = tuple[slice, slice]


class Canvas:
    """Pixels and labels of a rectangle of the world.

    Parameters
    ----------
    world : World
    top, left : int
        First row and column, counted from the world's origin.
    shape : (int, int)
    pixel : float
        Metres per pixel.
    """

    def __init__(
        self, world: World, top: int, left: int, shape: tuple[int, int], pixel: float
    ) -> None:
        self.world = world
        self.region = world.region
        self.pixel = pixel
        self.shape = shape
        self.ys = (np.arange(shape[0], dtype=np.float64) + (top + 0.5)) * np.float64(pixel)
        self.xs = (np.arange(shape[1], dtype=np.float64) + (left + 0.5)) * np.float64(pixel)
        self.rgb = np.zeros((3, *shape), dtype=np.float32)
        self.labels = np.zeros(shape, dtype=np.uint8)
        self.shadow = np.zeros(shape, dtype=np.float32)
        self.plan_x, self.plan_y = world.to_plan(self.ys, self.xs)
        self.fields = {
            period: self.field(period, f"texture {period}") for period in (60, 20, 6, 2, 0.5)
        }

    def field(self, period: float, word: str) -> Floats:
        """Return a random field; blobs smaller than two pixels are drawn at two pixels."""
        return field(self.ys, self.xs, max(period, 2 * self.pixel), self.world.key(word))

    def patch(self, centre: complex, reach_x: float, reach_y: float) -> Slices | None:
        """Return the slices of pixels around a place; None if it is outside the canvas."""
        rows = self._span(self.ys, centre.imag, reach_y)
        cols = self._span(self.xs, centre.real, reach_x)
        return None if rows is None or cols is None else (rows, cols)

    def _span(self, axis: NDArray[np.float64], centre: float, reach: float) -> slice | None:
        start = max(0, int((centre - reach - axis[0]) / self.pixel) - 1)
        stop = min(len(axis), int((centre + reach - axis[0]) / self.pixel) + 3)
        return slice(start, stop) if start < stop else None

    def local(self, at: Slices, centre: complex, axis: complex) -> tuple[Floats, Floats]:
        """Return coordinates of a patch's pixels along and across `axis`, in metres."""
        x = (self.xs[at[1]] - centre.real).astype(np.float32)
        y = (self.ys[at[0]] - centre.imag).astype(np.float32)[:, None]
        ux, uy = np.float32(axis.real), np.float32(axis.imag)
        return x * ux + y * uy, y * ux - x * uy

    def cover(self, distance: Values) -> Floats:
        """Return the share of a pixel that is inside, from its signed distance to the edge."""
        covered: Floats = np.clip(distance / np.float32(self.pixel) + np.float32(0.5), 0, 1)
        return covered

    def line(self, distance: Values, half: float) -> Floats:
        """Return the share of a pixel that a line covers, from the distance to its middle."""
        share = np.float32(min(1.0, 2 * half / self.pixel))
        return self.cover(np.float32(max(half, self.pixel / 2)) - np.abs(distance)) * share

    def blend(self, at: Slices, colour: Colour | Sequence[Values], alpha: Values) -> None:
        """Blend a colour over a patch."""
        for band in range(3):
            target = self.rgb[band][at]
            target += alpha * (colour[band] - target)

    def mark(self, at: Slices, inside: NDArray[np.bool_], label: int) -> None:
        """Label the pixels of a patch that are inside."""
        self.labels[at][inside] = label
