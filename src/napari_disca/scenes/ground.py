"""Paints the ground: fields and gardens, water and its shores, roads."""

from __future__ import annotations

import numpy as np

from napari_disca.scenes.canvas import Canvas, Slices
from napari_disca.scenes.noise import Floats, mixture
from napari_disca.scenes.objects import Pad, Zone
from napari_disca.scenes.plan import HALF_WIDTH, PAVEMENT, Quad, Road
from napari_disca.scenes.regions import LAND, ROAD, WATER

_WHITE = (226.0, 226.0, 220.0)
#: Radius of the rounding where carriageways meet, in metres.
_FILLET = 3.0


def paint_zones(canvas: Canvas, zones: list[Zone]) -> None:
    """Paint the ground of all zones; pixels outside of them are verge."""
    surfaces = [canvas.region.surfaces["verge"], *(zone.surface for zone in zones)]
    which = np.zeros(canvas.shape, dtype=np.intp)
    furrows = np.ones(canvas.shape, dtype=np.float32)
    for number, zone in enumerate(zones, start=1):
        at = _around(canvas, zone.quad)
        if at is None:
            continue
        distances = [_to_side(canvas, at, zone.quad, side) for side in range(4)]
        gap = np.minimum(
            np.minimum(distances[0], distances[2]), np.minimum(distances[1], distances[3])
        )
        if zone.natural:
            gap = gap + mixture([canvas.fields[20][at], canvas.fields[6][at]], [3.0, 1.2])
        inside = gap > (1.2 if zone.rows else 0.0)
        which[at][inside] = number
        if zone.rows:
            lines = _plough(canvas, zone, distances, gap)
            furrows[at] = np.where(inside, lines, furrows[at])
    tables = np.array(
        [
            (*s.first, *np.subtract(s.second, s.first), s.threshold, s.texture, *s.labels)
            for s in surfaces
        ],
        dtype=np.float32,
    ).T
    field = canvas.fields
    patches = mixture([field[60], field[20], field[6], field[2]], [0.45, 0.6, 0.5, 0.4])
    over = patches - tables[6].take(which)
    mix = np.clip(over * 1.6 + 0.5, 0, 1)
    grain = mixture([field[60], field[6], field[2], field[0.5]], [0.03, 0.03, 0.045, 0.045])
    light = (1 + grain * tables[7].take(which)) * furrows
    if canvas.region.sandy:
        light *= _wind_and_wheels(canvas)
    for band in range(3):
        colour = tables[band].take(which)
        colour += mix * tables[3 + band].take(which)
        np.multiply(colour, light, out=canvas.rgb[band])
    # Large patches are a little warmer or colder, as soils and moisture are.
    tint = field[60] * np.float32(0.016)
    canvas.rgb[0] *= 1 + tint
    canvas.rgb[2] *= 1 - tint
    canvas.labels[:] = np.where(over > 0, tables[9].take(which), tables[8].take(which))


def _wind_and_wheels(canvas: Canvas) -> Floats:
    """Return the brightness of wind ripples in sand and of old wheel tracks."""
    field = canvas.fields
    crests = canvas.plan_y * np.float32(0.9) + canvas.plan_x * np.float32(0.45)
    crests += field[20] * np.float32(2.2)
    piled = np.clip(field[60] - np.float32(0.4), 0, 1)
    seen = min(1.0, max(0.0, 2.0 - canvas.pixel))
    light: Floats = 1 + piled * np.sin(crests * np.float32(2 * np.pi / 6.5)) * np.float32(
        0.035 * seen
    )
    # A smooth field's zero line wanders like a driver does; about 36 m per unit near it.
    off = np.abs(canvas.field(80, "wheels") * np.float32(36) + field[20] * np.float32(0.6))
    worn = np.clip(np.float32(0.6) + field[20] * np.float32(0.5), 0, 1)
    light += canvas.line(off - np.float32(0.9), 0.3) * worn * np.float32(0.09)
    return light


def _plough(canvas: Canvas, zone: Zone, distances: list[Floats], gap: Floats) -> Floats:
    """Return the brightness of plough lines and wheel tracks, turned at the ends of the field."""
    strength = zone.strength * min(1.0, max(0.0, zone.rows / canvas.pixel - 2.0))
    ends = np.minimum(distances[(zone.along + 1) % 4], distances[(zone.along + 3) % 4])
    across = np.where(ends > 9.0, distances[zone.along], gap)
    lines: Floats = 1 + np.float32(strength) * np.sin(across * np.float32(2 * np.pi / zone.rows))
    for wheel in (8.2, 9.8):
        lines -= canvas.line((across % 18.0) - np.float32(wheel), 0.25) * np.float32(0.16)
    return lines


