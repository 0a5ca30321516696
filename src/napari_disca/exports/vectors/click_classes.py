"""Finds the class of each point in a file: in any column, as a name or as an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_disca.core.errors import ClickError
from napari_disca.exports.vectors.geojson import quoted
from napari_disca.exports.vectors.point import PointFeature

if TYPE_CHECKING:
    # `networks` costs torch, which a reader of clicks should not pay for.
    from napari_disca.networks.card import LandClass

#: Columns with the class as an id, and those with its name, in lower case.
_ID = ("class_id", "classid", "class id", "class-id")
_NAMES = ("class", "class_name", "classname", "label", "name")
#: Columns that number features or have their positions, so that their values are no class ids.
_NO_CLASS = {"fid", "id", "gid", "oid", "ogc_fid", "objectid", "index", "order", "row", "col"} | {
    *("x", "y", "z", "lon", "lat", "long", "longitude", "latitude", "column", "line", "axis-0"),
    *("axis-1", "easting", "northing", "confidence", "score", "area"),
}


@dataclass(frozen=True, slots=True)
class ClassReader:
    """Reads the class of a feature.

    Attributes
    ----------
    classes : sequence of LandClass
        The network's classes; a class is returned as an index into them.
    column : str or None
        The only column that is read; None reads ``class_id``, or else a name in ``class``,
        ``label`` or ``name``.
    """

    classes: Sequence[LandClass]
    column: str | None = None

    @classmethod
    def choose(
        cls,
        features: Sequence[PointFeature],
        classes: Sequence[LandClass],
        column: str | None = None,
    ) -> ClassReader:
        """Return a reader of the column that has the class.

        Parameters
        ----------
        features : sequence of PointFeature
        classes : sequence of LandClass
        column : str, optional
            The column that the user names, in upper or lower case.

        Raises
        ------
        ClickError
            If there is no such column, or several have classes and none is named.
        """
        usable = [feature.properties for feature in features if not feature.problem]
        columns = list(dict.fromkeys(name for properties in usable for name in properties))
        if column is not None:
            return cls(classes, _named(column, columns))
        reader = cls(classes)
        if any(_value(properties, (*_ID, *_NAMES)) is not None for properties in usable) and (
            any(reader._by_name(_value(properties, _NAMES)) is not None for properties in usable)
            or any(_value(properties, _ID) is not None for properties in usable)
        ):
            return reader
        return cls(classes, _guessed(reader, usable, columns))

    def usual_column(self, columns: Sequence[str]) -> str | None:
        """Return which of a file's columns is read first; None if it has none of them."""
        if self.column is not None:
            return self.column
        lower = {name.strip().lower(): name for name in columns}
        return next((lower[name] for name in (*_ID, *_NAMES) if name in lower), None)

    def label(self, feature: PointFeature) -> int:
        """Return the class of a feature.

        Raises
        ------
        ClickError
            If it has none of the classes, or a name and an id that contradict each other.
        """
        if self.column is not None:
            return self._in_column(feature, self.column)
        named = _value(feature.properties, _NAMES)
        by_name = self._by_name(named)
        value = _value(feature.properties, _ID)
        if value is None:
            if by_name is not None:
                return by_name
            by_id = self._by_id(_value(feature.properties, _NAMES[:4]))
            if by_id is not None:
                return by_id
            what = f"class {quoted(named)}" if named is not None else "no class_id and no class"
            raise ClickError(f"{feature.name} has {what}; the classes are {self._class_list}")
        label = self._by_id(value)
        if label is None:
            raise ClickError(
                f"{feature.name} has class_id {quoted(value)}; the classes are {self._class_list}"
            )
        if by_name not in (None, label):
            # For instance clicks for a network that numbers its classes in another order.
            raise ClickError(
                f"{feature.name} has class_id {label}, which is {self.classes[label].name!r}, but "
                f"the class name {self.classes[by_name or 0].name!r}; correct one of them"
            )
        return label

    def refuse_ids_from_one(self, features: Sequence[PointFeature]) -> None:
        """Raise an error if class ids are counted from 1, because each would mean another class.

        Raises
        ------
        ClickError
            If the smallest id is 1 and the largest is the number of classes.
        """
        values = [
            feature.properties.get(self.column)
            if self.column is not None
            else _value(feature.properties, (*_ID, *_NAMES[:4]))
            for feature in features
        ]
        numbers = (_number(value) for value in values if self._by_name(value) is None)
        ids = {number for number in numbers if number is not None and number.is_integer()}
        count = len(self.classes)
        if ids and min(ids) == 1 and max(ids) == count:
            raise ClickError(
                f"has class ids from 1 to {count}, but the classes are {self._class_list}: ids are "
                "counted from 0; subtract 1, or write the names"
            )

    def _in_column(self, feature: PointFeature, column: str) -> int:
        value = feature.properties.get(column)
        label = self.resolve(value)
        if label is None:
            raise ClickError(
                f"{feature.name} has {column[:40]} {quoted(value)}; "
                f"the classes are {self._class_list}"
            )
        return label

    def resolve(self, value: object) -> int | None:
        """Return the class that has a value as its name or its id; None if there is none."""
        by_name = self._by_name(value)
        return self._by_id(value) if by_name is None else by_name

    def _by_name(self, value: object) -> int | None:
        if not isinstance(value, str):
            return None
        name = value.strip()
        names = [land.name.strip() for land in self.classes]
        exact = [index for index, other in enumerate(names) if other == name]
        alike = [i for i, other in enumerate(names) if other.casefold() == name.casefold()]
        return next(iter(exact + alike), None)

    def _by_id(self, value: object) -> int | None:
        number = _number(value)
        if number is None or not number.is_integer() or not 0 <= number < len(self.classes):
            return None
        return int(number)

    @property
    def _class_list(self) -> str:
        return ", ".join(f"{index} {land.name}" for index, land in enumerate(self.classes))


