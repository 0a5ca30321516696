"""Clicks in files: GeoJSON is written; GeoJSON, vector files of a GIS and tables are read.

A click is written as the centre of its pixel, in the CRS of the image, named in the ``crs``
member as GDAL and QGIS write and read it. Of an image that only has ground control points, the
affine transform that fits them best is used, as a GIS does to show it. Without any georeference
the coordinates are ``x = column + 0.5, y = row + 0.5``, and the member ``napari_disca`` says so.
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
from napari_disca.exports.click_classes import ClassReader
from napari_disca.exports.geojson import write_collection
from napari_disca.exports.placing import to_pixels
from napari_disca.exports.point import PointFeature
from napari_disca.exports.point_files import PointFile, read_points
from napari_disca.raster import Raster
from napari_disca.raster.georeference import Frame

if TYPE_CHECKING:
    # `networks` costs torch, which a reader of clicks should not pay for.
    from napari_disca.networks.card import LandClass


#: Columns of the files that are written here.
_OURS = {"class_id", "class", "row", "col", "order"}


def write_clicks(
    clicks: Clicks,
    path: str | os.PathLike[str],
    *,
    raster: Raster,
    classes: Sequence[LandClass],
) -> Path:
    """Write clicks as GeoJSON, or as a GeoPackage, of points.

    Parameters
    ----------
    clicks : Clicks
        Clicks on the image, oldest first.
    path : str or path
        Where to write, a GeoPackage if it ends with ``.gpkg``; the file appears when it is
        complete.
    raster : Raster
        The image.
    classes : sequence of LandClass
        What the clicks' labels mean.

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
        {
            "type": "Feature",
            "properties": {
                "class_id": click.label,
                "class": classes[click.label].name,
                "row": click.row,
                "col": click.col,
                "order": order,
            },
            "geometry": {"type": "Point", "coordinates": frame.position(click.row, click.col)},
        }
        for order, click in enumerate(clicks)
    ]
    return write_collection(path, "clicks", features, frame)


@dataclass(frozen=True, slots=True)
class LoadedClicks:
    """Clicks of a file, and what of it could not be used.

    Attributes
    ----------
    clicks : Clicks
    left_out : mapping of str to int
        Why, in a few words, and how many features: ``{"Polygons": 2, "outside the image": 1}``.
    first : str
        Why the first of them was left out, in one line; empty if none was.
    understood : str
        What was decided for the user, for instance which column says the class; may be empty.
    """

    clicks: Clicks
    left_out: Mapping[str, int] = field(default_factory=dict)
    first: str = ""
    understood: str = ""

    def describe(self, name: str) -> str:
        """One line for the user.

        Parameters
        ----------
        name : str
            What the file is called.
        """
        count = len(self.clicks)
        line = f"{count} click{'s' * (count != 1)} from {name}"
        if self.understood:
            line += f"; {self.understood}"
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
    """Read the clicks of a file: GeoJSON, GeoPackage, Shapefile, FlatGeobuf or CSV.

    The geometry says which pixel is meant, since other programs may have moved the points. The
    class is ``class_id``, or else the name in ``class``, ``label`` or ``name``, or else in the one
    column whose values are classes, whatever the case. Points with the property ``order`` come in
    that order, others after them in the order of the file. What is no click on this image is left
    out, counted and named.

    Coordinates are in the CRS that the file names. GeoJSON without one holds longitude and
    latitude, which is known up to a whole turn. Where a GeoJSON's CRS is null, and in other files
    without one, they are taken for the image's own. Degrees are never taken for pixel numbers.

    Parameters
    ----------
    path : str or path
    raster : Raster
        The image they belong to.
    classes : sequence of LandClass
        Classes to choose from.
    column : str, optional
        Which column says the class, by name or by id.

    Raises
    ------
    ClickError
        If the file cannot be read, or nothing in it can be used.
    """
    path = Path(path)
    frame = Frame.of(raster)
    with _named(path):
        found = read_points(path, referenced=frame.transform is not None)
        return _placed(found, frame, classes, column)


@dataclass(frozen=True, slots=True)
class ClassColumns:
    """Columns of a file of clicks that may say the class.

    Attributes
    ----------
    columns : tuple of str
        In the order of the file.
    usual : str or None
        The one that is taken where nobody chooses; None if several could be meant, or none.
    ours : bool
        Whether the file was written by `write_clicks`, so that there is nothing to choose.
    """

    columns: tuple[str, ...]
    usual: str | None
    ours: bool


