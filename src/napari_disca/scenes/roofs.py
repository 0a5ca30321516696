"""Paints roofs, walls and cars, and their shadows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from napari_disca.scenes.canvas import Canvas, Slices
from napari_disca.scenes.noise import Floats
from napari_disca.scenes.objects import Car, Part
from napari_disca.scenes.regions import BUILDING, LAND


def throw_shadows(canvas: Canvas, parts: Iterable[Part]) -> None:
    """Darken the ground where the parts' shadows fall."""
    for part in parts:
        _throw(canvas, _outline(part, canvas.region.light.shadow), canvas.shadow)


def _outline(part: Part, shadow: complex) -> list[complex]:
    """Return the corners of the shadow: the hull of the footprint and of the roof's shadow."""
    half = [
        part.axis * complex(i * part.length / 2, j * part.width / 2)
        for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    foot = [part.centre + corner for corner in half]
    low = [corner + shadow * (part.eave - part.base) for corner in foot]
    if not part.rise:
        return _hull(foot + low)
    ridge = part.length / 2 - (part.width / 2 if part.roof == "hip" else 0)
    tops = [part.centre + part.axis * end for end in (-ridge, ridge)]
    return _hull(foot + low + [top + shadow * (part.eave + part.rise - part.base) for top in tops])


def _hull(points: list[complex]) -> list[complex]:
    """Return the convex hull (Andrew's monotone chain)."""
    points = sorted(points, key=lambda p: (p.real, p.imag))
    chains = []
    for ordered in (points, points[::-1]):
        chain: list[complex] = []
        for point in ordered:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 1e-9:
                chain.pop()
            chain.append(point)
        chains.append(chain[:-1])
    return chains[0] + chains[1]


def _turn(a: complex, b: complex, c: complex) -> float:
    return ((b - a).conjugate() * (c - a)).imag


def _throw(canvas: Canvas, corners: list[complex], shadow: Floats) -> None:
    xs, ys = [corner.real for corner in corners], [corner.imag for corner in corners]
    centre = complex(max(xs) + min(xs), max(ys) + min(ys)) / 2
    at = canvas.patch(centre, (max(xs) - min(xs)) / 2 + 0.5, (max(ys) - min(ys)) / 2 + 0.5)
    if at is None:
        return
    gap: Floats | None = None
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        if abs(end - start) > 1e-6:
            across = canvas.local(at, start, (end - start) / abs(end - start))[1]
            gap = across if gap is None else np.minimum(gap, across)
    if gap is not None:
        np.maximum(shadow[at], canvas.cover(gap), out=shadow[at])


def paint_parts(canvas: Canvas, parts: Iterable[Part]) -> None:
    """Paint roofs, the low ones first."""
    heights = np.full(canvas.shape, -1.0, dtype=np.float32)
    for part in sorted(parts, key=lambda part: (part.base, part.eave)):
        at = canvas.patch(part.centre, part.radius, part.radius)
        if at is not None:
            _paint_part(canvas, part, at, heights[at])


def _paint_part(canvas: Canvas, part: Part, at: Slices, heights: Floats) -> None:
    s, t = canvas.local(at, part.centre, part.axis)
    to_end, to_side = (
        np.float32(part.length / 2) - np.abs(s),
        np.float32(part.width / 2) - np.abs(t),
    )
    inner = np.minimum(to_end, to_side)
    if part.base:
        _shade_roof(canvas, part)
    light = (
        1
        + canvas.fields[6][at] * np.float32(0.03)
        + canvas.fields[2][at] * np.float32(0.03)
        + canvas.fields[0.5][at] * np.float32(0.03)
    )
    if part.rise:
        slope = part.rise / (part.width / 2)
        rise = np.minimum(to_side, to_end) if part.roof == "hip" else to_side
        height = np.float32(part.eave) + rise * np.float32(slope)
        light *= _slopes(canvas, part, s, t, to_end, to_side, slope)
        # Rows of tiles run along the eaves; visible only where pixels are small.
        rows = np.sin(np.abs(t) * np.float32(2 * np.pi / 0.9))
        light += rows * np.float32(0.03 * min(1.0, max(0.0, 1.6 - 2 * canvas.pixel)))
        light += canvas.line(t, 0.15) * canvas.cover(inner - np.float32(0.3)) * np.float32(0.08)
    else:
        height = np.full_like(s, part.eave)
        if part.roof == "flat":
            light *= _parapet(canvas, part, s, t, inner)
        else:
            ribs = np.sin(s * np.float32(2 * np.pi / 1.9))
            light += ribs * np.float32(0.025 * min(1.0, max(0.0, 1.8 - 2 * canvas.pixel)))
    higher = height >= heights
    alpha = canvas.cover(inner) * higher
    canvas.blend(at, [light * band for band in part.colour], alpha)
    covered = (inner > 0) & higher
    heights[covered] = height[covered]
    canvas.mark(at, covered, BUILDING)


def _slopes(
    canvas: Canvas, part: Part, s: Floats, t: Floats, to_end: Floats, to_side: Floats, slope: float
) -> Floats:
    """Return the light on the faces of a pitched roof, relative to flat ground."""
    shadow = canvas.region.light.shadow
    flat = 1 / np.sqrt(1 + abs(shadow) ** 2)

    def lit(outwards: complex) -> np.float32:
        # Sun and face as vectors; the sun is opposite to the shadow.
        toward = -(shadow * outwards.conjugate()).real
        cosine = (slope * toward + 1) / np.sqrt((1 + slope**2) * (1 + abs(shadow) ** 2))
        return np.float32(min(0.4 + 0.6 * max(cosine, 0.05) / flat, 1.2))

    side = part.axis * 1j
    edge = np.clip(t / np.float32(canvas.pixel) + np.float32(0.5), 0, 1)
    light: Floats = lit(-side) + edge * (lit(side) - lit(-side))
    if part.roof == "hip":
        end = np.where(s > 0, lit(part.axis), lit(-part.axis))
        hip = np.clip((to_side - to_end) / np.float32(canvas.pixel) + np.float32(0.5), 0, 1)
        light += hip * (end - light)
    return light


def _parapet(canvas: Canvas, part: Part, s: Floats, t: Floats, inner: Floats) -> Floats:
    """Return the light on a flat roof with a low wall around it, and that wall's shadow."""
    wall = np.float32(0.35)
    light = np.float32(1) + canvas.cover(wall - inner) * np.float32(0.1)
    cast = canvas.region.light.shadow * 0.9 * part.axis.conjugate()
    shifted = np.minimum(
        np.float32(part.length / 2) - np.abs(s - np.float32(cast.real)),
        np.float32(part.width / 2) - np.abs(t - np.float32(cast.imag)),
    )
    dark = canvas.cover(wall - shifted) * canvas.cover(inner - wall)
    return light * (1 - dark * np.float32(0.42))


def _shade_roof(canvas: Canvas, part: Part) -> None:
    """Darken the roof below an object that stands on it."""
    corners = _outline(part, canvas.region.light.shadow)
    xs, ys = [corner.real for corner in corners], [corner.imag for corner in corners]
    centre = complex(max(xs) + min(xs), max(ys) + min(ys)) / 2
    around = canvas.patch(centre, (max(xs) - min(xs)) / 2 + 0.5, (max(ys) - min(ys)) / 2 + 0.5)
    if around is None:
        return
    gap: Floats | None = None
    for start, end in zip(corners, [*corners[1:], corners[0]], strict=True):
        across = canvas.local(around, start, (end - start) / abs(end - start))[1]
        gap = across if gap is None else np.minimum(gap, across)
    if gap is not None:
        roof = canvas.labels[around] == BUILDING
        alpha = canvas.cover(gap) * roof * np.float32(0.5)
        for band in range(3):
            canvas.rgb[band][around] *= 1 - alpha


def paint_walls(canvas: Canvas, walls: Iterable[Part]) -> None:
    """Paint garden walls, which keep the label of the ground: they are too thin for buildings."""
    for wall in walls:
        reach = abs(complex(wall.length, wall.width)) / 2 + 0.5
        at = canvas.patch(wall.centre, reach, reach)
        if at is None:
            continue
        s, t = canvas.local(at, wall.centre, wall.axis)
        ends = canvas.cover(np.float32(wall.length / 2) - np.abs(s))
        alpha = canvas.line(t, wall.width / 2) * ends
        canvas.blend(at, wall.colour, alpha)
        canvas.mark(at, alpha > 0.5, LAND)


def paint_cars(canvas: Canvas, cars: Iterable[Car]) -> None:
    """Paint cars and lorries, each with its shadow."""
    shadow = canvas.region.light.shadow
    for car in cars:
        at = canvas.patch(car.centre, car.length / 2 + 2, car.length / 2 + 2)
        if at is None:
            continue
        long, wide = np.float32(car.length / 2), np.float32(car.width / 2)
        tall = 3.2 if car.length > 6 else 1.3
        for share in (0.5, 1.0):
            s, t = canvas.local(at, car.centre + shadow * tall * share, car.axis)
            dark = canvas.cover(np.minimum(long - np.abs(s), wide - np.abs(t)))
            np.maximum(canvas.shadow[at], dark * np.float32(0.9), out=canvas.shadow[at])


def paint_bodies(canvas: Canvas, cars: Iterable[Car]) -> None:
    """Paint bodies and windows of cars."""
    for car in cars:
        at = canvas.patch(car.centre, car.length / 2 + 0.5, car.length / 2 + 0.5)
        if at is None:
            continue
        s, t = canvas.local(at, car.centre, car.axis)
        long, wide = np.float32(car.length / 2), np.float32(car.width / 2)
        # The corners are rounded, as sheet metal is.
        corner = np.hypot(
            np.maximum(np.abs(s) - long + 0.4, 0), np.maximum(np.abs(t) - wide + 0.4, 0)
        )
        alpha = canvas.cover(
            np.minimum(np.float32(0.4) - corner, np.minimum(long - np.abs(s), wide - np.abs(t)))
        )
        canvas.blend(at, car.colour, alpha)
        if car.length < 6:
            glass = canvas.line(s - np.float32(car.length * 0.14), 0.34)
            glass = np.maximum(glass, canvas.line(s + np.float32(car.length * 0.3), 0.28))
            canvas.blend(at, (44, 50, 58), glass * alpha * np.float32(0.85))
