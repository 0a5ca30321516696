"""Places homes on lots: houses and terraces with gardens, walled compounds."""

from __future__ import annotations

import numpy as np

from napari_disca.scenes.lots import Lot
from napari_disca.scenes.objects import Car, Contents, CrownKind, Pad, Part, RoofKind, Tree
from napari_disca.scenes.regions import LAND, VEGETATION, WATER, Colour, Region

Random = np.random.Generator

_CAR_COLOURS: tuple[Colour, ...] = (
    (222, 222, 220), (196, 198, 200), (236, 236, 236), (58, 60, 64), (84, 86, 92), (46, 48, 52),
    (140, 142, 146), (134, 46, 42), (54, 72, 116), (104, 96, 84),
)  # fmt: skip
_POOL = (96.0, 178.0, 190.0)


def varied(colour: Colour, rng: Random, spread: float = 0.06) -> Colour:
    """Return a colour a little lighter or darker, warmer or colder."""
    light = 1.0 + spread * rng.standard_normal()
    tint = 1.0 + 0.14 * spread * rng.standard_normal(3)
    red, green, blue = (float(value) for value in np.array(colour) * light * tint)
    return red, green, blue


def pick(colours: tuple[Colour, ...], rng: Random, spread: float = 0.06) -> Colour:
    """One of these colours, varied."""
    return varied(colours[int(rng.integers(len(colours)))], rng, spread)


def car(centre: complex, axis: complex, rng: Random, lorry: float = 0.04) -> Car:
    """Return a parked or driving car; now and then a lorry."""
    colour = varied(_CAR_COLOURS[int(rng.integers(len(_CAR_COLOURS)))], rng, 0.05)
    if rng.random() < lorry:
        return Car(centre, axis, float(rng.uniform(7.0, 11.0)), 2.5, colour)
    return Car(centre, axis, float(rng.uniform(4.0, 4.9)), float(rng.uniform(1.75, 1.95)), colour)


def _hedge(things: Contents, start: complex, end: complex, rng: Random) -> None:
    count = int(abs(end - start) / 1.3)
    shade = float(rng.random())
    for step in range(count):
        at = start + (end - start) * (step + 0.5) / count
        things.trees.append(
            Tree(at, float(rng.uniform(0.85, 1.15)), 1.6, shade + 0.1 * rng.random(), "shrub")
        )


def house(lot: Lot, region: Region, rng: Random, roof: Colour) -> None:
    """Put a house with its garden on a lot."""
    things, width, depth = lot.things, lot.width, lot.depth
    setback = float(rng.uniform(4.5, 8.0))
    across = float(rng.uniform(7.6, 9.6))
    length = float(np.clip(rng.uniform(9.0, 14.0), 8.0, width - 4.2))
    turned = rng.random() < 0.22 and depth > setback + length + 6
    axis = 1j if turned else 1 + 0j
    spans = (across, length) if turned else (length, across)
    middle = complex(width / 2 + rng.uniform(-1, 1) * (width - spans[0] - 4) / 2, 0)
    centre = middle + 1j * (setback + spans[1] / 2)
    colour = varied(roof, rng, 0.07)
    eave = float(rng.uniform(3.0, 6.0))
    rise = across / 2 * float(rng.uniform(0.62, 0.95))
    kind: RoofKind = "hip" if rng.random() < 0.28 else "gable"
    things.parts.append(Part(centre, axis, length, across, eave, rise, kind, colour))
    if rng.random() < 0.5:  # a wing makes the footprint an L or a T
        wing = float(rng.uniform(4.8, 6.6))
        reach = across / 2 + float(rng.uniform(2.0, 4.5))
        side = axis * (float(rng.choice((-1, 1))) * (length - wing) / 2 * float(rng.random() < 0.7))
        back = axis * 1j * (-1 if turned and middle.real > width / 2 else 1)
        things.parts.append(
            Part(
                centre + side + back * reach / 2,
                back,
                reach,
                wing,
                eave * 0.95,
                rise * wing / across,
                "gable",
                colour,
            )
        )
    _chimney(things, things.parts[0], rng)
    drive = 2.2 if middle.real > width / 2 else width - 2.2
    paved = varied(region.pavement, rng, 0.08)
    long = setback + across * 0.8
    things.pads.append(Pad(complex(drive, long / 2), 1j, long, 3.0, paved, LAND))
    if rng.random() < 0.55 and abs(middle.real - drive) > spans[0] / 2 + 2.0:
        shed = pick(region.flats, rng)
        things.parts.append(Part(complex(drive, long + 2.6), 1j, 5.6, 3.2, 2.5, 0, "flat", shed))
    if rng.random() < 0.6:
        things.cars.append(car(complex(drive, float(rng.uniform(2.6, long - 2))), 1j, rng, 0))
    behind = setback + spans[1]
    things.pads.append(
        Pad(centre.real + 1j * (behind + 1.4), 1 + 0j, length * 0.6, 2.8, paved, LAND)
    )
    if depth - behind > 12 and rng.random() < 0.1:
        things.pads.append(
            Pad(complex(width / 2, behind + 7), 1 + 0j, 8.0, 5.6, (176, 170, 160), LAND)
        )
        things.pads.append(Pad(complex(width / 2, behind + 7), 1 + 0j, 6.6, 3.6, _POOL, WATER))
    if depth - behind > 9 and rng.random() < 0.4:
        hut = complex(float(rng.choice((2.6, width - 2.6))), depth - 2.6)
        things.parts.append(Part(hut, 1 + 0j, 3.4, 2.6, 2.1, 0.8, "gable", pick(region.flats, rng)))
    if rng.random() < 0.55:
        _hedge(things, 0.0 + 1j, complex(0.0, depth), rng)
    if rng.random() < 0.5:
        _hedge(things, 0j + depth * 1j, complex(width, depth), rng)
    if rng.random() < 0.3:
        _hedge(things, 1.0 + 0.6j, complex(width - 5, 0.6), rng)
    for _ in range(int(rng.integers(1, 9))):
        radius = float(0.8 + 2.8 * rng.random() ** 1.6)
        at = complex(
            rng.uniform(1.5, width - 1.5),
            rng.uniform(behind + radius + 1.5, max(depth - 1, behind + radius + 2)),
        )
        things.trees.append(Tree(at, radius, radius * 1.9, float(rng.random())))
    if rng.random() < 0.4:
        at = complex(width - drive, float(rng.uniform(1.5, 3.5)))
        things.trees.append(Tree(at, float(rng.uniform(1.0, 2.0)), 3.5, float(rng.random())))


