"""Renders the plan to pixels, one block at a time.

The world is rendered in fixed blocks, each a function of its position only, so that images are
equal bit for bit where their windows overlap.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.scenes.canvas import Canvas
from napari_disca.scenes.cells import contents
from napari_disca.scenes.crowns import Crowns
from napari_disca.scenes.ground import paint_pads, paint_roads, paint_water, paint_zones
from napari_disca.scenes.objects import Contents
from napari_disca.scenes.plan import World
from napari_disca.scenes.roofs import (
    paint_bodies,
    paint_cars,
    paint_parts,
    paint_walls,
    throw_shadows,
)

Picture: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]

#: Side of a block in pixels.
BLOCK = 512
#: Pixels rendered around a block for the sensor's blur and the trees' relief.
_MARGIN = 5
#: Largest distance of an object or its shadow from its cell, in metres.
_REACH = 40.0


@lru_cache(maxsize=64)
def block(world: World, pixel: float, row: int, col: int) -> Picture:
    """Return image (h, w, 3) and labels (h, w) of one block, read-only."""
    side = BLOCK + 2 * _MARGIN
    canvas = Canvas(world, row * BLOCK - _MARGIN, col * BLOCK - _MARGIN, (side, side), pixel)
    _paint(canvas)
    inner = slice(_MARGIN, -_MARGIN)
    image = _expose(canvas, world.rng(f"noise {pixel}", row, col))[inner, inner]
    labels = canvas.labels[inner, inner].copy()
    image = np.ascontiguousarray(image)
    image.setflags(write=False)
    labels.setflags(write=False)
    return image, labels


def _gather(canvas: Canvas) -> Contents:
    everything = Contents()
    bounds = (
        canvas.xs[0] - _REACH,
        canvas.ys[0] - _REACH,
        canvas.xs[-1] + _REACH,
        canvas.ys[-1] + _REACH,
    )
    for row, col in canvas.world.cells(*bounds):
        cell = contents(canvas.world, row, col)
        for one in fields(Contents):
            getattr(everything, one.name).extend(getattr(cell, one.name))
    return everything


def _paint(canvas: Canvas) -> None:
    things = _gather(canvas)
    crowns = Crowns(canvas, things.trees)
    paint_zones(canvas, things.zones)
    paint_water(canvas)
    paint_pads(canvas, things.pads)
    paint_roads(canvas, things.roads)
    paint_bodies(canvas, things.cars)
    throw_shadows(canvas, [part for part in things.parts if not part.base])
    throw_shadows(canvas, things.walls)
    paint_cars(canvas, things.cars)
    crowns.throw_shadows()
    light = canvas.region.light
    for band in range(3):
        canvas.rgb[band] *= 1 - canvas.shadow * np.float32(1 - light.shade[band])
    paint_walls(canvas, things.walls)
    paint_parts(canvas, things.parts)
    crowns.paint()


def _expose(canvas: Canvas, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the image of the sensor: with haze, colour cast, blur and noise, in 8 bits."""
    light = canvas.region.light
    height, width = canvas.shape
    image = np.empty((height, width, 3), dtype=np.uint8)
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    illumination = 1 + canvas.field(900, "illumination") * np.float32(0.03)
    for band in range(3):
        clear = ndimage.gaussian_filter(canvas.rgb[band], light.blur, truncate=3.0)
        hazy = clear * illumination * np.float32((1 - light.haze_share) * light.gain[band])
        hazy += np.float32(light.haze_share * light.haze[band])
        hazy += noise[:, :, band] * np.float32(light.noise)
        image[:, :, band] = np.clip(hazy + np.float32(0.5), 0, 255)
    return image
