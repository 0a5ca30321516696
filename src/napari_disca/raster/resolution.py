"""How large a pixel is on the ground, from an image's georeference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

from napari_disca.raster import Raster
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS

#: An image is resampled if its pixels are this many times larger or smaller than the network's.
_TOLERANCE = 1.25
#: Largest ratio of a pixel's sides that is believed.
_MOST_ASPECT = 32.0


def ground_resolution(
    crs: CRS | None, transform: Affine | None, shape: tuple[int, int]
) -> float | None:
    """Return metres per pixel at the image's centre.

    This is the geometric mean of the lengths of one step to the right and one down, measured on the
    CRS's ellipsoid. So it is also correct in degrees, in web Mercator (whose units are not metres
    away from the equator), on rotated grids and on other planets.

    Parameters
    ----------
    crs : rasterio.crs.CRS or None
    transform : affine.Affine or None
    shape : (int, int)
        Height and width in pixels.

    Returns
    -------
    float or None
        None if the georeference does not tell it.
    """
    sides = pixel_sides(crs, transform, shape)
    return None if sides is None else math.sqrt(sides[0] * sides[1])


def pixel_sides(
    crs: CRS | None, transform: Affine | None, shape: tuple[int, int]
) -> tuple[float, float] | None:
    """Return height and width in metres of the pixel at the centre; see `ground_resolution`."""
    if crs is None or transform is None:
        return None
    try:
        system = pyproj.CRS.from_user_input(crs.to_wkt())
    except (ProjError, ValueError, RuntimeError):
        return None
    sides = _on_ellipsoid(system, transform, shape)
    if sides is None:
        sides = _in_linear_units(system, transform)
    usable = sides is not None and all(math.isfinite(side) and side > 0 for side in sides)
    return sides if usable else None


def pixel_aspect(raster: Raster) -> float:
    """Return the ratio of a pixel's height to its width on the ground.

    Returns
    -------
    float
        1.0 if it is not known or at most a quarter away from 1. Without a CRS it is computed from
        the transform alone.
    """
    transform, crs = raster.transform, raster.crs
    if transform is None and raster.gcps is not None:
        points, crs = raster.gcps
        transform = transform_from_gcps(points, longitude_period(crs))
    if transform is None:
        return 1.0
    sides = _steps(transform) if crs is None else pixel_sides(crs, transform, raster.shape)
    if sides is None or not (sides[0] > 0 and sides[1] > 0):
        return 1.0
    aspect = sides[0] / sides[1]
    if not 1 / _MOST_ASPECT <= aspect <= _MOST_ASPECT:
        return 1.0  # the transform is not a georeference of this kind
    return aspect if max(aspect, 1 / aspect) > _TOLERANCE else 1.0


def _steps(transform: Affine) -> tuple[float, float]:
    """Lengths of one pixel down and one to the right, in the units of the map."""
    a, b, _, d, e, _ = tuple(transform)[:6]
    return math.hypot(b, e), math.hypot(a, d)


def raster_resolution(raster: Raster) -> float | None:
    """Return metres per pixel of an image, from its transform or its ground control points."""
    if raster.transform is not None:
        return ground_resolution(raster.crs, raster.transform, raster.shape)
    if raster.gcps is not None:
        points, crs = raster.gcps
        return ground_resolution(
            crs, transform_from_gcps(points, longitude_period(crs)), raster.shape
        )
    return None


def transform_from_gcps(points: Sequence[Any], period: float | None = None) -> Affine | None:
    """Return the affine transform that fits ground control points best (least squares).

    rasterio's function returns uninitialized memory if all points are on one line.

    Parameters
    ----------
    points : sequence of rasterio.control.GroundControlPoint
    period : float, optional
        Period of x: longitudes on both sides of the date line are neighbours.

    Returns
    -------
    affine.Affine or None
        Maps column and row of pixel corners to map coordinates; None if the points do not
        determine it (fewer than three, or all on one line).
    """
    if len(points) < 3:
        return None
    pixels = np.array([(p.col, p.row) for p in points], dtype=np.float64)
    places = np.array([(p.x, p.y) for p in points], dtype=np.float64)
    if not (np.isfinite(pixels).all() and np.isfinite(places).all()):
        return None
    if period is not None:
        places[:, 0] -= period * np.round((places[:, 0] - places[0, 0]) / period)
    # Centred, because map coordinates are large and their differences small.
    pixel, place = pixels.mean(axis=0), places.mean(axis=0)
    linear, _, rank, _ = np.linalg.lstsq(pixels - pixel, places - place, rcond=1e-9)
    if rank < 2:
        return None
    (a, d), (b, e) = linear
    c, f = place - pixel @ linear
    return Affine(a, b, c, d, e, f)


def longitude_period(crs: CRS | None) -> float | None:
    """Return a full turn in the units of a geographic CRS, 360 or 400 (gon); else None."""
    try:
        if crs is None or not crs.is_geographic:
            return None
        radians = float(crs.units_factor[1])
    except (*GDAL_ERRORS, ValueError, TypeError):
        return None
    # 360 itself, not 360 with the rounding error of pi.
    return round(2 * math.pi / radians, 6) if radians > 0 else None


def network_factor(image: float | None, network: float | None) -> float:
    """Return network pixels per image pixel, by which an image gets a network's resolution.

    Parameters
    ----------
    image, network : float or None
        Metres per pixel.

    Returns
    -------
    float
        1.0 (no resampling) if they differ by at most a quarter, or one is not known.
    """
    if image is None or network is None:
        return 1.0
    factor = image / network
    if not 0 < factor < math.inf:
        return 1.0  # the ratio overflows
    return factor if max(factor, 1 / factor) > _TOLERANCE else 1.0


def _on_ellipsoid(
    system: pyproj.CRS, transform: Affine, shape: tuple[int, int]
) -> tuple[float, float] | None:
    try:
        geod = system.get_geod()
    except (ProjError, ValueError, ArithmeticError):
        return None  # an ellipsoid without a radius
    geographic = system.geodetic_crs
    if geod is None or geographic is None:
        return None
    row, col = shape[0] / 2, shape[1] / 2
    corners = [(col, row), (col + 1, row), (col, row + 1)]
    try:
        to_degrees = pyproj.Transformer.from_crs(system, geographic, always_xy=True)
        # Written out: Affine's `*` is deprecated from affine 3 on, its `@` does not exist before.
        a, b, c, d, e, f = tuple(transform)[:6]
        xs = [a * x + b * y + c for x, y in corners]
        ys = [d * x + e * y + f for x, y in corners]
        east, north = to_degrees.transform(xs, ys, errcheck=True)
        if not all(map(math.isfinite, (*east, *north))) or max(map(abs, north)) > 90:
            return None
        _, _, right = geod.inv(east[0], north[0], east[1], north[1])
        _, _, down = geod.inv(east[0], north[0], east[2], north[2])
    except (ProjError, ValueError, ArithmeticError):
        return None
    return down, right


def _in_linear_units(system: pyproj.CRS, transform: Affine) -> tuple[float, float] | None:
    """Sides from the CRS's unit of length, for coordinates without a place on an ellipsoid."""
    axes: list[Any] = system.axis_info
    if not axes or system.is_geographic or "degree" in axes[0].unit_name:
        return None
    if not transform.determinant:
        return None
    unit = float(axes[0].unit_conversion_factor)
    down, right = _steps(transform)
    return down * unit, right * unit
