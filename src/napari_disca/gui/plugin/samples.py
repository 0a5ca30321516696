"""npe2 sample data: generated scenes; nothing is downloaded."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from napari_disca.core.events import finish

if TYPE_CHECKING:
    from napari_disca.gui.tasks.opening.layer_data import LayerData

#: Pixels a side, and metres per pixel: what `landcover-5` was trained for.
SIDE, RESOLUTION = 1536, 1.0


def scene_file(region: str, seed: int = 0) -> Path:
    """Return the GeoTIFF of a scene in the user's cache folder, written at the first call.

    Where that folder cannot be written, the file is in a temporary one.
    """
    from napari_disca.core.errors import ExportError
    from napari_disca.scenes import Scene, write_scene

    name = f"{region}-{seed}-{SIDE}.tif"
    cache = Path(platformdirs.user_cache_dir("napari-disca", appauthor=False)) / "scenes"
    if (cache / name).exists():
        return cache / name
    scene = Scene((SIDE, SIDE), seed=seed, region=region, ground_resolution=RESOLUTION)
    try:
        finish(write_scene(scene, cache / name))
        return cache / name
    except (ExportError, OSError):
        path = Path(tempfile.mkdtemp(prefix="napari-disca-")) / name
        finish(write_scene(scene, path))
        return path


def temperate() -> list[LayerData]:
    """Return the layer data of the temperate scene."""
    from napari_disca.gui.tasks.opening.layer_data import layer_data

    return [layer_data(scene_file("temperate"))]


def arid() -> list[LayerData]:
    """Return the layer data of the arid scene."""
    from napari_disca.gui.tasks.opening.layer_data import layer_data

    return [layer_data(scene_file("arid"))]
