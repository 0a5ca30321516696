"""Divides blocks into lots along the roads, and moves their contents into place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from napari_disca.scenes.objects import Car, Contents, Pad, Part, Tree
from napari_disca.scenes.plan import Quad, World

T = TypeVar("T", Pad, Part, Car)

#: Nothing is built closer to the water than this level (see `World.water_level`).
_DRY = -0.13


@dataclass(slots=True)
class Lot:
    """A plot: local coordinates run along its front (x) and inwards (y), in metres.

    Attributes
    ----------
    origin, axis : complex
        Left end of the front and its direction, in plan coordinates.
    width, depth : float
    things : Contents
        What is on it, in local coordinates.
    """

    origin: complex
    axis: complex
    width: float
    depth: float
    things: Contents = field(default_factory=Contents)


def inside(quad: Quad, side: int, point: complex) -> float:
    """Return the distance of a point to the line through a side, positive inwards."""
    start, end = quad[side], quad[(side + 1) % 4]
    along = (end - start) / abs(end - start)
    return ((point - start) * (along * 1j).conjugate()).real


def divide(
    quad: Quad,
    fronts: Sequence[float | None],
    widths: tuple[float, float],
    depth: float,
    rng: np.random.Generator,
) -> Iterator[Lot]:
    """Yield the lots along the sides of a block, the long sides first.

    Parameters
    ----------
    quad : Quad
        The block's corners in plan coordinates.
    fronts : sequence of 4 float or None
        Distance from each side to where its lots begin; None where no lots face it.
    widths : (float, float)
        Smallest and largest width of a lot.
    depth : float
        Depth of a lot; less where the block is narrow.
    rng : Generator
    """
    lengths = [abs(quad[(side + 1) % 4] - quad[side]) for side in range(4)]
    first = (0, 2) if lengths[0] + lengths[2] >= lengths[1] + lengths[3] else (1, 3)
    centre = sum(quad) / 4
    deep = {
        side: min(depth, inside(quad, side, centre) - (fronts[side] or 0.0) - 1.0)
        for side in range(4)
    }
    for side in (*first, *({0, 1, 2, 3} - set(first))):
        front = fronts[side]
        if front is None or deep[side] < 12.0:
            continue
        start, end = quad[side], quad[(side + 1) % 4]
        axis = (end - start) / lengths[side]
        neighbours = ((side - 1) % 4, (side + 1) % 4)
        insets = [
            (fronts[k] or 0.0) + (2.0 if side in first else deep[k] + 2.0) for k in neighbours
        ]
        at = 4.0
        while True:
            width = float(rng.uniform(*widths))
            if at + width > lengths[side]:
                break
            origin = start + axis * complex(at, front)
            corners = [origin + axis * local for local in (0, width, deep[side] * 1j)]
            corners.append(corners[1] + axis * deep[side] * 1j)
            clear = all(
                inside(quad, k, corner) >= room
                for k, room in zip(neighbours, insets, strict=True)
                for corner in corners
            )
            if clear:
                yield Lot(origin, axis, width, deep[side])
                at += width
            else:
                at += 4.0


def settle(world: World, lots: Sequence[Lot], contents: Contents) -> None:
    """Move the contents of lots to world coordinates, without those in water."""
    if not lots:
        return
    plan = np.array([[lot.origin, lot.origin + lot.axis * lot.width] for lot in lots])
    ends = world.to_world(plan)
    corners = np.array([[0, lot.width, lot.depth * 1j, lot.width + lot.depth * 1j] for lot in lots])
    axes = ends[:, 1] - ends[:, 0]
    axes /= np.abs(axes)
    highest = world.water_at(ends[:, :1] + axes[:, None] * corners).max(axis=1)
    for lot, origin, axis, level in zip(lots, ends[:, 0], axes, highest, strict=True):
        if level > _DRY:
            continue
        place, turn = complex(origin), complex(axis)
        for name in ("pads", "parts", "walls", "cars"):
            getattr(contents, name).extend(
                _moved(thing, place, turn) for thing in getattr(lot.things, name)
            )
        contents.trees.extend(
            Tree(place + turn * t.centre, t.radius, t.height, t.shade, t.kind)
            for t in lot.things.trees
        )


def _moved(thing: T, place: complex, turn: complex) -> T:
    return replace(thing, centre=place + turn * thing.centre, axis=turn * thing.axis)
