"""Places large buildings on lots: blocks of flats and industrial halls, with car parks."""

from __future__ import annotations

from napari_disca.scenes.homes import Random, car, clutter, pick, varied
from napari_disca.scenes.lots import Lot
from napari_disca.scenes.objects import Contents, CrownKind, Pad, Part, Tree
from napari_disca.scenes.regions import LAND, ROAD, Region


def flats(lot: Lot, region: Region, rng: Random) -> None:
    """Put a block of flats with its car park on a lot."""
    things, width, depth = lot.things, lot.width, lot.depth
    across = float(rng.uniform(11, 15))
    length = width - float(rng.uniform(7, 12))
    eave = float(rng.uniform(9, 18))
    centre = complex(width / 2, max(depth - across / 2 - 4, across / 2 + 2))
    colour = pick(region.flats, rng)
    main = Part(centre, 1 + 0j, length, across, eave, 0, "flat", colour)
    things.parts.append(main)
    if rng.random() < 0.5 and depth > across + 22:
        wing = Part(
            centre + complex((length - across) / 2, -across + 0.5),
            1j,
            across + 1,
            across,
            eave,
            0,
            "flat",
            colour,
        )
        things.parts.append(wing)
    clutter(things, main, rng, int(rng.integers(4, 10)))
    top = centre.imag - across / 2
    if top > 8:
        long = length * 0.62
        park = complex(4 + long / 2, 2.6)
        things.pads.append(Pad(park, 1 + 0j, long, 7.4, region.asphalt, ROAD, stalls=True))
        _fill_stalls(things, park + 0.8j, 1 + 0j, long, rng)
    for _ in range(int(rng.integers(1, 6))):
        radius = float(rng.uniform(1.6, 3.4))
        at = complex(
            rng.uniform(1, width - 1), rng.uniform(6.5 + radius, max(7 + radius, top - radius))
        )
        kind: CrownKind = "palm" if region.sandy else "round"
        things.trees.append(Tree(at, radius, radius * 2, float(rng.random()), kind))


def _fill_stalls(
    things: Contents, centre: complex, axis: complex, length: float, rng: Random
) -> None:
    """Park cars side by side, each 2.5 m of a car park's length."""
    for stall in range(int(length // 2.5)):
        if rng.random() < 0.6:
            at = centre + axis * (stall * 2.5 + 1.25 - length / 2)
            things.cars.append(car(at, axis * 1j, rng, 0))


def hall(lot: Lot, region: Region, rng: Random) -> None:
    """Put an industrial hall with its yard on a lot."""
    things, width, depth = lot.things, lot.width, lot.depth
    things.pads.append(
        Pad(
            complex(width / 2, depth / 2),
            1 + 0j,
            width - 1,
            depth,
            varied(region.surfaces["yard"].first, rng, 0.05),
            LAND,
        )
    )
    length, across = width - float(rng.uniform(7, 16)), max(depth - float(rng.uniform(16, 22)), 12)
    centre = complex(width / 2, depth - across / 2 - 3)
    colour = pick(region.halls, rng, 0.05)
    eave = float(rng.uniform(6, 10))
    main = Part(centre, 1 + 0j, length, across, eave, 0, "hall", colour)
    if rng.random() < 0.45:
        main = Part(centre, 1 + 0j, length, across, eave, across * 0.08, "gable", colour)
    things.parts.append(main)
    for step in range(int(length // 9)):  # skylights
        at = centre + complex(-length / 2 + 4.5 + 9 * step, across * 0.24)
        if main.roof == "hall":
            things.parts.append(
                Part(at, 1j, across * 0.32, 1.4, eave + 0.3, 0, "hall", (206, 212, 214), eave)
            )
    if rng.random() < 0.5:
        things.parts.append(
            Part(
                centre + complex(-length * 0.3, -across / 2 - 3.4),
                1 + 0j,
                length * 0.3,
                7.0,
                4.0,
                0,
                "flat",
                pick(region.flats, rng),
            )
        )
    front = depth - across - 5
    if front > 9:
        park = complex(width * 0.66, 2.8)
        long = width * 0.5
        things.pads.append(Pad(park, 1 + 0j, long, 7.6, region.asphalt, ROAD, stalls=True))
        _fill_stalls(things, park + 0.8j, 1 + 0j, long, rng)
        for _ in range(int(rng.integers(0, 4))):
            at = complex(rng.uniform(5, width - 5), front - 0.5)
            things.cars.append(car(at, 1 + 0j, rng, 0.8))
