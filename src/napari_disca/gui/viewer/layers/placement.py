"""Places layers in napari's world, whose unit is a metre on the map, not a pixel.

All conversions between map coordinates and napari's world are here. Positions in the world are
``(down, right)`` in metres from the centre of the first image's first pixel: numbers stay small,
since graphics cards compute with seven digits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from napari.utils.transforms import Affine
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

if TYPE_CHECKING:
    from napari.layers import Layer

#: Key of a layer's `World` in ``layer.metadata["napari_disca"]``.
WORLD = "world"
#: Key there of whether a layer shows its file resampled into another CRS, only for viewing.
WARPED = "warped"
#: Key there of the `Frame` of the image file.
FRAME = "frame"
#: Points along a side of the grid that fits an image of another CRS.
_FIT = 9
_METRES = ("m", "m")


@dataclass(frozen=True, slots=True)
class World:
    """The relation between napari's world and the map.

    Attributes
    ----------
    crs : str
        WKT of the map coordinates.
    origin : (float, float)
        Map coordinates x and y of the world's zero.
    metres : (float, float)
        Metres on the ground of one unit of x and of y, at the first image.
    """

    crs: str
    origin: tuple[float, float]
    metres: tuple[float, float]

    def from_map(self, x: float, y: float) -> tuple[float, float]:
        """Return the position of map coordinates in the world."""
        return (self.origin[1] - y) * self.metres[1], (x - self.origin[0]) * self.metres[0]

    def to_map(self, down: float, right: float) -> tuple[float, float]:
        """Return the map coordinates of a position in the world."""
        return self.origin[0] + right / self.metres[0], self.origin[1] - down / self.metres[1]


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an image in the world.

    Attributes
    ----------
    keywords : dict
        Keywords of a layer: ``scale``, ``translate``, ``units``, and ``affine`` if it is rotated.
    world : World or None
        None without georeference; the unit of the world is then a pixel.
    error : float
        Largest error of its place in pixels, because its CRS is another one.
    """

    keywords: dict[str, Any]
    world: World | None
    error: float = 0.0


def place(
    crs: str | None,
    transform: Sequence[float] | None,
    shape: tuple[int, int],
    world: World | None = None,
) -> Place:
    """Return the place of an image in a world, or in a new world that begins with it.

    Parameters
    ----------
    crs : str or None
        WKT.
    transform : (a, b, c, d, e, f) or None
        ``x = a * column + b * row + c``, ``y = d * column + e * row + f`` of a pixel's corner.
    shape : (int, int)
        Height and width in pixels.
    world : World, optional
        World of the images that are open already.

    Returns
    -------
    Place
        Without CRS or transform it has neither world nor keywords.
    """
    if crs is None or transform is None:
        return Place({}, None)
    system = _system(crs)
    if system is None:
        return Place({}, None)
    to_x, to_y = _centres(transform)
    if world is None:
        metres = _metres_per_unit(system, transform, shape)
        if metres is None:
            return Place({}, None)
        world = World(crs, (to_x[2], to_y[2]), metres)
    error = 0.0
    if not same_crs(crs, world.crs):
        fitted = _fit(transform, shape, system, world)
        if fitted is None:
            return Place({}, None)
        to_x, to_y, error = fitted
    # Rows are (down, right), columns (row, column of the image).
    linear = np.array(
        [
            [-to_y[0] * world.metres[1], -to_y[1] * world.metres[1]],
            [to_x[0] * world.metres[0], to_x[1] * world.metres[0]],
        ]
    )
    shift = np.array(world.from_map(to_x[2], to_y[2]))
    return Place({**_keywords(linear, shift), "units": _METRES}, world, error)


def _keywords(linear: NDArray[np.float64], shift: NDArray[np.float64]) -> dict[str, Any]:
    if linear[0, 1] == 0 == linear[1, 0]:
        return {"scale": tuple(np.diag(linear)), "translate": tuple(shift)}
    # The scale holds the pixel's size, which other code reads; the affine only rotates.
    scale = np.linalg.norm(linear, axis=0)
    affine = np.eye(3)
    affine[:2, :2] = linear / scale
    affine[:2, 2] = shift
    return {"scale": tuple(scale), "affine": affine}


