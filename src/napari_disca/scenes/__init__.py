"""Generates aerial scenes: image, georeference and reference map.

The two regions look different on purpose, so that a network trained in one must adapt to the
other::

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
