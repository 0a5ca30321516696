"""Maps a network's classes to the ids of reference masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.networks import LandClass


@dataclass(frozen=True)
class ClassMap:
    """The mask id of every class of a network.

    Parameters
    ----------
    ids : tuple of int
        ``ids[c]`` is the mask's id for the network's class ``c``; several classes may share one.
    names : tuple of str
        Names of the network's classes.

    Raises
    ------
    DataError
        If an id is not between 0 and 254.
    """

    ids: tuple[int, ...]
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name, value in zip(self.names, self.ids, strict=True):
            if not 0 <= value < IGNORE:
                raise DataError(
                    f"class {name!r} is mapped onto mask id {value}; ids are 0 to {IGNORE - 1}"
                )

    @classmethod
    def same(cls, classes: Sequence[LandClass]) -> ClassMap:
        """Return the map for masks with the network's own class ids."""
        return cls(tuple(range(len(classes))), tuple(c.name for c in classes))

    @classmethod
    def of(cls, ids: Mapping[int, int] | None, classes: Sequence[LandClass]) -> ClassMap:
        """Return the map of a mapping from class ids to mask ids; with None the ids are equal.

        Raises
        ------
        DataError
            If a class is missing or does not exist.
        """
        if ids is None:
            return cls.same(classes)
        missing = [c.name for i, c in enumerate(classes) if i not in ids]
        unknown = sorted(set(ids) - set(range(len(classes))))
        if missing or unknown:
            what = f"lacks class {missing[0]!r}" if missing else f"names class {unknown[0]}"
            raise DataError(
                f"the class map {what}, but the network's classes are "
                f"{', '.join(f'{i} {c.name}' for i, c in enumerate(classes))}; map each of them"
            )
        return cls(tuple(ids[i] for i in range(len(classes))), tuple(c.name for c in classes))

    @classmethod
    def parse(cls, text: str, classes: Sequence[LandClass]) -> ClassMap:
        """Return the map of a text ``"building=1,*=0"``: class names or ids, ``*`` for all others.

        Raises
        ------
        DataError
            If the text is not such a map, or a class is missing or unknown.
        """
        by_name = {c.name: i for i, c in enumerate(classes)}
        ids: dict[int, int] = {}
        others: int | None = None
        for part in text.split(","):
            name, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not value.isdecimal():
                raise DataError(
                    f"{part.strip()!r} in the class map {text!r} is not like building=1"
                )
            if name == "*":
                others = int(value)
            elif name in by_name:
                ids[by_name[name]] = int(value)
            elif name.isdecimal():
                ids[int(name)] = int(value)
            else:
                raise DataError(
                    f"the class map names {name!r}, but the network's classes are "
                    f"{', '.join(by_name)}"
                )
        if others is not None:
            ids = {**dict.fromkeys(range(len(classes)), others), **ids}
        return cls.of(ids, classes)

    @property
    def size(self) -> int:
        """One more than the largest mask id."""
        return max(self.ids) + 1

    def apply(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mask ids of a map of network classes; 255 stays."""
        table = np.full(256, IGNORE, dtype=np.uint8)
        table[: len(self.ids)] = self.ids
        return table[labels]

    def mask_classes(self, classes: Sequence[LandClass]) -> list[LandClass]:
        """Return the classes of the mask ids, each with the colour of its first class."""
        found = []
        for mask_id in range(self.size):
            of = self.candidates(mask_id)
            # An id without a class gets a colour that no class has.
            colour = classes[of[0]].color if of else f"#0101{mask_id:02x}"
            found.append(LandClass(self.name(mask_id) or f"id {mask_id}", colour))
        return found

    def candidates(self, mask_id: int) -> list[int]:
        """Return the network classes with a mask id."""
        return [c for c, value in enumerate(self.ids) if value == mask_id]

    def name(self, mask_id: int) -> str:
        """Return the names of the network classes with a mask id, joined by ``+``."""
        return "+".join(self.names[c] for c in self.candidates(mask_id))

    def checked(self, reference: NDArray[np.uint8], name: str) -> None:
        """Raise an error if a mask holds an id to which no class is mapped.

        Raises
        ------
        DataError
        """
        found = np.flatnonzero(np.bincount(reference.ravel(), minlength=256)[:IGNORE])
        unknown = sorted(set(found.tolist()) - set(self.ids))
        if unknown:
            allowed = ", ".join(f"{i} {self.name(i)}" for i in sorted(set(self.ids)))
            raise DataError(
                f"the mask of {name} holds id {unknown[0]}, but the network knows {allowed} and "
                f"{IGNORE} (ignore); give a class map such as building=1,*=0"
            )
