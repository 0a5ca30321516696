"""Aerial scenes made from nothing: pictures, georeference and the reference map.

Two regions look different on purpose, so that a network taught in one has something to learn in
the other::

    scene = Scene((2048, 2048), seed=7, region="arid")
    scene.image()                    # (2048, 2048, 3) uint8
    scene.labels(Window(0, 0, 512, 512))
    finish(write_scene(Scene((20_000, 20_000)), "large.tif", "large-reference.tif"))

The world is made in this order: *plan* (roads, uses), *cells* (lots and what stands on them),
*ground*, *roofs* and *crowns* (painting), *render* (blocks of pixels).
"""

from __future__ import annotations

from napari_disca.scenes.regions import LAND_COVER, NO_DATA, REGIONS
from napari_disca.scenes.scene import Scene
from napari_disca.scenes.writing import write_scene

__all__ = ["LAND_COVER", "NO_DATA", "REGIONS", "Scene", "write_scene"]
