"""The table of export formats."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Job, Progress
from napari_disca.exports.clicks import write_clicks
from napari_disca.exports.geotiff import write_geotiff
from napari_disca.exports.locks import write_locks

#: What a format holds: a label map, the clicks that made it, or the areas that were checked.
Content: TypeAlias = Literal["labels", "clicks", "areas"]


@dataclass(frozen=True, slots=True)
class Export:
    """A file format.

    Attributes
    ----------
    title : str
        What a file dialog calls it.
    content : {"labels", "clicks", "areas"}
        What it holds.
    suffixes : tuple of str
        Endings of its file names, lower case, the usual one first.
    write : callable
        ``write(content, path, *, raster, classes)`` is the job that writes it and returns its
        path.
    """

    title: str
    content: Content
    suffixes: tuple[str, ...]
    write: Callable[..., Job[Path]]


def _at_once(write: Callable[..., Path]) -> Callable[..., Job[Path]]:
    """Job of a function that is too quick for more than one report."""

    def job(*args: Any, **kwargs: Any) -> Job[Path]:
        yield Progress("saving", 0, 1)
        return write(*args, **kwargs)

    return job


#: Name -> format.
EXPORTS: dict[str, Export] = {
    "geotiff": Export("GeoTIFF label map", "labels", (".tif", ".tiff"), write_geotiff),
    "geojson": Export("GeoJSON clicks", "clicks", (".geojson", ".json"), _at_once(write_clicks)),
    "geojson areas": Export(
        "GeoJSON checked areas", "areas", (".geojson", ".json"), _at_once(write_locks)
    ),
}


def export_for(path: str | os.PathLike[str], content: Content) -> Export:
    """Format that a file's name asks for.

    Raises
    ------
    ExportError
        If no format for this content has that ending.
    """
    known = [export for export in EXPORTS.values() if export.content == content]
    for export in known:
        if Path(path).suffix.lower() in export.suffixes:
            return export
    endings = ", ".join(suffix for export in known for suffix in export.suffixes)
    raise ExportError(f"{path} does not say how to write {content}; end its name with {endings}")