def _around(canvas: Canvas, quad: Quad) -> Slices | None:
    xs, ys = [corner.real for corner in quad], [corner.imag for corner in quad]
    bend = 4 * canvas.region.bend
    centre = complex(max(xs) + min(xs), max(ys) + min(ys)) / 2
    return canvas.patch(centre, (max(xs) - min(xs)) / 2 + bend, (max(ys) - min(ys)) / 2 + bend)


def _along(canvas: Canvas, at: Slices, start: complex, end: complex) -> tuple[Floats, Floats]:
    """Return plan coordinates along and across the line between two points."""
    axis = (end - start) / abs(end - start)
    x = canvas.plan_x[at] - np.float32(start.real)
    y = canvas.plan_y[at] - np.float32(start.imag)
    ux, uy = np.float32(axis.real), np.float32(axis.imag)
    return x * ux + y * uy, y * ux - x * uy


def _to_side(canvas: Canvas, at: Slices, quad: Quad, side: int) -> Floats:
    return _along(canvas, at, quad[side], quad[(side + 1) % 4])[1]


def paint_water(canvas: Canvas) -> None:
    """Paint lakes and rivers, with a shore around and deeper in the middle."""
    region, field = canvas.region, canvas.fields
    level = canvas.world.water_level(canvas.ys, canvas.xs)
    if level.max() < -0.08:
        return
    whole = (slice(None), slice(None))
    ragged = level + mixture([field[6], field[2]], [0.006, 0.003])
    shore = np.clip(1 + ragged / 0.055, 0, 1) * 0.85
    speckle = 1 + mixture([field[6], field[0.5]], [0.05, 0.05])
    canvas.blend(whole, [speckle * band for band in region.shore], shore)
    canvas.mark(whole, shore > 0.5, LAND)
    ripple = 1 + mixture([field[60], field[6], field[2], field[0.5]], [0.05, 0.02, 0.03, 0.02])
    depth = np.clip(ragged / 0.16, 0, 1) ** 0.6
    water = [
        ripple * (shallow + depth * (deep - shallow))
        for shallow, deep in zip(region.shallow, region.deep, strict=True)
    ]
    canvas.blend(whole, water, np.clip(ragged / 0.006 + 0.5, 0, 1))
    canvas.mark(whole, ragged > 0, WATER)


def paint_roads(canvas: Canvas, roads: list[Road]) -> None:
    """Paint verges and pavements first, then all carriageways, then their markings."""
    seen = []
    sealed = np.full(canvas.shape, -1e3, dtype=np.float32)
    for road in roads:
        at = _road_patch(canvas, road)
        if at is None:
            continue
        along, across = _along(canvas, at, road.start, road.end)
        length = np.float32(abs(road.end - road.start))
        beyond = np.maximum(np.maximum(-along, along - length), 0)
        reach = np.sqrt(across * across + beyond * beyond)
        seen.append((road, at, along, across, reach, length))
        if road.kind != "track":
            _join(sealed[at], np.float32(HALF_WIDTH[road.kind]) - reach)
    for road, at, _, _, reach, _ in seen:
        _paint_sides(canvas, road, at, reach)
    for road, at, _, across, reach, _ in seen:
        if road.kind == "track":
            _paint_track(canvas, at, across, reach)
    for road, at, _, across, reach, _ in seen:
        if road.kind != "track":
            _paint_carriageway(canvas, road, at, across, reach, sealed[at])
    for road, at, along, across, _, length in seen:
        if road.kind in ("avenue", "street"):
            _paint_markings(canvas, road, at, along, across, length)


def _join(joined: Floats, inner: Floats) -> None:
    """Add a road to the distance to the edge of all roads; corners are rounded where they meet."""
    near = np.maximum(np.float32(_FILLET) - np.abs(joined - inner), 0)
    joined[...] = np.maximum(joined, inner) + near * near * np.float32(0.25 / _FILLET)


def _road_patch(canvas: Canvas, road: Road) -> Slices | None:
    span = road.end - road.start
    room = HALF_WIDTH[road.kind] + PAVEMENT[road.kind] + 4 * canvas.region.bend + 3
    return canvas.patch(
        (road.start + road.end) / 2, abs(span.real) / 2 + room, abs(span.imag) / 2 + room
    )