def _chimney(things: Contents, roof: Part, rng: Random) -> None:
    """Put a chimney near the ridge, and sometimes solar panels on a slope."""
    at = complex(rng.uniform(-0.3, 0.3) * roof.length, rng.uniform(-0.12, 0.12) * roof.width)
    top = roof.eave + roof.rise
    things.parts.append(
        Part(
            roof.centre + roof.axis * at, roof.axis, 0.9, 0.7, top + 0.9, 0, "hall",
            (118.0, 92.0, 82.0), top - 0.4,
        )
    )  # fmt: skip
    if rng.random() < 0.14:
        side = float(rng.choice((-1, 1))) * roof.width * 0.25
        things.parts.append(
            Part(
                roof.centre + roof.axis * complex(0, side), roof.axis, roof.length * 0.5,
                roof.width * 0.3, top, 0, "hall", (48.0, 56.0, 76.0), top - 0.1,
            )
        )  # fmt: skip


def terrace(lot: Lot, region: Region, rng: Random) -> None:
    """Put a row of narrow houses under one ridge on a lot, each with its strip of garden."""
    things, depth = lot.things, lot.depth
    across, setback = float(rng.uniform(8.5, 10.5)), float(rng.uniform(2.5, 5.0))
    eave, rise = float(rng.uniform(5.0, 6.5)), across / 2 * float(rng.uniform(0.65, 0.9))
    usual = pick(region.roofs, rng)
    units = max(3, int((lot.width - 3) / rng.uniform(5.6, 7.2)))
    unit = (lot.width - 3) / units
    paved = varied(region.pavement, rng, 0.06)
    for number in range(units):
        middle = complex(1.5 + (number + 0.5) * unit, setback + across / 2)
        colour = varied(usual if rng.random() < 0.75 else pick(region.roofs, rng), rng, 0.04)
        roof = Part(middle, 1 + 0j, unit, across, eave, rise, "gable", colour)
        things.parts.append(roof)
        if rng.random() < 0.6:
            _chimney(things, roof, rng)
        back = setback + across
        things.pads.append(
            Pad(complex(middle.real, back + 1.6), 1 + 0j, unit * 0.8, 3.2, paved, LAND)
        )
        if rng.random() < 0.7:
            front = complex(middle.real, setback / 2)
            things.pads.append(Pad(front, 1j, setback, unit * 0.55, paved, LAND))
        edge = complex(middle.real + unit / 2, 0)
        if rng.random() < 0.6 and depth > back + 5:
            _hedge(things, edge + 1j * (back + 1), edge + 1j * depth, rng)
        if rng.random() < 0.45 and depth > back + 6:
            place = complex(middle.real, rng.uniform(back + 4, depth - 1))
            radius = float(rng.uniform(1.0, 2.2))
            things.trees.append(Tree(place, radius, radius * 1.9, float(rng.random())))
        if rng.random() < 0.35:
            hut = complex(middle.real + 0.6, depth - 1.6)
            things.parts.append(
                Part(hut, 1 + 0j, 2.6, 2.2, 2.1, 0, "flat", pick(region.flats, rng))
            )


