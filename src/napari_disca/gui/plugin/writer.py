"""npe2 writer: Labels layers as GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a labels layer.

    Maps of this plugin are written with the image's grid, CRS, colours and class names. Any other
    Labels layer with values up to 254 becomes a plain label GeoTIFF of the same values.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    from napari_disca.core.errors import ExportError
    from napari_disca.core.events import finish
    from napari_disca.exports import write_geotiff
    from napari_disca.networks import LandClass
    from napari_disca.raster import open_raster

    about = meta.get("metadata", {}).get("napari_disca", {})
    session = about.get("session")
    if session is not None:
        labels, raster, classes = session.maps[about["map"]], session.raster, session.classes
        finish(write_geotiff(labels, path, raster=raster, classes=classes))
        return [path]
    values = np.asarray(data[0] if meta.get("multiscale") or isinstance(data, list) else data)
    if values.ndim != 2:
        raise ExportError(f"a label map has two dimensions, this layer has {values.ndim}")
    if values.size and (values.min() < 0 or values.max() > 254):
        raise ExportError(
            f"labels from {values.min()} to {values.max()} do not fit the 0 to 254 of a class map"
        )
    if "canvas" in about:
        source, classes = about["canvas"], tuple(about["legend"])
        raster = open_raster(about["path"])
    else:
        source = _Plain(values.astype(np.uint8))
        count = max(2, int(values.max()) + 1 if values.size else 2)
        classes = tuple(LandClass(f"label {i}", _colour(i)) for i in range(count))
        raster = open_raster(source.values)
    finish(write_geotiff(source, path, raster=raster, classes=classes))
    return [str(Path(path))]


class _Plain:
    """An array as a source of labels."""

    def __init__(self, values: NDArray[np.uint8]) -> None:
        self.values = values
        self.shape = (values.shape[0], values.shape[1])

    def read(self, window: Any) -> NDArray[np.uint8]:
        return self.values[window.slices]


def _colour(value: int) -> str:
    """A colour that differs from its neighbours'."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(value * 0.618 % 1.0, 0.65, 0.9 if value else 0.5)
    return f"#{int(red * 255):02x}{int(green * 255):02x}{int(blue * 255):02x}"
