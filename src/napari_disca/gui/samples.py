"""npe2 sample data: generated scenes, nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import platformdirs

from napari_disca.events import finish

#: Pixels a side, and metres per pixel: what `landcover-5` was trained for.
SIDE, RESOLUTION = 1536, 1.0


def scene_file(region: str, seed: int = 0) -> Path:
    """GeoTIFF of a scene in the user's cache folder, written if it is not there."""
    from napari_disca.scenes import Scene, write_scene

    folder = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False)) / "scenes"
    path = folder / f"{region}-{seed}-{SIDE}.tif"
    if not path.exists():
        scene = Scene((SIDE, SIDE), seed=seed, region=region, ground_resolution=RESOLUTION)
        finish(write_scene(scene, path))
    return path


def temperate() -> list[Any]:
    """Layer data of the temperate scene."""
    from napari_disca.gui.reader import layer_data

    return [layer_data(scene_file("temperate"))]


def arid() -> list[Any]:
    """Layer data of the arid scene."""
    from napari_disca.gui.reader import layer_data

    return [layer_data(scene_file("arid"))]