def clutter(things: Contents, roof: Part, rng: Random, count: int) -> None:
    """Put machines, tanks and stair heads on a flat roof."""
    for _ in range(count):
        length, width = (float(value) for value in rng.uniform(0.8, 2.0, 2))
        at = complex(
            rng.uniform(-0.5, 0.5) * (roof.length - 3), rng.uniform(-0.5, 0.5) * (roof.width - 3)
        )
        grey = float(rng.uniform(120, 225))
        colour = (grey, grey, grey * 1.01)
        things.parts.append(
            Part(
                roof.centre + roof.axis * at,
                roof.axis,
                length,
                width,
                roof.eave + float(rng.uniform(0.6, 1.3)),
                0,
                "hall",
                colour,
                roof.eave,
            )
        )


def compound(lot: Lot, region: Region, rng: Random) -> None:
    """Put a walled plot with a flat-roofed villa on a lot."""
    things, width, depth = lot.things, lot.width, lot.depth
    pale = pick(region.flats, rng, 0.05)
    if rng.random() < 0.82:
        wall = varied(pale, rng, 0.04)
        edges = (
            (complex(width * 0.36, 0), 1 + 0j, width * 0.72),
            (complex(width / 2, depth), 1 + 0j, width),
            (complex(0, depth / 2), 1j, depth),
            (complex(width, depth / 2), 1j, depth),
        )
        for centre, axis, length in edges:
            things.walls.append(Part(centre, axis, length, 0.4, 2.3, 0, "hall", wall))
    if rng.random() < 0.14:
        return
    if rng.random() < 0.75:
        ground = varied(region.surfaces["court"].first, rng, 0.05)
        things.pads.append(
            Pad(complex(width / 2, depth / 2), 1 + 0j, width - 0.6, depth - 0.6, ground, LAND)
        )
    length = float(min(rng.uniform(12, 18), width - 5))
    across = float(min(rng.uniform(11, 16), depth - 9))
    centre = complex(
        width / 2 + rng.uniform(-1, 1) * (width - length - 4) / 2,
        rng.uniform(across / 2 + 3.5, max(across / 2 + 4, depth - across / 2 - 3)),
    )
    eave = float(rng.uniform(4.0, 8.0))
    main = Part(centre, 1 + 0j, length, across, eave, 0, "flat", pale)
    things.parts.append(main)
    if rng.random() < 0.55:
        reach = float(rng.uniform(4, 6))
        side = float(rng.choice((-1, 1)))
        things.parts.append(
            Part(
                centre + complex(side * length * 0.22, -(across + reach) / 2 + 0.8),
                1 + 0j,
                length * 0.5,
                reach,
                eave * 0.8,
                0,
                "flat",
                varied(pale, rng, 0.03),
            )
        )
    if rng.random() < 0.6:
        things.parts.append(
            Part(
                centre + complex(rng.uniform(-0.2, 0.2) * length, rng.uniform(-0.2, 0.2) * across),
                1 + 0j,
                length * float(rng.uniform(0.3, 0.55)),
                across * float(rng.uniform(0.3, 0.55)),
                eave + 3.0,
                0,
                "flat",
                varied(pale, rng, 0.04),
                eave,
            )
        )
    clutter(things, main, rng, int(rng.integers(2, 7)))
    hut = complex(float(rng.choice((3.4, width - 3.4))), depth - 2.6)
    things.parts.append(Part(hut, 1 + 0j, 5.5, 3.6, 3.0, 0, "flat", varied(pale, rng, 0.08)))
    if rng.random() < 0.12:
        things.pads.append(Pad(complex(width - 3.6, depth - 7), 1j, 6.5, 3.6, _POOL, WATER))
    if rng.random() < 0.6:
        things.cars.append(car(complex(width * 0.86, rng.uniform(2.8, 6)), 1j, rng, 0))
    if rng.random() < 0.22:
        things.pads.append(
            Pad(
                complex(width * 0.3, 2.6),
                1 + 0j,
                width * 0.45,
                3.2,
                region.crops[1].first,
                VEGETATION,
            )
        )
    for _ in range(int(rng.integers(0, 5))):
        at = complex(rng.uniform(1.5, width - 1.5), float(rng.choice((1.6, depth - 1.6))))
        kind: CrownKind = "palm" if rng.random() < 0.65 else "round"
        things.trees.append(Tree(at, float(rng.uniform(1.5, 2.6)), 6.0, float(rng.random()), kind))
