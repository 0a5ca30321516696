"""Converts coordinates in a file to pixels of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import rasterio.warp
from rasterio.crs import CRS

from napari_disca.core.errors import ClickError
from napari_disca.raster.gdal.gdal_errors import GDAL_ERRORS
from napari_disca.raster.georeference import Frame, crs_named
from napari_disca.raster.resolution import longitude_period

#: What coordinates mean. ``"crs"``: they are in a CRS that the file names. ``"degrees"``: they are
#: longitude and latitude, because the format or the names of the columns say so. ``"unknown"``: the
#: file says that its CRS is unknown. ``"unnamed"``: the file names no CRS. In both cases they are
#: taken for the image's own. ``"pixels"``: they are columns and rows; whole numbers are pixel
#: corners.
Meaning: TypeAlias = Literal["crs", "degrees", "unknown", "unnamed", "pixels"]

#: The CRS of GeoJSON (RFC 7946): longitude and latitude.
LONGITUDE_LATITUDE = CRS.from_authority("OGC", "CRS84")
#: Degrees. Longitudes may be shifted by 360, for instance from 0 to 360 instead of -180 to 180.
_MOST_LONGITUDE, _MOST_LATITUDE = 360.0, 90.0


@dataclass(frozen=True, slots=True)
class Source:
    """What the coordinates of a file mean.

    Attributes
    ----------
    meaning : {"crs", "degrees", "unknown", "unnamed", "pixels"}
    crs : CRS or None
        Only for ``"crs"``.
    """

    meaning: Meaning
    crs: CRS | None = None

    def __str__(self) -> str:
        if self.meaning == "degrees":
            return "longitude and latitude"
        name = self.crs.to_string()[:60] if self.crs is not None else ""
        return name or {"pixels": "pixels"}.get(self.meaning, "an unknown CRS")


def named_source(name: str) -> Source:
    """Return the source of coordinates in a CRS that a file names.

    Parameters
    ----------
    name : str
        A URN, ``AUTHORITY:CODE`` or WKT.

    Raises
    ------
    ClickError
        If it is none of these, or unknown.
    """
    try:
        return Source("crs", crs_named(name))
    except (*GDAL_ERRORS, ValueError) as error:
        raise ClickError(
            f"has the unknown CRS {name[:60]!r}; save it with a CRS that has an EPSG code"
        ) from error


def to_pixels(
    xs: Sequence[float], ys: Sequence[float], source: Source, frame: Frame
) -> list[tuple[float, float] | None]:
    """Convert coordinates to pixels of an image.

    Parameters
    ----------
    xs, ys : sequences of float
        Of equal length, finite.
    source : Source
        What they mean.
    frame : Frame
        Of the image.

    Returns
    -------
    list of (float, float) or None
        Row and column, in which whole numbers are pixel corners; None for coordinates that cannot
        be converted to the image's CRS.

    Raises
    ------
    ClickError
        If none can be converted, or the coordinates do not fit what they should mean. Degrees are
        never taken for pixel numbers.
    """
    if not xs:
        return []
    if source.meaning == "pixels":
        return list(zip(ys, xs, strict=True))
    if frame.transform is None:
        if source.meaning == "unnamed":
            _check_pixels(xs, ys)
        elif source.meaning != "unknown" and not (source.meaning == "degrees" and _beyond(xs, ys)):
            raise ClickError(_unplaced(source))
        return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]
    if source.meaning in ("unknown", "unnamed") or source.crs == frame.crs is not None:
        return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]
    degrees = source.meaning == "degrees" or _is_degrees(source.crs)
    if degrees and longitude_period(frame.crs) is None and frame.crs is not None:
        _check_degrees(xs, ys, source)
    if frame.crs is None:
        return _without_crs(xs, ys, source, frame)
    converted = _transformed(xs, ys, source, frame)
    return [frame.pixel(x, y) if math.isfinite(x + y) else None for x, y in converted]


def degree_like(frame: Frame) -> bool:
    """Return whether an image's coordinates can be longitudes and latitudes."""
    left, bottom, right, top = frame.bounds
    x_limit, y_limit = _MOST_LONGITUDE + 1, _MOST_LATITUDE + 1  # an image may end off the globe
    return -x_limit <= left <= right <= x_limit and -y_limit <= bottom <= top <= y_limit