def on_cells(placement: dict[str, Any], cell: Sequence[float]) -> dict[str, Any]:
    """Return the placement of a layer whose pixels are cells of an image.

    Parameters
    ----------
    placement : dict
        Placement of the image, of `SessionLayers.placement`.
    cell : (float, float)
        Height and width of a cell in pixels of the image.
    """
    where = dict(placement)
    scale = np.asarray(where["scale"], dtype=float)
    # A cell's centre is half a cell from its first pixel's centre, along the image's axes.
    turned = Affine(scale=scale, rotate=where["rotate"], shear=where["shear"])
    shift = np.asarray(turned([(side - 1) / 2 for side in cell]))
    where["translate"] = np.asarray(where["translate"], dtype=float) + shift
    where["scale"] = scale * np.asarray(cell, dtype=float)
    return where


def world_of(layers: Iterable[Layer]) -> World | None:
    """Return the world of layers in a viewer; None if none has one."""
    for layer in layers:
        world = layer.metadata.get("napari_disca", {}).get(WORLD)
        if isinstance(world, World):
            return world
    return None


def same_crs(some: str, other: str) -> bool:
    """Whether two CRS (WKT) give coordinates the same meaning."""
    if some == other:
        return True
    first, second = _system(some), _system(other)
    return first is not None and second is not None and first.equals(second, ignore_axis_order=True)


def _system(wkt: str) -> pyproj.CRS | None:
    try:
        return pyproj.CRS.from_user_input(wkt)
    except (ProjError, ValueError, RuntimeError):
        return None


def _centres(
    transform: Sequence[float],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return factors of row and column and the offset, for x and y of a pixel's centre."""
    a, b, c, d, e, f = (float(number) for number in transform[:6])
    return (b, a, c + (a + b) / 2), (e, d, f + (d + e) / 2)


def _metres_per_unit(
    system: pyproj.CRS, transform: Sequence[float], shape: tuple[int, int]
) -> tuple[float, float] | None:
    """Return the metres on the ground of one unit of x and y in the middle of an image."""
    a, b, c, d, e, f = (float(number) for number in transform[:6])
    col, row = shape[1] / 2, shape[0] / 2
    x, y = a * col + b * row + c, d * col + e * row + f
    step = math.sqrt(abs(a * e - b * d))
    geographic, geod = system.geodetic_crs, system.get_geod()
    if geographic is not None and geod is not None and step:
        try:
            to_degrees = pyproj.Transformer.from_crs(system, geographic, always_xy=True)
            east, north = to_degrees.transform([x, x + step, x], [y, y, y + step], errcheck=True)
            _, _, right = geod.inv(east[0], north[0], east[1], north[1])
            _, _, up = geod.inv(east[0], north[0], east[2], north[2])
        except (ProjError, ValueError, ArithmeticError):
            right = up = math.nan
        if 0 < right / step < math.inf and 0 < up / step < math.inf:
            return right / step, up / step
    axes = system.axis_info
    if not axes or system.is_geographic or "degree" in axes[0].unit_name:
        return None
    unit = float(axes[0].unit_conversion_factor)
    return unit, unit


def _fit(
    transform: Sequence[float], shape: tuple[int, int], system: pyproj.CRS, world: World
) -> tuple[tuple[float, float, float], tuple[float, float, float], float] | None:
    """Return the factors of row and column in the world's CRS that fit best, and their error."""
    target = _system(world.crs)
    rows, cols = np.meshgrid(
        np.linspace(0, shape[0] - 1, _FIT), np.linspace(0, shape[1] - 1, _FIT), indexing="ij"
    )
    to_x, to_y = _centres(transform)
    pixels = np.stack([rows.ravel(), cols.ravel(), np.ones(rows.size)], axis=1)
    try:
        to_world = pyproj.Transformer.from_crs(system, target, always_xy=True)
        x, y = to_world.transform(pixels @ to_x, pixels @ to_y)
    except (ProjError, ValueError):
        return None
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    found = np.stack([x, y], axis=1)
    middle = found.mean(axis=0)  # the numbers are large, and their differences small
    factors, *_ = np.linalg.lstsq(pixels, found - middle, rcond=None)
    away = np.linalg.norm(pixels @ factors + middle - found, axis=1).max()
    size = math.sqrt(abs(np.linalg.det(factors[:2]))) or 1.0
    x_factors, y_factors = (
        (float(factors[0, i]), float(factors[1, i]), float(factors[2, i] + middle[i]))
        for i in range(2)
    )
    return x_factors, y_factors, float(away / size)
