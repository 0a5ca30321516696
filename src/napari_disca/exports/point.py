"""A feature of a file of points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PointFeature:
    """A feature as a file has it.

    Attributes
    ----------
    name : str
        What messages call it: ``"feature 3"``, ``"line 4"``.
    positions : tuple of (x, y)
        One of a point, several of a multipoint.
    properties : mapping of str to value
    problem : str
        Why it cannot be a click, in one line; empty if nothing is known against it.
    group : str
        The same in a few words that can be counted: ``"Polygons"``.
    """

    name: str
    positions: tuple[tuple[float, float], ...]
    properties: Mapping[str, object]
    problem: str = ""
    group: str = ""
