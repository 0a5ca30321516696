"""Reads and writes files of clicks.

Written are GeoJSON and GeoPackage; read are also Shapefile, FlatGeobuf and CSV. A click is written
as the centre of its pixel, in the CRS of the image, which the ``crs`` member names as in files of
GDAL and QGIS. If an image only has ground control points, the affine transform that fits them best
is used, as in a GIS. Without any georeference the coordinates are ``x = column + 0.5,
y = row + 0.5``, and the member ``napari_disca`` says so.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import ClickError
from napari_disca.exports.vectors.click_classes import ClassReader
from napari_disca.exports.vectors.geojson import geojson_feature, write_collection
from napari_disca.exports.vectors.placing import to_pixels
from napari_disca.exports.vectors.point import PointFeature
from napari_disca.exports.vectors.point_files import PointFile, read_points
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame

if TYPE_CHECKING:
    # `networks` costs torch, which a reader of clicks should not pay for.
    from napari_disca.networks.card import LandClass


#: Properties that `write_clicks` writes.
_WRITTEN = {"class_id", "class", "row", "col", "order"}


def write_clicks(
    clicks: Clicks,
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write clicks as points, in GeoJSON or a GeoPackage.

    Parameters
    ----------
    clicks : Clicks
        Clicks on the image, oldest first.
    path : str or path
        A GeoPackage if it ends with ``.gpkg``, otherwise GeoJSON; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        Names of the clicks' labels.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ClickError
        If a click is outside the image or its class does not exist.
    ExportError
        If the file cannot be written.
    """
    clicks.checked(raster.shape, len(classes))
    frame = Frame.of(raster)
    features = [
        geojson_feature(
            "Point",
            frame.position(click.row, click.col),
            {
                "class_id": click.label,
                "class": classes[click.label].name,
                "row": click.row,
                "col": click.col,
                "order": order,
            },
        )
        for order, click in enumerate(clicks)
    ]
    return write_collection(path, "clicks", features, frame)


@dataclass(frozen=True, slots=True)
class LoadedClicks:
    """The clicks in a file, and which of its features are left out.

    Attributes
    ----------
    clicks : Clicks
    left_out : mapping of str to int
        Number of features by reason, in a few words: ``{"Polygons": 2, "outside the image": 1}``.
    first : str
        Why the first of them is left out, in one line; empty if none is.
    note : str
        Which column the classes were taken from, in a few words; empty if the names of the
        columns leave no choice.
    """

    clicks: Clicks
    left_out: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    note: str = ""

    def describe(self, name: str) -> str:
        """Return one line for the user: how many clicks, and what is left out.

        Parameters
        ----------
        name : str
            The file's name.
        """
        count = len(self.clicks)
        line = f"{count} click{'s' * (count != 1)} from {name}"
        if self.note:
            line += f"; {self.note}"
        if self.left_out:
            groups = ", ".join(f"{number} {reason}" for reason, number in self.left_out.items())
            line += f"; left out: {groups} ({self.first})"
        return line


def load_clicks(
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
    column: str | None = None,
) -> LoadedClicks:
    """Return the clicks in a file of points, and which of its features are left out.

    The pixel of a click is that of the point's geometry, because other programs may have moved the
    point; the properties ``row`` and ``col`` are not read. The class is that of the property
    ``class_id``, or else of the name in ``class``, ``label`` or ``name``, or else of the only
    column whose values are classes; upper and lower case do not matter. Points with the property
    ``order`` come first, in that order; the others follow in the order of the file.

    Coordinates are in the CRS that the file names. GeoJSON without a CRS has longitudes and
    latitudes; longitudes may be shifted by 360 degrees. If a GeoJSON's CRS is null, or another
    file has none, coordinates are taken for the image's own. Degrees are never taken for pixel
    numbers.

    Parameters
    ----------
    path : str or path
        GeoJSON, GeoPackage, Shapefile, FlatGeobuf or CSV.
    raster : Raster
        The image that the clicks belong to.
    classes : sequence of LandClass
        The network's classes.
    column : str, optional
        The column with the class, as name or id.

    Returns
    -------
    LoadedClicks

    Raises
    ------
    ClickError
        If the file cannot be read, or all its features are left out.
    """
    path = Path(path)
    frame = Frame.of(raster)
    with _naming(path):
        points = read_points(path, referenced=frame.transform is not None)
        return _clicks_of(points, frame, classes, column)


