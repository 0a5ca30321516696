"""Writes scenes as GeoTIFF files, by rows of blocks."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetWriter
from rasterio.windows import Window as RasterioWindow

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.scenes.regions import LAND_COVER, NO_DATA
from napari_disca.scenes.render import BLOCK
from napari_disca.scenes.scene import Scene
from napari_disca.storage.atomic import replacing

Paths = tuple[Path, ...]


def write_scene(
    scene: Scene,
    image_path: str | os.PathLike[str],
    labels_path: str | os.PathLike[str] | None = None,
    *,
    overviews: bool = False,
    block: int = 512,
) -> Job[Paths]:
    """Job that writes a scene, and optionally its reference map, as tiled GeoTIFF files.

    Memory does not grow with the scene. Existing files are replaced at the end; a job that is
    closed early leaves them as they were.

    Parameters
    ----------
    scene : Scene
    image_path : str or path
        File of the image (3 bands, deflate).
    labels_path : str or path, optional
        File of the reference map (1 band, LZW, colour table, class names as tags).
    overviews : bool
        Whether to write overviews, down to 256 pixels.
    block : int
        Side of the files' tiles, a multiple of 16.

    Yields
    ------
    Progress
        One event per window.

    Returns
    -------
    tuple of Path
        The files written.

    Raises
    ------
    ExportError
        If a file cannot be written.
    ValueError
        If `block` is not a multiple of 16, or both files have the same name.
    """
    if block < 16 or block % 16:
        raise ValueError(f"a TIFF tile's side is a multiple of 16 pixels, not {block}")
    paths = [Path(image_path), *([] if labels_path is None else [Path(labels_path)])]
    if len({path.absolute() for path in paths}) < len(paths):
        raise ValueError(f"the picture and the reference map cannot both be {paths[0]}")
    return _write(scene, tuple(paths), overviews, block)


def _write(scene: Scene, paths: Paths, overviews: bool, block: int) -> Job[Paths]:
    with ExitStack() as complete:
        parts = [complete.enter_context(replacing(path)) for path in paths]
        try:
            with ExitStack() as opened:
                files = [opened.enter_context(_create(scene, parts[0], 3, block, "deflate"))]
                files += [
                    opened.enter_context(_create(scene, part, 1, block, "lzw"))
                    for part in parts[1:]
                ]
                files[0].colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
                for file in files[1:]:
                    _describe(file)
                yield from _fill(scene, files)
            if overviews:
                for number, part in enumerate(parts):
                    yield Progress("overviews", number, len(parts))
                    _reduce(part, scene, Resampling.nearest if number else Resampling.average)
                yield Progress("overviews", len(parts), len(parts))
        except RasterioError as error:
            raise ExportError(f"cannot write {' and '.join(map(str, paths))}: {error}") from error
    return paths


def _create(scene: Scene, path: Path, bands: int, block: int, compress: str) -> DatasetWriter:
    options: dict[str, Any] = {"tiled": True, "blockxsize": block, "blockysize": block}
    if compress == "deflate":
        options |= {"predictor": 2, "zlevel": 4}
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=scene.shape[0],
        width=scene.shape[1],
        count=bands,
        dtype="uint8",
        crs=scene.crs,
        transform=scene.transform,
        compress=compress,
        interleave="pixel",
        bigtiff="if_safer",
        nodata=None if bands == 3 else NO_DATA,
        **options,
    )


def _describe(file: DatasetWriter) -> None:
    """Write colours and names of the classes into a file."""
    file.write_colormap(1, {index: (*land.rgb, 255) for index, land in enumerate(LAND_COVER)})
    file.update_tags(1, **{f"class_{index}": land.name for index, land in enumerate(LAND_COVER)})


def _fill(scene: Scene, files: list[DatasetWriter]) -> Job[None]:
    height, width = scene.shape
    windows = [
        Window(top, left, min(BLOCK, height - top), min(BLOCK, width - left))
        for top in range(0, height, BLOCK)
        for left in range(0, width, BLOCK)
    ]
    for number, window in enumerate(windows):
        yield Progress("scene", number, len(windows))
        image, labels = scene.render(window)
        place = RasterioWindow(window.left, window.top, window.width, window.height)
        files[0].write(np.ascontiguousarray(image.transpose(2, 0, 1)), window=place)
        for file in files[1:]:
            file.write(labels, 1, window=place)
    yield Progress("scene", len(windows), len(windows))


def _reduce(path: Path, scene: Scene, resampling: Resampling) -> None:
    factors = [2**level for level in range(1, 16) if max(scene.shape) / 2**level >= 256]
    if factors:
        with rasterio.open(path, "r+") as file:
            file.build_overviews(factors, resampling)
