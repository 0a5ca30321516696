"""A feature of a file of points: `PointFeature`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PointFeature:
    """A feature of a file of points, also one that cannot be a click.

    Attributes
    ----------
    name : str
        Its name in messages: ``"feature 3"``, ``"line 4"``.
    positions : tuple of (x, y)
        In the file's coordinates; several if it is a multipoint.
    properties : mapping of str to value
    problem : str
        Why it cannot be a click, in one line; empty if it can.
    group : str
        The same in a few words, to count such features: ``"Polygons"``.
    """

    name: str
    positions: tuple[tuple[float, float], ...]
    properties: Mapping[str, object]
    problem: str = ""
    group: str = ""
