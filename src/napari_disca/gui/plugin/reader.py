"""npe2 reader: GeoTIFFs of any size, lazily; our own label maps as Labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_disca.gui.plugin.formats import RASTER_SUFFIXES

if TYPE_CHECKING:
    from napari_disca.gui.viewer.placement import Place


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[Any]] | None:
    """Reader of files with an ending of `RASTER_SUFFIXES`, or None for other paths."""
    paths = [path] if isinstance(path, str) else list(path)
    if all(Path(p).suffix.lower() in RASTER_SUFFIXES for p in paths):
        return read
    return None


def read(path: str | Sequence[str]) -> list[Any]:
    """Layer data of some files.

    Raises
    ------
    RasterError
        If a file cannot be read as an image.
    """
    paths = [path] if isinstance(path, str) else list(path)
    return [layer_data(Path(p)) for p in paths]


def layer_data(path: Path) -> tuple[Any, dict[str, Any], str]:
    """Layer data of one file: a lazy pyramid whose metadata carries the georeference."""
    from napari_disca.exports import read_legend
    from napari_disca.exports.plain_labels import read_plain_labels
    from napari_disca.gui.tasks.waiting import off_the_window
    from napari_disca.gui.viewer.placement import WORLD
    from napari_disca.raster import open_raster
    from napari_disca.raster.pyramid import ImagePyramid

    raster = off_the_window(lambda: open_raster(path))
    about = {
        "path": str(path),
        "shape": raster.shape,
        "gcps": raster.gcps,
        "rpcs": raster.rpcs,
        "crs": raster.crs.to_wkt() if raster.crs else None,
        "transform": tuple(raster.transform)[:6] if raster.transform is not None else None,
        "nodata": raster.nodata,
    }
    where = _place(raster)
    about[WORLD] = where.world
    legend = read_legend(path)
    if legend:
        return _labels(raster, legend, path, about, where.keywords)
    plain = read_plain_labels(path) if path.suffix.lower() in (".tif", ".tiff") else None
    if plain is not None:
        placed = where.keywords if raster.transform is not None and plain[0].ndim == 2 else {}
        return _plain_labels(*plain, path, about, placed)
    pyramid = ImagePyramid(raster)
    pyramid.report = _report
    levels = pyramid.levels
    keywords: dict[str, Any] = {
        "name": path.stem,
        "rgb": pyramid.rgb,
        "multiscale": len(levels) > 1,
        "metadata": {"napari_disca": {**about, "pyramid": pyramid}},
        **where.keywords,
    }
    if not pyramid.rgb:
        keywords["contrast_limits"] = pyramid.contrast_limits
    if not pyramid.complete:
        from napari_disca.gui.tasks.pyramid_builder import prepare

        prepare(pyramid)
    return (levels if len(levels) > 1 else levels[0]), keywords, "image"


def _place(raster: Any) -> Place:
    """Where an image lies among those that are in the window already."""
    import napari
    from napari.utils.notifications import show_warning

    from napari_disca.gui.viewer.placement import place, world_of
    from napari_disca.raster.georeference import Frame

    viewer = napari.current_viewer()
    frame = Frame.of(raster)
    crs = frame.crs.to_wkt() if frame.crs else None
    found = place(crs, frame.transform, raster.shape, world_of(viewer.layers) if viewer else None)
    if found.error > 1:
        show_warning(
            f"{raster.name} has another CRS than the image before; parts of it are shown up to "
            f"{found.error:.0f} of its pixels beside their places"
        )
    return found


def _report(line: str) -> None:
    from napari.utils.notifications import show_error

    show_error(line)


def _plain_labels(
    values: Any, shown: dict[str, Any], path: Path, about: dict[str, Any], placed: Any
) -> Any:
    """Labels of another program that our writer has saved, as they were."""
    import numpy as np
    from napari.utils.colormaps import DirectLabelColormap

    keywords: dict[str, Any] = {"name": path.stem, "metadata": {"napari_disca": about}}
    keywords |= placed
    for key in ("scale", "translate"):
        if not placed and len(shown.get(key, ())) == values.ndim:
            keywords[key] = shown[key]
    with suppress(TypeError, ValueError, KeyError):  # somebody may have changed the tag
        colours = {value: np.asarray(colour, dtype=float) for value, colour in shown["colors"]}
        keywords["colormap"] = DirectLabelColormap(color_dict={None: "transparent", **colours})
    return values, keywords, "labels"


def _labels(raster: Any, legend: Any, path: Path, about: dict[str, Any], where: Any) -> Any:
    """A saved label map: class id + 1, so that class 0 is visible and no-data is not."""
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window as RasterioWindow

    from napari_disca.core.errors import RasterError, brief
    from napari_disca.core.tiling import Tiling
    from napari_disca.gui.plugin.writer_order import offer_our_writer_first
    from napari_disca.gui.tasks.waiting import off_the_window
    from napari_disca.gui.viewer.class_colormap import class_colormap, class_features
    from napari_disca.raster import quiet_opening
    from napari_disca.storage.label_pyramid import LabelPyramid

    offer_our_writer_first()
    canvas = LabelPyramid(raster.shape)

    def read_all() -> None:
        # Not through the raster, which gives a palette's colours rather than the ids.
        try:
            with quiet_opening(), rasterio.open(path) as file:
                for tile in Tiling(raster.shape, size=2048, halo=0):
                    box = tile.keep
                    place = RasterioWindow(box.left, box.top, box.width, box.height)
                    canvas.paint(box, file.read(1, window=place))
        except RasterioError as error:
            raise RasterError(
                f"{path} is damaged or cut short: {brief(error)}; get it again"
            ) from error

    off_the_window(read_all)
    keywords = {
        "name": path.stem,
        "multiscale": len(canvas.levels) > 1,
        "opacity": 0.5,
        "colormap": class_colormap(legend),
        "features": class_features(legend),
        "metadata": {"napari_disca": {**about, "canvas": canvas, "legend": legend}},
        **where,
    }
    levels = list(canvas.levels)
    return (levels if len(levels) > 1 else levels[0]), keywords, "labels"