def _guessed(
    reader: ClassReader, usable: Sequence[Mapping[str, object]], columns: Sequence[str]
) -> str | None:
    """Return the only column whose values are classes, as names or else as ids; None without one.

    Raises
    ------
    ClickError
        If there are several.
    """
    free = [name for name in columns if name.strip().lower() not in _NO_CLASS]
    by_name = {
        name: sum(reader._by_name(properties.get(name)) is not None for properties in usable)
        for name in free
    }
    best = [name for name, count in by_name.items() if count and count == max(by_name.values())]
    if not best:
        given = {name: [p[name] for p in usable if p.get(name) is not None] for name in free}
        best = [
            name
            for name, values in given.items()
            if values and all(reader._by_id(value) is not None for value in values)
        ]
    if len(best) > 1:
        raise ClickError(
            f"has classes in the columns {', '.join(best[:5])}; choose one (--class-column), or "
            "keep only one"
        )
    return best[0] if best else None


def _number(value: object) -> float | None:
    """Return an attribute as a number; None if it is none.

    Some programs store all attributes as text, or all numbers as floating-point numbers.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _named(column: str, columns: Sequence[str]) -> str:
    if column in columns:
        return column
    alike = [name for name in columns if name.strip().casefold() == column.strip().casefold()]
    if alike:
        return alike[0]
    raise ClickError(
        f"has no column {quoted(column)}; its columns are "
        f"{', '.join(name[:30] for name in columns[:12]) or 'none'}"
    )


def _value(properties: Mapping[str, object], names: Sequence[str]) -> object:
    """Return the first of some properties that is not empty; their names are in lower case."""
    lower = {str(name).strip().lower(): value for name, value in properties.items()}
    for name in names:
        value = lower.get(name)
        if value is not None and not (isinstance(value, str) and not value.strip()):
            return value
    return None
