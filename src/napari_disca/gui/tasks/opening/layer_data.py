"""Layer data of files that were read: images, label maps and other labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_disca.gui.tasks.opening.file_content import FileContent, read_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_disca.gui.viewer.layers.placement import Place, World
    from napari_disca.networks import LandClass
    from napari_disca.raster import Raster
    from napari_disca.raster.pyramid import ImagePyramid
    from napari_disca.storage.label_pyramid import LabelPyramid

#: Data, keywords and kind of a layer, as npe2 expects them.
LayerData: TypeAlias = tuple[Any, dict[str, Any], str]


def layer_data(path: Path) -> LayerData:
    """Return the layer data of one file: a lazy pyramid with the georeference in its metadata."""
    from napari_disca.gui.toolkit.waiting import run_on_thread

    world = world_now()
    return layer_of(run_on_thread(lambda: read_file(path, world)))


def world_now() -> World | None:
    """Return the world of the images in the current window; for the window's thread."""
    import napari

    from napari_disca.gui.viewer.layers.placement import world_of

    viewer = napari.current_viewer()
    return world_of(viewer.layers) if viewer is not None else None


def layer_of(content: FileContent) -> LayerData:
    """Return the layer data of a file that was read; for the window's thread."""
    from napari_disca.gui.viewer.layers.placement import FRAME, WARPED, WORLD
    from napari_disca.raster.georeference import Frame

    raster, path = content.raster, content.path
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
    about[WORLD], about[FRAME] = where.world, Frame.of(raster)
    if content.warped:
        about[WARPED] = True
        _tell_warped(raster)
    if content.classes is not None and content.labels is not None:
        return _labels(content.labels, content.classes, path, about, where.keywords)
    if content.plain is not None:
        flat = content.plain[0].ndim == 2
        placed = where.keywords if raster.transform is not None and flat else {}
        return _plain_labels(*content.plain, path, about, placed)
    assert content.pyramid is not None
    return _image(content.pyramid, path, about, where.keywords)


def _image(
    pyramid: ImagePyramid, path: Path, about: dict[str, Any], placed: dict[str, Any]
) -> LayerData:
    pyramid.report = _report
    levels = pyramid.levels
    keywords: dict[str, Any] = {
        "name": path.stem,
        "rgb": pyramid.rgb,
        "multiscale": len(levels) > 1,
        "metadata": {"napari_disca": {**about, "pyramid": pyramid}},
        **placed,
    }
    if not pyramid.rgb:
        keywords["contrast_limits"] = pyramid.contrast_limits
    if not pyramid.complete:
        from napari_disca.gui.toolkit.pyramid_builder import build_pyramid

        build_pyramid(pyramid)
    return (levels if len(levels) > 1 else levels[0]), keywords, "image"


def _place(raster: Raster) -> Place:
    """Return where an image lies among those in the window."""
    from napari.utils.notifications import show_warning

    from napari_disca.gui.viewer.layers.placement import place
    from napari_disca.raster.georeference import Frame

    frame = Frame.of(raster)
    crs = frame.crs.to_wkt() if frame.crs else None
    found = place(crs, frame.transform, raster.shape, world_now())
    if found.error > 1:
        show_warning(
            f"{raster.name} has another CRS than the image before; parts of it are shown up to "
            f"{found.error:.0f} of its pixels away from their places"
        )
    return found


def _tell_warped(raster: Raster) -> None:
    from napari.utils.notifications import show_info

    show_info(
        f"{raster.name} has another CRS than the image before: it is resampled to lie where it "
        "belongs, only for viewing. To correct it, open it first, in a window of its own"
    )


def _report(line: str) -> None:
    from napari.utils.notifications import show_error

    show_error(line)


def _plain_labels(
    values: NDArray[Any],
    shown: dict[str, Any],
    path: Path,
    about: dict[str, Any],
    placed: dict[str, Any],
) -> LayerData:
    """Return the layer data of other labels that our writer has saved."""
    import numpy as np
    from napari.utils.colormaps import DirectLabelColormap

    keywords: dict[str, Any] = {"name": path.stem, "metadata": {"napari_disca": about}}
    keywords |= placed
    for key in ("scale", "translate"):
        if not placed and len(shown.get(key, ())) == values.ndim:
            keywords[key] = shown[key]
    with suppress(TypeError, ValueError, KeyError):  # another program may have changed the tag
        colours = {value: np.asarray(colour, dtype=float) for value, colour in shown["colors"]}
        keywords["colormap"] = DirectLabelColormap(color_dict={None: "transparent", **colours})
    return values, keywords, "labels"


def _labels(
    pyramid: LabelPyramid,
    classes: Sequence[LandClass],
    path: Path,
    about: dict[str, Any],
    placed: dict[str, Any],
) -> LayerData:
    """Return the layer data of a saved label map, with its classes."""
    from napari_disca.gui.toolkit.writer_order import offer_our_writer_first
    from napari_disca.gui.viewer.colours.class_colormap import class_colormap, class_features

    offer_our_writer_first()
    keywords = {
        "name": path.stem,
        "multiscale": len(pyramid.levels) > 1,
        "opacity": 0.5,
        "colormap": class_colormap(classes),
        "features": class_features(classes),
        "metadata": {"napari_disca": {**about, "labels": pyramid, "classes": classes}},
        **placed,
    }
    levels = list(pyramid.levels)
    return (levels if len(levels) > 1 else levels[0]), keywords, "labels"