def class_columns(
    path: str | os.PathLike[str], *, raster: Raster, classes: Sequence[LandClass]
) -> ClassColumns:
    """Look which columns of a file of clicks may say the class.

    Parameters
    ----------
    path : str or path
    raster : Raster
        The image they belong to.
    classes : sequence of LandClass
        Classes to choose from.

    Raises
    ------
    ClickError
        If the file cannot be read.
    """
    path = Path(path)
    with _named(path):
        found = read_points(path, referenced=Frame.of(raster).transform is not None)
    usable = [feature.properties for feature in found.features if not feature.problem]
    columns = tuple(dict.fromkeys(name for properties in usable for name in properties))
    try:
        usual = ClassReader.choose(found.features, classes).usual_column(columns)
    except ClickError:
        usual = None
    return ClassColumns(columns, usual, {*columns} == _OURS)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Name the file in what is wrong with it."""
    try:
        yield
    except ClickError as error:
        raise ClickError(f"{path.name}: {error}") from error
    except RecursionError as error:
        raise ClickError(f"{path.name} is nested too deeply for GeoJSON") from error


def read_clicks(
    path: str | os.PathLike[str], *, raster: Raster, classes: Sequence[LandClass]
) -> Clicks:
    """Clicks of a file, without a word on what was left out; see `load_clicks`."""
    return load_clicks(path, raster=raster, classes=classes).clicks


def _placed(
    found: PointFile, frame: Frame, classes: Sequence[LandClass], column: str | None
) -> LoadedClicks:
    reader = ClassReader.choose(found.features, classes, column)
    usable = [feature for feature in found.features if not feature.problem]
    reader.refuse_ids_from_one(usable)
    problems = [(f.group, f.problem) for f in found.features if f.problem]
    xs, ys = _coordinates(usable)
    places = iter(to_pixels(xs, ys, found.source, frame))
    clicks: list[tuple[float, Click]] = []
    for feature in usable:
        try:
            label: int | None = reader.label(feature)
        except ClickError as error:
            problems.append(("of no class", str(error)))
            label = None
        for x, y in feature.positions:
            place = next(places)
            if label is None:
                continue
            if place is None:
                problems.append(("without a place in the image's CRS", _nowhere(feature, x, y)))
            elif not (0 <= place[0] < frame.shape[0] and 0 <= place[1] < frame.shape[1]):
                problems.append(("outside the image", _outside(feature, x, y, frame)))
            else:
                click = Click(math.floor(place[0]), math.floor(place[1]), label)
                clicks.append((_order(feature), click))
    if problems and not clicks:
        others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ClickError(f"{problems[0][1]}{others}")
    ordered = [click for _, click in sorted(clicks, key=lambda pair: pair[0])]
    kept = Clicks(tuple(ordered))
    if len(kept) < len(ordered):
        problems += [("on the pixel of a later one", "")] * (len(ordered) - len(kept))
    understood = f"classes from the column {reader.column}" if reader.column else ""
    first = next((line for _, line in problems if line), "a pixel holds one click, the latest")
    counted = dict(Counter(group for group, _ in problems))
    return LoadedClicks(kept, counted, first if counted else "", understood)


def _coordinates(features: Sequence[PointFeature]) -> tuple[list[float], list[float]]:
    positions = [position for feature in features for position in feature.positions]
    return [x for x, _ in positions], [y for _, y in positions]


def _outside(feature: PointFeature, x: float, y: float, frame: Frame) -> str:
    return (
        f"{feature.name} at ({x:.10g}, {y:.10g}) lies outside the image of "
        f"{frame.shape[0]} x {frame.shape[1]} pixels; remove it or open the image it was made on"
    )


def _nowhere(feature: PointFeature, x: float, y: float) -> str:
    return f"{feature.name} at ({x:.10g}, {y:.10g}) has no place in the image's CRS"


def _order(feature: PointFeature) -> float:
    order = feature.properties.get("order")
    try:
        number = float(order) if isinstance(order, int | float | str) else math.inf
    except ValueError:
        return math.inf
    return math.inf if math.isnan(number) else number