@dataclass(frozen=True, slots=True)
class ClassColumns:
    """Columns of a file of clicks that may have the class.

    Attributes
    ----------
    columns : tuple of str
        In the order of the file.
    usual : str or None
        The one that `load_clicks` takes by default; None if it finds none, or several.
    ours : bool
        Whether the file has the columns that `write_clicks` writes, so that there is nothing to
        choose.
    """

    columns: tuple[str, ...]
    usual: str | None
    ours: bool


def class_columns(
    path: str | os.PathLike[str], *, raster: Raster, classes: Sequence[LandClass]
) -> ClassColumns:
    """Return the columns of a file of clicks that may have the class.

    Parameters
    ----------
    path : str or path
    raster : Raster
        The image that the clicks belong to.
    classes : sequence of LandClass
        The network's classes.

    Returns
    -------
    ClassColumns

    Raises
    ------
    ClickError
        If the file cannot be read.
    """
    path = Path(path)
    with _naming(path):
        points = read_points(path, referenced=Frame.of(raster).transform is not None)
    usable = [point.properties for point in points.features if not point.problem]
    columns = tuple(dict.fromkeys(name for properties in usable for name in properties))
    try:
        usual = ClassReader.choose(points.features, classes).usual_column(columns)
    except ClickError:
        usual = None
    return ClassColumns(columns, usual, {*columns} == _WRITTEN)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before the messages of errors about it."""
    try:
        yield
    except ClickError as error:
        raise ClickError(f"{path.name}: {error}") from error
    except RecursionError as error:
        raise ClickError(f"{path.name} is nested too deeply for GeoJSON") from error


def read_clicks(
    path: str | os.PathLike[str], *, raster: Raster, classes: Sequence[LandClass]
) -> Clicks:
    """Return the clicks in a file, but not what is left out; see `load_clicks`."""
    return load_clicks(path, raster=raster, classes=classes).clicks


def _clicks_of(
    points: PointFile, frame: Frame, classes: Sequence[LandClass], column: str | None
) -> LoadedClicks:
    reader = ClassReader.choose(points.features, classes, column)
    usable = [point for point in points.features if not point.problem]
    reader.refuse_ids_from_one(usable)
    problems = [(point.group, point.problem) for point in points.features if point.problem]
    xs, ys = _coordinates(usable)
    places = iter(to_pixels(xs, ys, points.source, frame))
    clicks: list[tuple[float, Click]] = []
    for point in usable:
        try:
            label: int | None = reader.label(point)
        except ClickError as error:
            problems.append(("of no class", str(error)))
            label = None
        for x, y in point.positions:
            place = next(places)
            if label is None:
                continue
            if place is None:
                problems.append(("without a place in the image's CRS", _nowhere(point, x, y)))
            elif not (0 <= place[0] < frame.shape[0] and 0 <= place[1] < frame.shape[1]):
                problems.append(("outside the image", _outside(point, x, y, frame)))
            else:
                click = Click(math.floor(place[0]), math.floor(place[1]), label)
                clicks.append((_order(point), click))
    if problems and not clicks:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ClickError(f"{problems[0][1]}{others}")
    ordered = [click for _, click in sorted(clicks, key=lambda pair: pair[0])]
    loaded = Clicks(tuple(ordered))
    if len(loaded) < len(ordered):
        problems += [("on the pixel of a later one", "")] * (len(ordered) - len(loaded))
    note = f"classes from the column {reader.column}" if reader.column else ""
    first = next((line for _, line in problems if line), "a pixel has one click, the latest")
    counted = dict(Counter(group for group, _ in problems))
    return LoadedClicks(loaded, counted, first if counted else "", note)


def _coordinates(points: Sequence[PointFeature]) -> tuple[list[float], list[float]]:
    positions = [position for point in points for position in point.positions]
    return [x for x, _ in positions], [y for _, y in positions]


def _outside(point: PointFeature, x: float, y: float, frame: Frame) -> str:
    return (
        f"{point.name} at ({x:.10g}, {y:.10g}) lies outside the image of "
        f"{frame.shape[0]} x {frame.shape[1]} pixels; remove it or open the image it was made on"
    )


def _nowhere(point: PointFeature, x: float, y: float) -> str:
    return f"{point.name} at ({x:.10g}, {y:.10g}) has no place in the image's CRS"


def _order(point: PointFeature) -> float:
    order = point.properties.get("order")
    try:
        number = float(order) if isinstance(order, int | float | str) else math.inf
    except ValueError:
        return math.inf
    return math.inf if math.isnan(number) else number
