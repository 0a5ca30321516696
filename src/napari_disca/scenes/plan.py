"""The plan of a region: the use of each cell, and the roads between the cells.

Nodes of a jittered square lattice are joined by roads; the four-sided *cell* between four nodes
has one use (houses, fields, forest, ...). All of it is straight in *plan coordinates*: a smooth
warp takes the world there, so that in the world roads bend and houses follow them. Points are
complex numbers, ``x + iy`` in metres, x to the right and y down.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_disca.scenes.noise import Floats, at_points, field, key_of, lattice
from napari_disca.scenes.regions import ATLAS, Region

Points: TypeAlias = NDArray[np.complex128]
Quad: TypeAlias = tuple[complex, complex, complex, complex]
RoadKind: TypeAlias = Literal["avenue", "street", "lane", "track"]

#: Half of the carriageway's width.
HALF_WIDTH: dict[RoadKind, float] = {"avenue": 5.2, "street": 3.3, "lane": 2.5, "track": 1.6}
#: Width of the pavement beside it.
PAVEMENT: dict[RoadKind, float] = {"avenue": 2.2, "street": 1.5, "lane": 0.0, "track": 0.0}

_WARP_PERIOD = 130.0
_TOWN_PERIOD = 420.0
_LAKE_PERIODS = (330.0, 90.0, 28.0)
_LAKE_GAINS = (1.0, 0.22, 0.06)
_RIVER_PERIOD = 520.0
#: Number of lattice lines from one avenue, which nothing interrupts, to the next.
_AVENUES = 4


@dataclass(frozen=True, slots=True)
class Road:
    """A straight piece of road in plan coordinates."""

    start: complex
    end: complex
    kind: RoadKind
    busy: bool


@dataclass(frozen=True, slots=True)
class World:
    """The world of one seed and region, from which all random numbers derive."""

    seed: int
    name: str

    @property
    def region(self) -> Region:
        """The region's tables."""
        return ATLAS[self.name]

    def key(self, word: str) -> int:
        """Return the key of the random field called `word`."""
        return key_of(self.seed + self.region.first_seed, self.name, word)

    def rng(self, word: str, row: int, col: int) -> np.random.Generator:
        """Return the generator of random numbers of one cell or block."""
        low, high = self.key(word) & 0xFFFFFFFF, self.key(word) >> 32
        return np.random.default_rng([low, high, row + 2**31, col + 2**31])

    def chance(self, word: str, row: int, col: int) -> float:
        """Return one random number, 0 ... 1, for one cell."""
        knot = lattice(self.key(word), np.array([row]), np.array([col]))
        return float(knot[0]) * 0.5 + 0.5

    # ------------------------------------------------------------------ warp

    def to_plan(self, ys: NDArray[np.float64], xs: NDArray[np.float64]) -> tuple[Floats, Floats]:
        """Return plan coordinates x and y of a grid in world coordinates."""
        bend = np.float32(self.region.bend)
        x = field(ys, xs, _WARP_PERIOD, self.key("warp x")) * bend
        y = field(ys, xs, _WARP_PERIOD, self.key("warp y")) * bend
        x += xs.astype(np.float32)
        y += ys.astype(np.float32)[:, None]
        return x, y

    def to_world(self, plan: Points) -> Points:
        """Return world coordinates of plan coordinates, by three iterations, exact to 1 cm."""
        world = plan
        for _ in range(4):
            bent = at_points(world, _WARP_PERIOD, self.key("warp x")) + 1j * at_points(
                world, _WARP_PERIOD, self.key("warp y")
            )
            world = plan - self.region.bend * bent
        return world

    # ------------------------------------------------------------------ water

    def water_level(self, ys: NDArray[np.float64], xs: NDArray[np.float64]) -> Floats:
        """Return a level that is above 0 in lakes and rivers, with a slope of about 1 per 100 m."""
        level = np.full((len(ys), len(xs)), self.region.lakes, dtype=np.float32)
        detail = np.zeros_like(level)
        for index, (period, gain) in enumerate(zip(_LAKE_PERIODS, _LAKE_GAINS, strict=True)):
            part = field(ys, xs, period, self.key(f"lake {index}")) * np.float32(gain)
            level += part
            if index:
                detail += part
        if self.region.rivers:
            river = field(ys, xs, _RIVER_PERIOD, self.key("river"))
            river += detail * np.float32(0.25)
            np.maximum(level, np.float32(self.region.rivers) - np.abs(river), out=level)
        return level

    def water_at(self, points: Points) -> NDArray[np.float64]:
        """Return `water_level` at scattered world places."""
        parts = [
            at_points(points, period, self.key(f"lake {index}")) * gain
            for index, (period, gain) in enumerate(zip(_LAKE_PERIODS, _LAKE_GAINS, strict=True))
        ]
        level: NDArray[np.float64] = sum(parts) + np.full(points.shape, self.region.lakes)
        if self.region.rivers:
            river = at_points(points, _RIVER_PERIOD, self.key("river"))
            river += (parts[1] + parts[2]) * 0.25
            level = np.maximum(level, self.region.rivers - np.abs(river))
        return level

    # ------------------------------------------------------------------ lattice

    def node(self, row: int, col: int) -> complex:
        """Return the crossroads `(row, col)` in plan coordinates."""
        return _node(self, row, col)

    def corners(self, row: int, col: int) -> Quad:
        """Return the four nodes around a cell, clockwise from the top left."""
        places = ((row, col), (row, col + 1), (row + 1, col + 1), (row + 1, col))
        return tuple(self.node(*place) for place in places)  # type: ignore[return-value]

    def use(self, row: int, col: int) -> str:
        """Return the use of a cell."""
        return _use(self, row, col)

    def road(self, row: int, col: int, *, down: bool) -> Road | None:
        """Return the road from a node to the next one, down or to the right; None without one."""
        return _road(self, row, col, down)

    def cells(
        self, left: float, top: float, right: float, bottom: float
    ) -> Iterator[tuple[int, int]]:
        """Yield the cells that may reach into bounds of the world."""
        size = self.region.cell
        margin = self.region.jitter * size + 4 * self.region.bend
        for row in range(int((top - margin) // size), int((bottom + margin) // size) + 1):
            for col in range(int((left - margin) // size), int((right + margin) // size) + 1):
                yield row, col


def between(start: complex, end: complex, count: int = 9) -> Points:
    """Return points at equal distances on a line, with its ends."""
    return np.linspace(start, end, count, dtype=np.complex128)


@lru_cache(maxsize=8192)
def _node(world: World, row: int, col: int) -> complex:
    knot = lattice(world.key("nodes"), np.array([row, row]), np.array([2 * col, 2 * col + 1]))
    jitter = world.region.jitter
    return world.region.cell * complex(col + jitter * knot[0], row + jitter * knot[1])


@lru_cache(maxsize=8192)
def _use(world: World, row: int, col: int) -> str:
    region = world.region
    centre = np.array([region.cell * complex(col + 0.5, row + 0.5)])
    town = at_points(centre, _TOWN_PERIOD, world.key("town"))[0]
    kinds = region.centre if town > 0.75 else region.settled if town > -0.45 else region.quiet
    return kinds[int(world.chance("use", row, col) * 0.9999 * len(kinds))]


_URBAN = ("houses", "terraces", "apartments", "works", "compounds", "blocks", "park")


@lru_cache(maxsize=16384)
def _road(world: World, row: int, col: int, down: bool) -> Road | None:
    start = world.node(row, col)
    end = world.node(row + 1, col) if down else world.node(row, col + 1)
    along = world.to_world(between(start, end))
    # Narrow water is bridged, wider water by avenues only; no road ends in the water.
    wet = world.water_at(along) > -0.05
    drowned = bool(wet[0] or wet[-1])
    line = col if down else row
    if line % _AVENUES == 1 and not drowned and wet.mean() < 0.5:
        return Road(start, end, "avenue", True)
    if drowned or wet.mean() > 0.3:
        return None
    sides = ((row, col - 1), (row, col)) if down else ((row - 1, col), (row, col))
    urban = sum(world.use(*side) in _URBAN for side in sides)
    chance = world.chance("road down" if down else "road right", row, col)
    if urban:
        return Road(start, end, "street", urban == 2)
    if chance < 0.3:
        return Road(start, end, "lane", False)
    if chance < 0.62:
        return Road(start, end, "track", False)
    return None
