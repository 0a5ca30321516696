"""Table of the classes: their names, colours and order, which are hidden, and which are merged.

A network's classes are fixed by its training; names and colours are the user's choice. The ids
never change, so clicks, maps and weights keep their meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ClassTableError, JournalError
from napari_disca.networks.card import LandClass
from napari_disca.session.steps.journal_fields import text_field, whole_field
from napari_disca.session.steps.steps import ImageFacts, Step


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """Name, colour and state of one class.

    Attributes
    ----------
    id : int
        The map's value.
    name : str
    color : str
        ``#rrggbb``.
    group : str
        Name of the class that it is merged into in the saved map; empty if it is not merged.
    hidden : bool
        Whether the map is transparent where this class is; it is saved nevertheless.
    """

    id: int
    name: str
    color: str
    group: str = ""
    hidden: bool = False

    def __post_init__(self) -> None:
        LandClass(self.name, self.color)
        if self.group:
            LandClass(self.group, self.color)


@dataclass(frozen=True, slots=True)
class ClassTable:
    """All classes in the order in which they are shown; without entries, the network's own."""

    entries: tuple[ClassEntry, ...] = ()

    @classmethod
    def of(cls, classes: Iterable[LandClass]) -> Self:
        """Return the table with names, colours and order of a network's card."""
        return cls(tuple(ClassEntry(i, land.name, land.color) for i, land in enumerate(classes)))

    def checked(self, count: int) -> ClassTable:
        """Return the table itself, if it fits a network.

        Parameters
        ----------
        count : int
            Number of the network's classes.

        Raises
        ------
        ClassTableError
            If its entries are not these classes, or two have the same name.
        """
        if not self.entries:
            return self
        if sorted(entry.id for entry in self.entries) != list(range(count)):
            ids = ", ".join(str(entry.id) for entry in self.entries)
            raise ClassTableError(
                f"the classes of this network are 0 to {count - 1}, each once; the table has {ids}"
            )
        owners: dict[str, object] = {}
        for entry in self.entries:
            self._claim(owners, entry.name, entry.id)
        for group in {entry.group for entry in self.entries if entry.group}:
            members = self.members(group)
            if owners.get(group.strip().casefold()) not in {None, *members}:
                raise ClassTableError(
                    f"{group!r} is a class that is not merged into it; choose another name"
                )
        return self

    @staticmethod
    def _claim(owners: dict[str, object], name: str, owner: object) -> None:
        if name.strip().casefold() in owners:
            raise ClassTableError(f"two classes are called {name!r}; give them different names")
        owners[name.strip().casefold()] = owner

    # ---------------------------------------------------------------- what it says

    def entry(self, label: int) -> ClassEntry:
        """Return the entry of a class.

        Raises
        ------
        ClassTableError
            If there is no such class.
        """
        for entry in self.entries:
            if entry.id == label:
                return entry
        raise ClassTableError(f"there is no class {label}; there are {len(self.entries)}")

    @property
    def order(self) -> tuple[int, ...]:
        """The ids in the order in which they are shown."""
        return tuple(entry.id for entry in self.entries)

    @property
    def hidden(self) -> frozenset[int]:
        """The ids of hidden classes."""
        return frozenset(entry.id for entry in self.entries if entry.hidden)

    def members(self, group: str) -> tuple[int, ...]:
        """Return the ids that are merged under a name; the first, lowest one is saved."""
        return tuple(sorted(entry.id for entry in self.entries if group and entry.group == group))

    @property
    def values(self) -> NDArray[np.uint8]:
        """Return the value that is saved for each value of a map; 255 stays.

        Returns
        -------
        (256,) array of uint8
        """
        values = np.arange(256, dtype=np.uint8)
        for entry in self.entries:
            values[entry.id] = self.target(entry)
        return values

    def target(self, entry: ClassEntry) -> int:
        """Return the id with which a class is saved."""
        return self.members(entry.group)[0] if entry.group else entry.id

    @property
    def classes(self) -> tuple[LandClass, ...]:
        """Return the classes by id as they are shown: merged ones have the same colour."""
        return tuple(
            LandClass(entry.name, self.entry(self.target(entry)).color) for entry in self._by_id
        )

    @property
    def saved_classes(self) -> tuple[LandClass, ...]:
        """Return the classes by id as they are saved: merged ones are the same."""
        return tuple(
            LandClass(entry.group or entry.name, self.entry(self.target(entry)).color)
            for entry in self._by_id
        )

    @property
    def _by_id(self) -> list[ClassEntry]:
        return sorted(self.entries, key=lambda entry: entry.id)

    # ---------------------------------------------------------------- other tables

    def renamed(self, label: int, name: str) -> ClassTable:
        """Return a table in which a class has another name."""
        return self._with(label, name=name.strip())

    def recoloured(self, colours: Mapping[int, str]) -> ClassTable:
        """Return a table with other colours by id; classes merged with one get its colour."""
        wanted: dict[int, str] = {}
        for label, colour in colours.items():
            group = self.entry(label).group
            wanted |= dict.fromkeys(self.members(group) or (label,), colour.lower())
        return ClassTable(
            tuple(replace(entry, color=wanted.get(entry.id, entry.color)) for entry in self.entries)
        )

    def with_hidden(self, label: int, hidden: bool) -> ClassTable:
        """Return a table in which a class is hidden or shown."""
        return self._with(label, hidden=hidden)

    def moved(self, label: int, place: int) -> ClassTable:
        """Return a table in which a class is at another place of the list, counted from 0."""
        entry = self.entry(label)
        rest = [other for other in self.entries if other is not entry]
        rest.insert(max(0, min(place, len(rest))), entry)
        return ClassTable(tuple(rest))

    def merged(self, labels: Iterable[int], name: str) -> ClassTable:
        """Return a table in which classes, and all merged with them, are saved as one.

        Raises
        ------
        ClassTableError
            If they are fewer than two, or another class has that name.
        """
        together = set(labels)
        for label in tuple(together):
            together |= set(self.members(self.entry(label).group))
        if len(together) < 2:
            raise ClassTableError("choose two or more classes to merge")
        return ClassTable(
            tuple(
                replace(entry, group=name.strip()) if entry.id in together else entry
                for entry in self.entries
            )
        )

    def separated(self, labels: Iterable[int]) -> ClassTable:
        """Return a table in which the groups of classes are not merged any more."""
        groups = {self.entry(label).group for label in labels} - {""}
        return ClassTable(
            tuple(
                replace(entry, group="") if entry.group in groups else entry
                for entry in self.entries
            )
        )

    def _with(self, label: int, **changes: Any) -> ClassTable:
        entry = self.entry(label)
        return ClassTable(
            tuple(replace(other, **changes) if other is entry else other for other in self.entries)
        )


