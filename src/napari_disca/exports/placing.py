"""From coordinates in a file to pixels of an image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import rasterio.warp
from rasterio.crs import CRS

from napari_disca.core.errors import ClickError
from napari_disca.raster.gdal_errors import GDAL_ERRORS
from napari_disca.raster.georeference import Frame
from napari_disca.raster.resolution import longitude_period

#: ``"crs"``: in a CRS that the file names. ``"degrees"``: longitude and latitude, because the
#: format or the names of the columns say so. ``"own"``: the file says that it does not say; the
#: image's own. ``"unsaid"``: the same, from a format that has no way to say it. ``"pixels"``:
#: columns and rows of pixel corners.
Meaning: TypeAlias = Literal["crs", "degrees", "own", "unsaid", "pixels"]

#: RFC 7946: longitude and latitude.
LONGITUDE_LATITUDE = CRS.from_authority("OGC", "CRS84")
#: Longitudes are known up to a whole turn to either side.
_MOST_LONGITUDE, _MOST_LATITUDE = 360.0, 90.0


@dataclass(frozen=True, slots=True)
class Source:
    """What the coordinates of a file mean.

    Attributes
    ----------
    meaning : {"crs", "degrees", "own", "unsaid", "pixels"}
    crs : CRS or None
        Of ``"crs"``.
    """

    meaning: Meaning
    crs: CRS | None = None

    def __str__(self) -> str:
        if self.meaning == "degrees":
            return "longitude and latitude"
        name = self.crs.to_string()[:60] if self.crs is not None else ""
        return name or {"pixels": "pixels"}.get(self.meaning, "an unknown CRS")


def to_pixels(
    xs: Sequence[float], ys: Sequence[float], source: Source, frame: Frame
) -> list[tuple[float, float] | None]:
    """Fractional row and column of each point; None where it has no place in the image's CRS.

    Parameters
    ----------
    xs, ys : sequence of float
        As many of both, finite.
    source : Source
    frame : Frame
        Of the image.

    Raises
    ------
    ClickError
        If nothing can be converted. Degrees are never taken for pixel numbers.
    """
    if not xs:
        return []
    if source.meaning == "pixels":
        return list(zip(ys, xs, strict=True))
    if frame.transform is None:
        if source.meaning == "unsaid":
            _check_pixels(xs, ys)
        elif source.meaning != "own" and not (source.meaning == "degrees" and _beyond(xs, ys)):
            raise ClickError(_unplaced(source))
        return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]
    if source.meaning in ("own", "unsaid") or source.crs == frame.crs is not None:
        return [frame.pixel(x, y) for x, y in zip(xs, ys, strict=True)]
    degrees = source.meaning == "degrees" or _is_degrees(source.crs)
    if degrees and longitude_period(frame.crs) is None and frame.crs is not None:
        _check_degrees(xs, ys, source)
    if frame.crs is None:
        return _without_crs(xs, ys, source, frame)
    converted = _transformed(xs, ys, source, frame)
    return [frame.pixel(x, y) if math.isfinite(x + y) else None for x, y in converted]


def degree_like(frame: Frame) -> bool:
    """Whether an image's coordinates can be longitudes and latitudes."""
    left, bottom, right, top = frame.bounds
    turn = _MOST_LONGITUDE + 1
    return -turn <= left <= right <= turn and -91 <= bottom <= top <= 91


def _unplaced(source: Source) -> str:
    line = f"has coordinates in {source}, but the image has no georeference; "
    if source.meaning == "degrees":
        return line + (
            'open the image they were made on, or, if they are pixels, say so: "crs": null in '
            "GeoJSON, columns named row and col in CSV"
        )
    return line + "open the image they were made on"


def _beyond(xs: Sequence[float], ys: Sequence[float]) -> bool:
    """Whether some coordinates cannot be degrees."""
    return max(map(abs, xs)) > _MOST_LONGITUDE or max(map(abs, ys)) > _MOST_LATITUDE


def _check_pixels(xs: Sequence[float], ys: Sequence[float]) -> None:
    """Refuse what may be degrees where only pixel numbers make sense."""
    halves = all((2 * value).is_integer() for value in (*xs, *ys))
    if not halves and not _beyond(xs, ys):
        raise ClickError(
            f"has coordinates like ({xs[0]:.10g}, {ys[0]:.10g}), which may be degrees, but the "
            "image has no georeference; if they are pixels, name the columns col and row"
        )


def _is_degrees(crs: CRS | None) -> bool:
    return longitude_period(crs) == 360.0


def _check_degrees(xs: Sequence[float], ys: Sequence[float], source: Source) -> None:
    """Refuse what is called degrees and cannot be."""
    if any(
        abs(x) <= _MOST_LONGITUDE and abs(y) <= _MOST_LATITUDE for x, y in zip(xs, ys, strict=True)
    ):
        return
    hint = "names no CRS, which means" if source.meaning == "degrees" else "says that they are in"
    raise ClickError(
        f"has coordinates like ({xs[0]:.10g}, {ys[0]:.10g}) but {hint} {source}; "
        "save it again with the CRS of its coordinates, or in longitude and latitude"
    )


def _without_crs(
    xs: Sequence[float], ys: Sequence[float], source: Source, frame: Frame
) -> list[tuple[float, float] | None]:
    """Pixels of an image that says where it lies but not in which CRS."""
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
    """Coordinates in the image's CRS, infinite where they have no place in it."""
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
    # One point that has no place must not keep the others out.
    half = len(xs) // 2
    return [
        *_converted(xs[:half], ys[:half], source, target, errors),
        *_converted(xs[half:], ys[half:], source, target, errors),
    ]
