"""The table of export formats.

The command line, the dialogs, napari's *Save*, streaming and Dask choose formats from it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Job, Progress
from napari_disca.exports.clicks import write_clicks
from napari_disca.exports.geotiff import check_output, read_made_with, write_geotiff
from napari_disca.exports.labels import ChangingLabels, Labels
from napari_disca.exports.locks import write_locks
from napari_disca.exports.review import write_review
from napari_disca.exports.strokes import write_strokes
from napari_disca.raster import Raster

if TYPE_CHECKING:
    # `networks` costs torch, which the table should not pay for.
    from napari_disca.networks.card import LandClass
    from napari_disca.session.steps.class_table import ClassTable

#: What a format stores: a label map, clicks, locked areas, a table of classes (names, colours,
#: merged classes), strokes, or the verdicts of a review.
Content: TypeAlias = Literal["labels", "clicks", "areas", "classes", "strokes", "review"]


@dataclass(frozen=True, slots=True)
class Export:
    """A file format.

    Attributes
    ----------
    title : str
        Its name in a file dialog.
    content : {"labels", "clicks", "areas", "classes", "strokes", "review"}
        What it stores.
    suffixes : tuple of str
        Endings of its file names, the usual one first; upper and lower case do not matter. An
        ending may have several dots; the longest one that fits a name decides.
    write : callable
        ``write(content, path, *, raster, classes)`` returns a job that writes the file and returns
        its path. If the content is labels (`exports.labels.Labels`), it also takes ``made_with``,
        a fingerprint of everything that the map depends on, and stores it if the format can.
    made_with : callable
        ``made_with(path)`` returns the fingerprint that a file was written with; empty if the
        format cannot store it. An unfinished batch then computes the map again.
    """

    title: str
    content: Content
    suffixes: tuple[str, ...]
    write: Callable[..., Job[Path]]
    made_with: Callable[[Path], str] = lambda path: ""


def _at_once(write: Callable[..., Path]) -> Callable[..., Job[Path]]:
    """Return a function whose jobs write at once, with a single event of progress."""

    def job(*args: Any, **kwargs: Any) -> Job[Path]:
        yield Progress("saving", 0, 1)
        return write(*args, **kwargs)

    return job


@_at_once
def _classes(table: ClassTable, path: Path, **_: Any) -> Path:
    from napari_disca.exports.class_files import write_classes

    return write_classes(table, path)


#: Name -> format.
EXPORTS: dict[str, Export] = {
    "geotiff": Export(
        "GeoTIFF label map", "labels", (".tif", ".tiff"), write_geotiff, read_made_with
    ),
    "geojson": Export("GeoJSON clicks", "clicks", (".geojson", ".json"), _at_once(write_clicks)),
    "geojson areas": Export(
        "GeoJSON of locked areas", "areas", (".geojson", ".json"), _at_once(write_locks)
    ),
    "csv classes": Export("CSV table of classes", "classes", (".csv",), _classes),
    "qgis classes": Export("QGIS style of the map", "classes", (".qml",), _classes),
    "clr classes": Export("Colour map, without names", "classes", (".clr",), _classes),
    "json classes": Export("JSON, as in a network's card", "classes", (".json",), _classes),
    "geojson review": Export(
        "GeoJSON review", "review", (".geojson", ".json"), _at_once(write_review)
    ),
    "geojson strokes": Export(
        "GeoJSON strokes", "strokes", (".geojson", ".json"), _at_once(write_strokes)
    ),
    "geopackage": Export("GeoPackage of clicks", "clicks", (".gpkg",), _at_once(write_clicks)),
    "geopackage areas": Export(
        "GeoPackage of locked areas", "areas", (".gpkg",), _at_once(write_locks)
    ),
    "geopackage review": Export(
        "GeoPackage of the review", "review", (".gpkg",), _at_once(write_review)
    ),
    "geopackage strokes": Export(
        "GeoPackage of strokes", "strokes", (".gpkg",), _at_once(write_strokes)
    ),
}


def export_for(path: str | os.PathLike[str], content: Content) -> Export:
    """Return the format of a content that a file's ending stands for.

    Parameters
    ----------
    path : str or path
    content : {"labels", "clicks", "areas", "classes", "strokes", "review"}

    Raises
    ------
    ExportError
        If no format of this content has that ending.
    """
    found = _format_of(path, content)
    if found is not None:
        return found
    endings = ", ".join(suffix for export in exports_of(content) for suffix in export.suffixes)
    raise ExportError(
        f"{path} has the ending {Path(path).suffix!r}, which is not a format for {content}; end "
        f"its name with {endings}"
    )


def has_format(path: str | os.PathLike[str], content: Content) -> bool:
    """Whether a format of a content has the ending of a file's name."""
    return _format_of(path, content) is not None


def _format_of(path: str | os.PathLike[str], content: Content) -> Export | None:
    name = Path(path).name.lower()
    found = [
        (len(suffix), export)
        for export in exports_of(content)
        for suffix in export.suffixes
        if name.endswith(suffix.lower()) and len(name) > len(suffix)
    ]
    return max(found, key=lambda one: one[0], default=(0, None))[1]


def exports_of(content: Content) -> list[Export]:
    """Return the formats of a content, the usual one first."""
    return [export for export in EXPORTS.values() if export.content == content]


def write_map(
    labels: Labels,
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
    made_with: str = "",
) -> Job[Path]:
    """Return a job that writes a label map; the ending of the file's name is the format.

    The map is written as it is when this function is called; later painting does not change it.

    Parameters
    ----------
    labels : Labels
    path : str or path
    raster : Raster
        The image.
    classes : sequence of LandClass
        Class ``i`` is the map's value ``i``.
    made_with : str
        Fingerprint of everything that the map depends on, for `made_with_of`.

    Returns
    -------
    Job of Path
        Yields `Progress`, returns `path`.

    Raises
    ------
    ExportError
        At once if no format has that ending, or the file is the image itself; by the job if the
        file cannot be written, or the labels do not fit the image or the classes.
    """
    path = Path(path)
    export = export_for(path, "labels")
    check_output(path, [raster.path] if raster.path is not None else [])
    still = labels.snapshot() if isinstance(labels, ChangingLabels) else labels
    return export.write(still, path, raster=raster, classes=classes, made_with=made_with)


def made_with_of(path: str | os.PathLike[str]) -> str:
    """Return the fingerprint that `write_map` stored; empty if none, or the map is incomplete."""
    return export_for(path, "labels").made_with(Path(path))