def _unplaced(source: Source) -> str:
    line = f"has coordinates in {source}, but the image has no georeference; "
    if source.meaning == "degrees":
        return line + (
            'open the image they were made on, or, if they are pixels, say so: "crs": null in '
            "GeoJSON, columns named row and col in CSV"
        )
    return line + "open the image they were made on"


def _beyond(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Return whether some coordinates cannot be degrees."""
    return max(map(abs, xs)) > _MOST_LONGITUDE or max(map(abs, ys)) > _MOST_LATITUDE


def _check_pixels(xs: Sequence[float], ys: Sequence[float]) -> None:
    """Raise an error if coordinates may be degrees, for an image without georeference."""
    # Pixel numbers are whole, or halves for pixel centres.
    halves = all((2 * value).is_integer() for value in (*xs, *ys))
    if not halves and not _beyond(xs, ys):
        raise ClickError(
            f"has coordinates like ({xs[0]:.10g}, {ys[0]:.10g}), which may be degrees, but the "
            "image has no georeference; if they are pixels, name the columns col and row"
        )


def _is_degrees(crs: CRS | None) -> bool:
    return longitude_period(crs) == 360.0


def _check_degrees(xs: Sequence[float], ys: Sequence[float], source: Source) -> None:
    """Raise an error if all coordinates are too large for the degrees that they should be."""
    if any(
        abs(x) <= _MOST_LONGITUDE and abs(y) <= _MOST_LATITUDE for x, y in zip(xs, ys, strict=True)
    ):
        return
    meaning = "names no CRS, which means" if source.meaning == "degrees" else "says they are in"
    raise ClickError(
        f"has coordinates like ({xs[0]:.10g}, {ys[0]:.10g}) but {meaning} {source}; "
        "save it again with the CRS of its coordinates, or in longitude and latitude"
    )


def _without_crs(
    xs: Sequence[float], ys: Sequence[float], source: Source, frame: Frame
) -> list[tuple[float, float] | None]:
    """Return the pixels of coordinates in an image that has a transform but no CRS."""
    degrees = source.meaning == "degrees" or _is_degrees(source.crs)
    if degrees and not degree_like(frame):
        raise ClickError(
            f"has coordinates in {source}, but the image names no CRS and does not lie in degrees; "
            "give the image its CRS, or save them in the image's coordinates"
        )
    return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]


def _transformed(
    xs: Sequence[float], ys: Sequence[float], source: Source, frame: Frame
) -> list[tuple[float, float]]:
    """Return coordinates in the image's CRS; infinite where that is impossible."""
    crs = source.crs if source.crs is not None else LONGITUDE_LATITUDE
    errors: list[BaseException] = []
    converted = _converted(list(xs), list(ys), crs, frame.crs, errors)
    if errors and not any(math.isfinite(x + y) for x, y in converted):
        raise ClickError(
            f"has coordinates in {source}, which cannot be converted to the image's CRS: "
            f"{' '.join(str(errors[-1]).split())}"
        ) from errors[-1]
    return converted


def _converted(
    xs: list[float], ys: list[float], source: CRS, target: CRS, errors: list[BaseException]
) -> list[tuple[float, float]]:
    try:
        found = rasterio.warp.transform(source, target, xs, ys)
        return list(zip(found[0], found[1], strict=True))
    except (*GDAL_ERRORS, ValueError) as error:
        if len(xs) == 1:
            errors.append(error)
            return [(math.inf, math.inf)]
    # GDAL may refuse all points because of one, which is found by halving.
    half = len(xs) // 2
    return [
        *_converted(xs[:half], ys[:half], source, target, errors),
        *_converted(xs[half:], ys[half:], source, target, errors),
    ]
