"""Where the pixels of an image lie on the map, and names of coordinate reference systems."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rasterio.crs import CRS

from napari_disca.raster import Raster
from napari_disca.raster.resolution import transform_from_gcps

#: rasterio also takes file names and addresses for a CRS, and fetches them: so nothing but these,
#: or WKT, is handed on.
_CRS_NAME = re.compile(
    r"(?:urn:(?:ogc|x-ogc):def:crs:(?P<urn>[\w-]+):(?P<urn_version>[\w.-]*):"
    r"|https?://www\.opengis\.net/def/crs/(?P<url>[\w-]+)/(?P<url_version>[\w.-]+)/"
    r"|(?P<short>[\w-]+):)(?P<code>[\w.-]+)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the pixels of an image lie on the map.

    Attributes
    ----------
    transform : (a, b, c, d, e, f) or None
        ``x = a * column + b * row + c``, ``y = d * column + e * row + f`` of a pixel's corner.
    crs : CRS or None
    """

    transform: tuple[float, ...] | None
    crs: CRS | None

    @classmethod
    def of(cls, raster: Raster) -> Frame:
        """Frame of an image: its transform, or the affine fit of its ground control points."""
        transform, crs = raster.transform, raster.crs
        if transform is None and raster.gcps is not None:
            points, crs = raster.gcps
            transform = transform_from_gcps(points)
        if transform is None:
            return cls(None, None)
        a, b, c, d, e, f = tuple(transform)[:6]
        determinant = a * e - b * d
        if not math.isfinite(determinant + c + f) or determinant == 0:
            return cls(None, None)
        return cls((a, b, c, d, e, f), crs)

    def position(self, row: float, col: float) -> tuple[float, float]:
        """Map coordinates of a pixel's centre."""
        a, b, c, d, e, f = self.transform or (1, 0, 0, 0, 1, 0)
        x, y = col + 0.5, row + 0.5
        return a * x + b * y + c, d * x + e * y + f

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Row and column, whose whole parts are the pixel, of map coordinates."""
        a, b, c, d, e, f = self.transform or (1, 0, 0, 0, 1, 0)
        x, y, determinant = x - c, y - f, a * e - b * d
        return (a * y - d * x) / determinant, (e * x - b * y) / determinant


def crs_named(name: str) -> CRS:
    """CRS of a URN, ``AUTHORITY:CODE`` or WKT.

    Raises
    ------
    RasterioError, CPLE_BaseError or ValueError
        If there is none of that name.
    """
    match = _CRS_NAME.fullmatch(name.strip())
    if match is None:
        return CRS.from_wkt(name)
    authority = match["urn"] or match["url"] or match["short"]
    version = match["urn_version"] or match["url_version"]
    if authority.upper() == "IAU" and version:
        authority = f"{authority}_{version}"  # PROJ's name; of other authorities the latest does
    return CRS.from_authority(authority, match["code"])


def crs_name(crs: CRS) -> str:
    """Name that GDAL understands: a URN where an authority has this very CRS, or else WKT."""
    authority = crs.to_authority()
    # `to_authority` also answers with what is only similar.
    if authority is None or CRS.from_authority(*authority) != crs:
        wkt: str = crs.to_wkt()
        return wkt
    if authority in (("EPSG", "4326"), ("OGC", "CRS84")):
        # As GDAL writes it: x is the longitude.
        return "urn:ogc:def:crs:OGC:1.3:CRS84"
    return f"urn:ogc:def:crs:{authority[0]}::{authority[1]}"
