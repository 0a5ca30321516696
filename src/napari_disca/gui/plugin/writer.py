"""npe2 writers: Labels layers as class maps or unchanged, and all layers into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_disca.core.tiling import Window
    from napari_disca.raster import ArrayRaster
    from napari_disca.storage.label_pyramid import LabelPyramid


def write_labels(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a Labels layer, and return the file's path in a list.

    A map of this plugin, or a copy of one, is written with class ids, the image's grid, CRS,
    colours and class names. Any other Labels layer is written with the values and type that it
    has, and opens as the same labels again.

    Parameters
    ----------
    path : str
        Its ending asks for a format of `exports.EXPORTS`.
    data : array, or list of arrays
        Of the layer, finest level first.
    meta : dict
        Name, metadata, scale and other state of the layer.

    Raises
    ------
    ExportError
        If it cannot be written.
    """
    from napari_disca.core.events import finish
    from napari_disca.exports import merged, write_map
    from napari_disca.gui.toolkit.waiting import run_on_thread
    from napari_disca.gui.viewer.colours.class_colours import saved_classes

    about = meta.get("metadata", {}).get("napari_disca", {})
    finest = data[0] if meta.get("multiscale") or isinstance(data, list | tuple) else data
    if "map" in about and "session" in about:
        session = about["session"]
        raster, classes = session.raster, saved_classes(session)
        values = session.document.merged_values
    elif "classes" in about:
        # Without its path, so that a map that was opened and painted can be saved over itself.
        raster, classes = _place_of(about, finest.shape), tuple(about["classes"])
        values = np.arange(256, dtype=np.uint8)
    else:
        return [run_on_thread(lambda: _write_foreign(path, np.asarray(finest), meta, about))]
    labels = merged(_painted_map(about, finest) or LayerLabels(finest), values)
    # As the map is now: tasks go on painting it while it is written.
    job = write_map(labels, path, raster=raster, classes=classes)
    return [str(run_on_thread(lambda: finish(job)))]


def _painted_map(about: dict[str, Any], finest: Any) -> LabelPyramid | None:
    """Return the session's map that a layer shows; None for a copy, which nobody paints."""
    if "session" not in about:
        return None
    canvas: LabelPyramid | None = about["session"].maps.get(about["map"])
    if canvas is None or not isinstance(finest, np.ndarray):
        return None
    return canvas if np.shares_memory(finest, canvas.levels[0]) else None


def write_folder(path: str, layer_data: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write layers into a folder, and return the paths of the files.

    Labels are written as `write_labels` does, others as napari does.

    Parameters
    ----------
    path : str
        The folder, which is made if it does not exist.
    layer_data : list of (data, meta, type)

    Raises
    ------
    ExportError
        If a labels layer cannot be written.
    """
    import npe2

    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    for data, meta, kind in layer_data:
        name = "".join(c if c.isalnum() or c in " -_.()" else "_" for c in meta["name"]) or kind
        if kind == "labels":
            written += write_labels(str(folder / f"{name}.tif"), data, meta)
        else:
            written += npe2.write(str(folder / name), [(data, meta, kind)], plugin_name="napari")
    return written


class LayerLabels:
    """Reads class ids from a layer whose values are class id + 1, and 0 for no class.

    Parameters
    ----------
    data : array-like of shape (h, w)
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self.shape: tuple[int, int] = (int(data.shape[0]), int(data.shape[1]))

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids of a window; 255 where there is no class.

        Raises
        ------
        ExportError
            If a value is not a class of the layer.
        """
        from napari_disca.core.errors import ExportError
        from napari_disca.storage.label_pyramid import NO_DATA

        stored = np.asarray(self._data[window.slices])
        if stored.dtype == np.uint8:
            return stored - np.uint8(1)  # 0 becomes 255
        low, high = int(stored.min(initial=0)), int(stored.max(initial=0))
        if low < 0 or high > NO_DATA:
            raise ExportError(
                f"the layer holds {low if low < 0 else high}, which stands for no class; paint it "
                "with one of its classes"
            )
        return (stored.astype(np.int64) - 1).astype(np.uint8)


def _place_of(about: dict[str, Any], shape: tuple[int, ...]) -> ArrayRaster:
    """Return a raster that holds only the place of a layer."""
    from affine import Affine
    from rasterio.crs import CRS

    from napari_disca.raster import ArrayRaster

    raster = ArrayRaster(np.broadcast_to(np.uint8(0), shape[:2]))
    if about.get("shape", shape[:2]) != tuple(shape[:2]):
        return raster  # a part of the file, or an enlarged copy: it lies elsewhere
    raster.crs = CRS.from_wkt(about["crs"]) if about.get("crs") else None
    raster.transform = Affine(*about["transform"]) if about.get("transform") else None
    raster.gcps, raster.rpcs = about.get("gcps"), about.get("rpcs")
    return raster


def _write_foreign(
    path: str, values: NDArray[Any], meta: dict[str, Any], about: dict[str, Any]
) -> str:
    from napari_disca.core.errors import ExportError
    from napari_disca.exports.plain_labels import write_plain_labels

    if Path(path).suffix.lower() not in (".tif", ".tiff"):
        raise ExportError(f"{path}: labels that are not a class map are written as .tif only")
    where: dict[str, Any] = {}
    if values.ndim == 2:
        place = _place_of(about, values.shape)
        where = {"crs": place.crs, "transform": place.transform, "rpcs": place.rpcs}
        if place.gcps is not None:
            where |= dict(zip(("gcps", "crs"), place.gcps, strict=True))
    write_plain_labels(values, path, shown=_shown(meta), **where)
    return str(Path(path))


def _shown(meta: dict[str, Any]) -> dict[str, Any]:
    """Return the scale, place and chosen colours of a layer as JSON values."""
    shown: dict[str, Any] = {
        key: [float(value) for value in meta[key]] for key in ("scale", "translate") if key in meta
    }
    colours = getattr(meta.get("colormap"), "color_dict", None)
    if colours is not None:
        shown["colors"] = [
            [None if value is None else int(value), [round(float(part), 4) for part in colour]]
            for value, colour in colours.items()
        ]
    return shown
