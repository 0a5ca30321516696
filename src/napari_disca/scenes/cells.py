"""Fills the cells of the plan by their use."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from napari_disca.scenes.estates import flats, hall
from napari_disca.scenes.homes import car, compound, house, pick, terrace
from napari_disca.scenes.lots import Lot, divide, inside, settle
from napari_disca.scenes.objects import Contents, CrownKind, Tree, Zone
from napari_disca.scenes.plan import HALF_WIDTH, PAVEMENT, Quad, Road, World, between
from napari_disca.scenes.regions import Region

Random = np.random.Generator
Fronts = tuple[float | None, ...]


@lru_cache(maxsize=768)
def contents(world: World, row: int, col: int) -> Contents:
    """Return everything in a cell, and the roads along its top and left."""
    rng = world.rng("cell", row, col)
    quad = world.corners(row, col)
    things = Contents()
    around = (
        world.road(row, col, down=False),
        world.road(row, col + 1, down=True),
        world.road(row + 1, col, down=False),
        world.road(row, col, down=True),
    )
    things.roads.extend(road for road in (around[0], around[3]) if road is not None)
    fronts = tuple(_front(road) for road in around)
    _USES[world.use(row, col)](world, quad, fronts, things, rng)
    _hedgerows(world, around, (row, col), things, rng)
    for road in things.roads:
        _traffic(world, road, things, rng)
    _plant(world, things)
    return things


def _front(road: Road | None) -> float | None:
    return None if road is None else HALF_WIDTH[road.kind] + PAVEMENT[road.kind] + 0.6


def _halves(quad: Quad, share: float) -> tuple[Quad, Quad, complex, complex]:
    """Cut a quad across its longer sides; return both parts and the ends of the cut."""
    a, b, c, d = quad
    if abs(b - a) + abs(c - d) >= abs(d - a) + abs(c - b):
        top, bottom = a + (b - a) * share, d + (c - d) * share
        return (a, top, bottom, d), (top, b, c, bottom), top, bottom
    left, right = a + (d - a) * share, b + (c - b) * share
    return (a, b, right, left), (left, right, c, d), left, right


def _blocks(
    world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random, chance: float
) -> list[tuple[Quad, Fronts]]:
    """Return the parts of a cell, which a street may cut where it is dry and meets roads."""
    first, second, start, end = _halves(quad, float(rng.uniform(0.44, 0.56)))
    level = world.water_at(world.to_world(between(start, end)))
    down = first[1] == start
    joined = None not in ((fronts[0], fronts[2]) if down else (fronts[1], fronts[3]))
    if rng.random() >= chance or not joined or (level > -0.1).any():
        return [(quad, fronts)]
    street = Road(start, end, "street", True)
    things.roads.append(street)
    front = _front(street)
    if down:
        return [
            (first, (fronts[0], front, fronts[2], fronts[3])),
            (second, (fronts[0], fronts[1], fronts[2], front)),
        ]
    return [
        (first, (fronts[0], fronts[1], front, fronts[3])),
        (second, (front, fronts[1], fronts[2], fronts[3])),
    ]


def _built(
    surface: str,
    widths: tuple[float, float],
    depth: float,
    cut: float,
    build: Callable[[Lot, Region, Random], None],
) -> Callable[[World, Quad, Fronts, Contents, Random], None]:
    """Return a use whose lots are all built in the same way."""

    def use(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
        region = world.region
        things.zones.append(Zone(quad, region.surfaces[surface]))
        lots: list[Lot] = []
        for block, sides in _blocks(world, quad, fronts, things, rng, cut):
            lots += divide(block, sides, widths, depth, rng)
        for lot in lots:
            build(lot, region, rng)
        settle(world, lots, things)

    return use


def _houses(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
    region = world.region
    things.zones.append(Zone(quad, region.surfaces["garden"]))
    usual = pick(region.roofs, rng, 0.04)
    lots: list[Lot] = []
    for block, sides in _blocks(world, quad, fronts, things, rng, 0.85):
        lots += divide(block, sides, (14.0, 19.5), 28.5, rng)
    for lot in lots:
        if rng.random() < 0.94:
            house(lot, region, rng, usual if rng.random() < 0.55 else pick(region.roofs, rng))
    settle(world, lots, things)


def _fields(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
    crops = world.region.crops
    strips = [quad]
    for _ in range(int(rng.integers(0, 3))):
        first, second, _, _ = _halves(strips.pop(), float(rng.uniform(0.3, 0.7)))
        strips += [first, second]
    for strip in strips:
        crop = crops[int(rng.integers(len(crops)))]
        sides = [abs(strip[(k + 1) % 4] - strip[k]) for k in range(4)]
        along = int(np.argmax(sides))
        things.zones.append(
            Zone(strip, crop, float(rng.uniform(1.6, 3.2)), along, float(rng.uniform(0.03, 0.09)))
        )


def _open(
    surface: str, spacing: float, density: float, kind: CrownKind, big: float
) -> Callable[[World, Quad, Fronts, Contents, Random], None]:
    """Return a use that is ground with plants, dense or sparse."""

    def use(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
        things.zones.append(Zone(quad, world.region.surfaces[surface], natural=True))
        grow(quad, things, rng, spacing, density, kind, big)

    return use


def grow(
    quad: Quad,
    things: Contents,
    rng: Random,
    spacing: float,
    density: float,
    kind: CrownKind,
    big: float,
) -> None:
    """Plant a quad on a jittered lattice, in plan coordinates."""
    xs = [corner.real for corner in quad]
    ys = [corner.imag for corner in quad]
    across = int((max(xs) - min(xs)) / spacing)
    down = int((max(ys) - min(ys)) / spacing)
    shaken = rng.random((down, across, 5))
    for i in range(down):
        for j in range(across):
            u, v, keep, size, shade = shaken[i, j]
            if keep > density:
                continue
            place = complex(min(xs) + (j + u) * spacing, min(ys) + (i + v) * spacing)
            if min(inside(quad, side, place) for side in range(4)) < 4.0:
                continue
            radius = big * (0.55 + 0.6 * size)
            things.wild.append(Tree(place, radius, radius * 2.1, float(shade), kind))


def _grove(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
    """Plant date palms in rows beside irrigated fields."""
    first, second, _, _ = _halves(quad, float(rng.uniform(0.35, 0.65)))
    things.zones.append(Zone(first, world.region.surfaces["grove"]))
    _fields(world, second, fronts, things, rng)
    a, b, c, d = first
    rows, cols = int(abs(d - a) / 8.0), int(abs(b - a) / 8.0)
    for i in range(1, rows):
        for j in range(1, cols):
            if rng.random() < 0.9:
                v, u = i / rows, j / cols
                place = (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v
                shake = complex(*rng.normal(0, 0.3, 2))
                radius = float(rng.uniform(2.3, 3.3))
                things.wild.append(Tree(place + shake, radius, 7.0, float(rng.random()), "palm"))


def _park(world: World, quad: Quad, fronts: Fronts, things: Contents, rng: Random) -> None:
    things.zones.append(Zone(quad, world.region.surfaces["lawn"]))
    grow(quad, things, rng, 13.0, 0.5, "round", 3.6)


def _hedgerows(
    world: World,
    around: tuple[Road | None, ...],
    cell: tuple[int, int],
    things: Contents,
    rng: Random,
) -> None:
    """Plant hedges where fields meet without a road, and trees along avenues."""
    ends = (
        (world.corners(*cell)[0], world.corners(*cell)[1]),
        (
            world.corners(*cell)[0],
            world.corners(*cell)[3],
        ),
    )
    dry = world.region.sandy
    for road, (start, end) in zip((around[0], around[3]), ends, strict=True):
        length = abs(end - start)
        axis = (end - start) / length
        if road is None and not dry and rng.random() < 0.75:
            for step in range(int(length / 2.2)):
                tall = rng.random() < 0.12
                radius = float(rng.uniform(2.4, 3.8) if tall else rng.uniform(1.2, 1.9))
                place = start + axis * complex(step * 2.2, rng.normal(0, 0.5))
                kind: CrownKind = "round" if tall else "shrub"
                things.wild.append(Tree(place, radius, radius * 1.7, float(rng.random()), kind))
        elif road is not None and road.kind in ("avenue", "lane") and rng.random() < 0.6:
            aside = HALF_WIDTH[road.kind] + PAVEMENT[road.kind] + 2.2
            for step in range(1, int(length / 11.0)):
                for side in (-aside, aside):
                    if rng.random() < 0.75:
                        radius = float(rng.uniform(1.7, 2.9))
                        place = start + axis * complex(step * 11.0, side)
                        kind = "palm" if dry else "round"
                        things.wild.append(
                            Tree(place, radius, radius * 2.2, float(rng.random()), kind)
                        )


def _plant(world: World, things: Contents) -> None:
    """Move wild trees to world coordinates; drop those in water or on a roof."""
    if things.wild:
        places = world.to_world(np.array([tree.centre for tree in things.wild]))
        things.trees += [
            Tree(complex(place), tree.radius, tree.height, tree.shade, tree.kind)
            for place, tree in zip(places, things.wild, strict=True)
        ]
        things.wild.clear()
    if not things.trees:
        return
    centres = np.array([tree.centre for tree in things.trees])
    radii = np.array([tree.radius for tree in things.trees])
    free = world.water_at(centres) < -0.02
    for part in things.parts:
        local = (centres - part.centre) * np.conj(part.axis)
        gap = np.maximum(np.abs(local.real) - part.length / 2, np.abs(local.imag) - part.width / 2)
        free &= gap > 0.35 * radii
    things.trees[:] = [tree for tree, keep in zip(things.trees, free, strict=True) if keep]


def _traffic(world: World, road: Road, things: Contents, rng: Random) -> None:
    """Place cars on the road, and parked at the kerb of streets."""
    length = abs(road.end - road.start)
    axis = (road.end - road.start) / length
    lane = HALF_WIDTH[road.kind] * 0.5
    places: list[tuple[complex, complex]] = []
    for _ in range(int(rng.poisson(length / (45.0 if road.kind == "avenue" else 160.0)))):
        side = float(rng.choice((-1, 1)))
        places.append((complex(rng.uniform(8, length - 8), side * lane), axis * side))
    if road.kind == "street" and road.busy:
        for step in range(2, int(length / 6.5) - 2):
            if rng.random() < 0.22:
                side = float(rng.choice((-1, 1)))
                kerb = HALF_WIDTH["street"] - 1.05
                places.append((complex(step * 6.5, side * kerb), axis))
    if not places:
        return
    plan = np.array([road.start + axis * local for local, _ in places])
    heading = np.array([direction for _, direction in places])
    here, ahead = world.to_world(plan), world.to_world(plan + heading)
    for place, direction in zip(here, ahead - here, strict=True):
        things.cars.append(car(complex(place), complex(direction / abs(direction)), rng))


_USES: dict[str, Callable[[World, Quad, Fronts, Contents, Random], None]] = {
    "houses": _houses,
    "terraces": _built("garden", (26.0, 44.0), 28.5, 0.95, terrace),
    "apartments": _built("lawn", (34.0, 58.0), 36.0, 0.9, flats),
    "works": _built("yard", (40.0, 70.0), 60.0, 0.35, hall),
    "park": _park,
    "fields": _fields,
    "meadow": _open("meadow", 18.0, 0.12, "round", 3.2),
    "forest": _open("forest", 4.6, 0.93, "round", 3.5),
    "compounds": _built("garden", (20.0, 28.0), 31.0, 0.9, compound),
    "blocks": _built("garden", (26.0, 44.0), 34.0, 0.9, flats),
    "desert": _open("desert", 14.0, 0.06, "shrub", 1.2),
    "scrub": _open("scrub", 7.0, 0.4, "shrub", 1.3),
    "grove": _grove,
}
