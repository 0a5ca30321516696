"""Paints trees: crowns as a height map of irregular domes, lit from the side, with shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_disca.scenes.canvas import Canvas
from napari_disca.scenes.noise import Floats
from napari_disca.scenes.objects import Tree
from napari_disca.scenes.regions import VEGETATION

#: Steps of a crown's height and of its shade, packed into one number so that the highest wins.
_HEIGHTS, _SHADES = 4096, 32


def _splat(
    canvas: Canvas,
    centres: NDArray[np.complex128],
    radii: NDArray[np.float64],
    scales: NDArray[np.float64],
    shades: NDArray[np.int64],
    palm: bool,
) -> NDArray[np.int32]:
    """Return a map of packed height and shade with domes in it."""
    height, width = canvas.shape
    packed = np.zeros(height * width + 1, dtype=np.int32)
    rows = (centres.imag - canvas.ys[0]) / canvas.pixel
    cols = (centres.real - canvas.xs[0]) / canvas.pixel
    spans = np.ceil(radii / canvas.pixel).astype(np.int64)
    for span in np.unique(spans):
        group = spans == span
        offsets = np.arange(-span, span + 1)
        first_row = np.rint(rows[group]).astype(np.int64)[:, None] + offsets
        first_col = np.rint(cols[group]).astype(np.int64)[:, None] + offsets
        dy = ((first_row - rows[group][:, None]) * canvas.pixel).astype(np.float32)[:, :, None]
        dx = ((first_col - cols[group][:, None]) * canvas.pixel).astype(np.float32)[:, None, :]
        reach = radii[group].astype(np.float32)[:, None, None]
        squared = (dy * dy + dx * dx) / (reach * reach)
        if palm:  # fronds
            turn = (shades[group] * 0.7).astype(np.float32)[:, None, None]
            squared = squared / (0.62 + 0.38 * np.cos(7 * np.arctan2(dy, dx) + turn)) ** 2
        dome = np.clip(1 - squared, 0, 1)
        value = (np.sqrt(dome) * scales[group].astype(np.float32)[:, None, None]).astype(np.int32)
        value = value * _SHADES + np.where(value > 0, shades[group][:, None, None], 0).astype(
            np.int32
        )
        inside = ((first_row >= 0) & (first_row < height))[:, :, None] & (
            (first_col >= 0) & (first_col < width)
        )[:, None, :]
        index = np.where(
            inside, first_row[:, :, None] * width + first_col[:, None, :], height * width
        )
        np.maximum.at(packed, index.ravel(), value.ravel())
    return packed[:-1].reshape(height, width)


class Crowns:
    """All trees within a canvas."""

    def __init__(self, canvas: Canvas, trees: list[Tree]) -> None:
        self._canvas = canvas
        centres = np.array([tree.centre for tree in trees], dtype=np.complex128)
        radii = np.array([tree.radius for tree in trees])
        tall = np.array([tree.height for tree in trees])
        shades = np.array([tree.shade for tree in trees])
        palms = np.array([tree.kind == "palm" for tree in trees], dtype=np.bool_)
        left, right = canvas.xs[0], canvas.xs[-1]
        top, bottom = canvas.ys[0], canvas.ys[-1]
        room = 4.0 + tall * abs(canvas.region.light.shadow) + radii
        near = (
            (centres.real > left - room)
            & (centres.real < right + room)
            & (centres.imag > top - room)
            & (centres.imag < bottom + room)
        )
        self._groups = [
            (centres[chosen], radii[chosen], tall[chosen], shades[chosen], palm)
            for palm in (False, True)
            if (chosen := near & (palms == palm)).any()
        ]

    def throw_shadows(self) -> None:
        """Add the shadows of crowns to those of the canvas."""
        canvas = self._canvas
        fuzz = canvas.fields[2] * np.float32(0.12) + canvas.fields[0.5] * np.float32(0.06)
        for centres, radii, tall, shades, palm in self._groups:
            for share in (0.5, 0.8):
                fallen = centres + canvas.region.light.shadow * tall * share
                ones = np.full(len(radii), float(_HEIGHTS))
                number = (shades * 12).astype(np.int64) % _SHADES
                packed = _splat(canvas, fallen, radii, ones, number, palm)
                dome = (packed // _SHADES).astype(np.float32) * np.float32(1 / _HEIGHTS)
                dark = np.clip((dome + fuzz * (dome > 0) - np.float32(0.22)) * 4, 0, 0.92)
                np.maximum(canvas.shadow, dark, out=canvas.shadow)

    def paint(self) -> None:
        """Paint the crowns over everything else."""
        canvas = self._canvas
        whole = (slice(None), slice(None))
        for centres, radii, tall, shades, palm in self._groups:
            scale = _HEIGHTS / 24.0
            number = np.clip(shades % 1.0 * _SHADES, 0, _SHADES - 1).astype(np.int64)
            packed = _splat(canvas, centres, radii, np.minimum(tall, 24.0) * scale, number, palm)
            if not packed.any():
                continue
            dome = (packed // _SHADES).astype(np.float32) * np.float32(1 / scale)
            lumps = canvas.fields[2] * np.float32(0.28) + canvas.fields[0.5] * np.float32(0.22)
            relief = dome + lumps * np.sqrt(dome)
            alpha = np.clip((relief - np.float32(0.8)) * np.float32(1.4), 0, 1)
            light = self._hillshade(relief) * np.clip(0.62 + relief * np.float32(0.09), 0.5, 1.05)
            table = _shade_table(canvas)
            which = packed % _SHADES
            canvas.blend(whole, [light * table[band].take(which) for band in range(3)], alpha)
            canvas.mark(whole, alpha > 0.5, VEGETATION)

    def _hillshade(self, relief: Floats) -> Floats:
        """Return the light on the crowns, from the slope of the relief towards the sun."""
        canvas = self._canvas
        pixel = np.float32(canvas.pixel)
        down: Floats = np.gradient(relief, pixel, axis=0)
        across: Floats = np.gradient(relief, pixel, axis=1)
        sun = canvas.region.light.shadow
        climb = across * np.float32(sun.real) + down * np.float32(sun.imag)
        lit: Floats = np.clip(np.float32(0.98) + climb * np.float32(0.16), 0.42, 1.5)
        return lit


def _shade_table(canvas: Canvas) -> Floats:
    """Return the colour of every shade, between the colours of the region's crowns."""
    crowns = np.array(canvas.region.crowns, dtype=np.float32)
    places = np.linspace(0, len(crowns) - 1, _SHADES)
    low = np.minimum(places.astype(np.int64), len(crowns) - 2)
    share = (places - low).astype(np.float32)[:, None]
    table: Floats = (crowns[low] * (1 - share) + crowns[low + 1] * share).T.copy()
    return table
