"""Where the pixels of an image lie on the map, and names of coordinate reference systems.

Transforms map pixel *corners*, column before row. Longitudes have a period: 190 degrees east is 170
degrees west. An image may be stored either way, and may cross the date line. Longitudes are written
from -180 to 180; those that are read are shifted by whole turns to where the image lies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS

from napari_disca.raster.base import Raster
from napari_disca.raster.resolution import longitude_period, transform_from_gcps

#: Names of a CRS. rasterio also accepts file names and addresses, which it would fetch, so only
#: these and WKT are passed on.
_CRS_NAME = re.compile(
    r"(?:urn:(?:ogc|x-ogc):def:crs:(?P<urn>[\w-]+):(?P<urn_version>[\w.-]*):"
    r"|https?://www\.opengis\.net/def/crs/(?P<url>[\w-]+)/(?P<url_version>[\w.-]+)/"
    r"|(?P<short>[\w-]+):)(?P<code>[\w.-]+)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the pixels of an image lie on the map: transform, CRS and size.

    Attributes
    ----------
    transform : (a, b, c, d, e, f) or None
        ``x = a * column + b * row + c``, ``y = d * column + e * row + f`` for pixel corners.
    crs : CRS or None
    shape : (int, int)
        Height and width in pixels.
    """

    transform: tuple[float, ...] | None
    crs: CRS | None
    shape: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, raster: Raster) -> Frame:
        """Return an image's frame, with its transform or the fit to its ground control points."""
        transform, crs = raster.transform, raster.crs
        if transform is None and raster.gcps is not None:
            points, crs = raster.gcps
            transform = transform_from_gcps(points, longitude_period(crs))
        if transform is None:
            return cls(None, None, raster.shape)
        a, b, c, d, e, f = tuple(transform)[:6]
        determinant = a * e - b * d
        if not math.isfinite(determinant + c + f) or determinant == 0:
            return cls(None, None, raster.shape)
        return cls((a, b, c, d, e, f), crs, raster.shape)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest x and y, largest x and y of the image's corners."""
        height, width = self.shape
        corners = [self._place(x, y) for x in (0, width) for y in (0, height)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def position(self, row: float, col: float) -> tuple[float, float]:
        """Return map coordinates of a pixel's centre; longitudes from -180 to 180 degrees."""
        x, y = self._place(col + 0.5, row + 0.5)
        period = self._period
        if period is not None and abs(x) > period / 2:
            x -= period * round(x / period)
        return x, y

    def outline(self, corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Return map coordinates of the ``(row, col)`` corners of one outline.

        All are shifted by the same whole turns, so that an area on the date line stays whole.
        """
        places = [self._place(col + 0.5, row + 0.5) for row, col in corners]
        period = self._period
        middle = sum(x for x, _ in places) / len(places) if places else 0.0
        if period is None or abs(middle) <= period / 2:
            return places
        return [(x - period * round(middle / period), y) for x, y in places]

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return row and column of map coordinates; rounded down they are the pixel."""
        period = self._period
        if period is not None and math.isfinite(x):
            left, _, right, _ = self.bounds
            x += period * round(((left + right) / 2 - x) / period)
        a, b, c, d, e, f = self.transform or (1, 0, 0, 0, 1, 0)
        x, y, determinant = x - c, y - f, a * e - b * d
        return (a * y - d * x) / determinant, (e * x - b * y) / determinant

    def pixels(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Rows and columns, as of `pixel`, of an array of map coordinates.

        Parameters
        ----------
        places : array of shape (n, 2)
            x and y; may be infinite.

        Returns
        -------
        array of shape (n, 2)
        """
        xs, ys = places[:, 0].copy(), places[:, 1]
        period = self._period
        if period is not None:
            left, _, right, _ = self.bounds
            turns = ((left + right) / 2 - xs) / period
            finite = np.isfinite(turns)
            xs[finite] += period * np.round(turns[finite])
        a, b, c, d, e, f = self.transform or (1, 0, 0, 0, 1, 0)
        xs, ys = xs - c, ys - f
        with np.errstate(invalid="ignore"):  # infinite times zero
            found = np.stack([a * ys - d * xs, e * xs - b * ys], axis=1) / (a * e - b * d)
        found[~np.isfinite(found).all(axis=1)] = np.nan
        return found

    @property
    def turn(self) -> float:
        """Pixels of a whole turn of longitude; infinite where there is none."""
        if self._period is None or self.transform is None:
            return math.inf
        a, d = self.transform[0], self.transform[3]
        return self._period / max(math.hypot(a, d), 1e-300)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d, e, f = self.transform or (1, 0, 0, 0, 1, 0)
        return a * x + b * y + c, d * x + e * y + f

    @property
    def _period(self) -> float | None:
        """Period of x; None if it has none, or the image shows some places twice."""
        period = longitude_period(self.crs) if self.transform is not None else None
        if period is None:
            return None
        left, _, right, _ = self.bounds
        # Tolerates the rounding error of an image of exactly one turn.
        return period if right - left <= period * (1 + 1e-9) else None


def crs_named(name: str) -> CRS:
    """Return the CRS of a URN, ``AUTHORITY:CODE`` or WKT.

    Raises
    ------
    One of `GDAL_ERRORS`, or ValueError
        If there is no CRS of that name.
    """
    # Otherwise PROJ also prints its errors.
    with rasterio.Env():
        return _crs_named(name)


def _crs_named(name: str) -> CRS:
    match = _CRS_NAME.fullmatch(name.strip())
    if match is None:
        return CRS.from_wkt(name)
    authority = match["urn"] or match["url"] or match["short"]
    version = match["urn_version"] or match["url_version"]
    if authority.upper() == "IAU" and version:
        authority = f"{authority}_{version}"  # PROJ's name; of other authorities the latest does
    return CRS.from_authority(authority, match["code"])


def crs_name(crs: CRS) -> str:
    """Return a name that GDAL reads: a URN if an authority has exactly this CRS, else WKT."""
    authority = crs.to_authority()
    # `to_authority` also returns authorities' similar CRS.
    if authority is None or CRS.from_authority(*authority) != crs:
        wkt: str = crs.to_wkt()
        return wkt
    if authority in (("EPSG", "4326"), ("OGC", "CRS84")):
        # The name that GDAL writes, in which x is the longitude.
        return "urn:ogc:def:crs:OGC:1.3:CRS84"
    return f"urn:ogc:def:crs:{authority[0]}::{authority[1]}"