@dataclass(frozen=True, slots=True)
class SetClasses:
    """Replace the table of the classes."""

    table: ClassTable
    title: str = "change classes"
    kind: ClassVar[str] = "classes"

    def applied(self, step: Step, facts: ImageFacts) -> Step:
        """See `Action`."""
        table = self.table.checked(facts.classes)
        if table == step.value(ClassTable):
            return step
        return step.with_value(table).titled(self.title)

    def fields(self, before: Step, after: Step) -> Mapping[str, Any]:
        """See `Action`."""
        return {"title": self.title, "classes": [_fields(entry) for entry in self.table.entries]}

    @classmethod
    def read(cls, fields: Mapping[str, Any], step: Step) -> Self:
        """See `Action`."""
        entries = fields["classes"]
        if not isinstance(entries, list):
            raise JournalError("its classes are not a list")
        return cls(ClassTable(tuple(map(_entry, entries))), text_field(fields, "title"))


def _fields(entry: ClassEntry) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": entry.id, "name": entry.name, "color": entry.color}
    if entry.group:
        fields["group"] = entry.group
    if entry.hidden:
        fields["hidden"] = True
    return fields


def _entry(fields: Any) -> ClassEntry:
    if not isinstance(fields, Mapping):
        raise JournalError("a class is not an object")
    hidden = fields.get("hidden", False)
    if not isinstance(hidden, bool):
        raise JournalError("'hidden' is neither true nor false")
    group = text_field(fields, "group") if "group" in fields else ""
    name, color = text_field(fields, "name"), text_field(fields, "color")
    return ClassEntry(whole_field(fields["id"]), name, color, group, hidden)