def _paint_sides(canvas: Canvas, road: Road, at: Slices, reach: Floats) -> None:
    region = canvas.region
    half, wide = HALF_WIDTH[road.kind], PAVEMENT[road.kind]
    grain = canvas.fields[2][at] * np.float32(0.03) + 1
    if wide:
        outer = np.float32(half + wide) - reach
        colours = [grain * band for band in region.pavement]
        canvas.blend(at, colours, canvas.cover(outer))
        if not region.sandy:  # there, it cannot be told from the ground
            canvas.mark(at, outer > 0, ROAD)
    elif road.kind == "lane":
        dusty = np.clip((np.float32(half + 1.6) - reach + canvas.fields[2][at] * 0.5) / 1.6, 0, 1)
        canvas.blend(at, [grain * band for band in region.track], dusty * np.float32(0.6))


def _paint_track(canvas: Canvas, at: Slices, across: Floats, reach: Floats) -> None:
    """Paint two wheel ruts of bare earth with grass between."""
    region, field = canvas.region, canvas.fields
    half = np.float32(HALF_WIDTH["track"])
    edge = half - reach + field[2][at] * np.float32(0.35)
    grass = np.clip(1 - np.abs(across) / np.float32(0.6), 0, 1) * np.float32(0.55)
    light = 1 + field[2][at] * np.float32(0.04) + field[0.5][at] * np.float32(0.03)
    alpha = np.clip(edge / np.float32(0.5) + np.float32(0.5), 0, 1) * (1 - grass)
    canvas.blend(at, [light * band for band in region.track], alpha)
    canvas.mark(at, reach < half, ROAD)


def _paint_carriageway(
    canvas: Canvas, road: Road, at: Slices, across: Floats, reach: Floats, sealed: Floats
) -> None:
    """Paint the asphalt of a road, where no other road is nearer.

    `sealed` is the distance to the edge of the asphalt of all roads, inside > 0.
    """
    region, field = canvas.region, canvas.fields
    half = HALF_WIDTH[road.kind]
    own = np.float32(half) - reach
    # Wheels polish the lanes; the middle of a lane and the kerb stay darker.
    lane = np.abs(np.abs(across) - np.float32(half / 2))
    worn = np.clip(1 - np.abs(lane - np.float32(0.8)) / np.float32(0.5), 0, 1)
    light = (
        np.float32(0.97)
        + worn * np.float32(0.05)
        + field[20][at] * np.float32(0.03)
        + field[2][at] * np.float32(0.015)
        + field[0.5][at] * np.float32(0.02)
    )
    if region.sandy:  # sand blows over the edges
        dust = np.clip((np.float32(1.4) - sealed + field[6][at]) / 3, 0, np.float32(0.55))
        colours = [
            light * (band + dust * (sand - band))
            for band, sand in zip(region.asphalt, region.track, strict=True)
        ]
    else:
        colours = [light * band for band in region.asphalt]
    nearest = sealed - own < np.float32(_FILLET)
    canvas.blend(at, colours, canvas.cover(sealed) * nearest)
    canvas.mark(at, (sealed > 0) & nearest, ROAD)


def _paint_markings(
    canvas: Canvas, road: Road, at: Slices, along: Floats, across: Floats, length: np.float32
) -> None:
    room = np.float32(11.0)
    clear = np.clip(np.minimum(along, length - along) - room, 0, 1)
    worn = np.clip(np.float32(0.7) + canvas.fields[6][at] * np.float32(0.2), 0.1, 1)
    dashes = np.clip(np.float32(1.5) - np.abs(along % np.float32(9.0) - np.float32(4.5)), 0, 1)
    paint = canvas.line(across, 0.1) * dashes
    if road.kind == "avenue":
        paint = np.maximum(paint, canvas.line(np.abs(across) - np.float32(4.6), 0.1))
    canvas.blend(at, _WHITE, paint * clear * worn)


def paint_pads(canvas: Canvas, pads: list[Pad]) -> None:
    """Paint drives, courts, car parks and pools."""
    for pad in pads:
        reach = abs(complex(pad.length, pad.width)) / 2 + 0.5
        at = canvas.patch(pad.centre, reach, reach)
        if at is None:
            continue
        s, t = canvas.local(at, pad.centre, pad.axis)
        inner = np.minimum(
            np.float32(pad.length / 2) - np.abs(s), np.float32(pad.width / 2) - np.abs(t)
        )
        light = (
            1 + canvas.fields[6][at] * np.float32(0.03) + canvas.fields[0.5][at] * np.float32(0.025)
        )
        canvas.blend(at, [light * band for band in pad.colour], canvas.cover(inner))
        if pad.stalls:
            lines = canvas.line((s + np.float32(pad.length / 2)) % np.float32(2.5), 0.06)
            canvas.blend(at, _WHITE, lines * canvas.cover(inner) * np.float32(0.5))
        canvas.mark(at, inner > 0, pad.label)
