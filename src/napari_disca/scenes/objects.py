"""Objects on a cell, as values that the painter draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from napari_disca.scenes.plan import Quad, Road
from napari_disca.scenes.regions import Colour, Surface

RoofKind: TypeAlias = Literal["gable", "hip", "flat", "hall"]
CrownKind: TypeAlias = Literal["round", "palm", "shrub"]


@dataclass(frozen=True, slots=True)
class Zone:
    """A four-sided piece of ground in plan coordinates.

    Attributes
    ----------
    rows : float
        Distance of plough lines in metres, 0 for none.
    along : int
        Side of the quad that the lines follow.
    strength : float
        Contrast of the lines.
    natural : bool
        Whether its border is irregular, as in nature.
    """

    quad: Quad
    surface: Surface
    rows: float = 0.0
    along: int = 0
    strength: float = 0.0
    natural: bool = False


@dataclass(frozen=True, slots=True)
class Pad:
    """A flat rectangle: drive, court, car park, pool.

    `centre` is a world place; `axis` the direction of its length, of size 1.
    """

    centre: complex
    axis: complex
    length: float
    width: float
    colour: Colour
    label: int
    stalls: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a building under one roof.

    Attributes
    ----------
    base, eave, rise : float
        Height of its base, of its eaves, and of the ridge above the eaves.
    """

    centre: complex
    axis: complex
    length: float
    width: float
    eave: float
    rise: float
    roof: RoofKind
    colour: Colour
    base: float = 0.0

    @property
    def radius(self) -> float:
        """Distance from the centre to the farthest corner, without the shadow."""
        return 0.5 * abs(complex(self.length, self.width)) + 0.5


@dataclass(frozen=True, slots=True)
class Car:
    """A car or a lorry."""

    centre: complex
    axis: complex
    length: float
    width: float
    colour: Colour


@dataclass(frozen=True, slots=True)
class Tree:
    """A crown; `shade` chooses its colour among the region's, 0 ... 1."""

    centre: complex
    radius: float
    height: float
    shade: float
    kind: CrownKind = "round"


@dataclass(slots=True)
class Contents:
    """Everything in a cell: in world coordinates, but `zones`, `roads` and `wild` on the plan."""

    zones: list[Zone] = field(default_factory=list)
    roads: list[Road] = field(default_factory=list)
    pads: list[Pad] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    walls: list[Part] = field(default_factory=list)
    cars: list[Car] = field(default_factory=list)
    trees: list[Tree] = field(default_factory=list)
    wild: list[Tree] = field(default_factory=list)
