"""Areas of an image: polygons, which are rasterized window by window."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import rasterio.features
from affine import Affine
from numpy.typing import NDArray

from napari_disca.core.errors import AreaError
from napari_disca.core.tiling import Window

#: Corners as ``(row, col)``; the last is joined to the first.
Ring: TypeAlias = tuple[tuple[float, float], ...]

#: Corners lie on 1/256 of a pixel, so that moving a polygon to a window's corner is exact.
_SNAP = 256
#: Most corners of an area: more than anybody draws, and than a coast line from a GIS has.
_MOST_CORNERS = 100_000
#: Pixels that are rasterized at once in search of the first that an area holds.
_STRIP = 1 << 24


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon on an image; a pixel belongs to it if the pixel's centre lies inside.

    Parameters
    ----------
    rings : tuple of rings
        Outlines and their holes, in any order: a place that an odd number of rings enclose is in
        the area. Corners are ``(row, col)`` as fractions of pixels: pixel ``(0, 0)`` reaches from
        0 to 1, so its centre is at 0.5. They are rounded to 1/256 of a pixel.

    Raises
    ------
    AreaError
        If there is no ring or too many corners, a ring has fewer than three corners, or a corner
        is not a finite number.
    """

    rings: tuple[Ring, ...]
    #: Fingerprint of the corners.
    digest: str = field(init=False, repr=False, compare=False)
    #: Smallest window that holds the area; it may reach beyond the image.
    window: Window = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.rings or sum(map(len, self.rings)) > _MOST_CORNERS:
            raise AreaError(
                f"an area of {sum(map(len, self.rings))} corners cannot be used; "
                f"draw a polygon of 3 to {_MOST_CORNERS} corners"
            )
        snapped = []
        for ring in self.rings:
            corners = list(ring)
            if len(corners) > 1 and corners[0] == corners[-1]:
                corners.pop()  # GeoJSON repeats the first
            if len(corners) < 3:
                raise AreaError(
                    f"an outline of {len(corners)} corners encloses nothing; draw at least three"
                )
            if not all(
                math.isfinite(value) and abs(value) < 2**40 for at in corners for value in at
            ):
                raise AreaError("a corner of the area is not a finite number; draw it again")
            snapped.append(
                tuple((round(r * _SNAP) / _SNAP, round(c * _SNAP) / _SNAP) for r, c in corners)
            )
        object.__setattr__(self, "rings", tuple(snapped))
        digest = hashlib.blake2b(repr(self.rings).encode(), digest_size=8).hexdigest()
        object.__setattr__(self, "digest", digest)
        rows, cols = zip(*(corner for ring in snapped for corner in ring), strict=True)
        top, left = math.floor(min(rows)), math.floor(min(cols))
        bottom, right = math.ceil(max(rows)), math.ceil(max(cols))
        object.__setattr__(self, "window", Window.from_bounds(top, left, bottom, right))

    @classmethod
    def rectangle(cls, window: Window) -> Area:
        """Area of all pixels of a window."""
        top, left, bottom, right = window.top, window.left, window.bottom, window.right
        return cls((((top, left), (top, right), (bottom, right), (bottom, left)),))

    def mask(self, window: Window) -> NDArray[np.bool_]:
        """Which pixels of a window the area holds, as an array of the window's shape."""
        if not window or not self.window & window:
            return np.zeros(window.shape, dtype=np.bool_)
        # Shifted by one pixel, because rasterio warns if a transform is the identity.
        polygon = {
            "type": "Polygon",
            "coordinates": [
                [(c - window.left + 1, r - window.top + 1) for r, c in (*ring, ring[0])]
                for ring in self.rings
            ],
        }
        burnt = rasterio.features.rasterize(
            [(polygon, 1)],
            out_shape=window.shape,
            transform=Affine.translation(1, 1),
            dtype=np.uint8,
        )
        return np.asarray(burnt, dtype=np.bool_)

    def checked(self, shape: tuple[int, int]) -> Area:
        """Return the area itself if it holds at least one pixel of an image of this shape.

        Raises
        ------
        AreaError
            If it holds none.
        """
        box = self.window & Window.whole(shape)
        rows = max(1, _STRIP // max(1, box.width))
        for top in range(box.top, box.bottom, rows):
            strip = Window.from_bounds(top, box.left, min(top + rows, box.bottom), box.right)
            if self.mask(strip).any():
                return self
        raise AreaError(
            f"the area holds no pixel of the image of {shape[0]} x {shape[1]} pixels; "
            "draw it larger, or inside the image"
        )


def mask_outlines(mask: NDArray[np.bool_], top: int, left: int) -> Iterator[list[Ring]]:
    """Trace the outlines of a mask: for each region its outer ring, then its holes.

    Parameters
    ----------
    mask : (height, width) array of bool
    top, left : int
        Row and column of the mask's first pixel in the image.

    Yields
    ------
    list of Ring
        Closed rings of pixel corners, in coordinates of the image.
    """
    found = rasterio.features.shapes(
        mask.view(np.uint8),
        mask=mask,
        connectivity=4,
        # Shifted by one pixel, because rasterio warns if a transform is the identity.
        transform=Affine.translation(left + 1, top + 1),
    )
    for outline, _ in found:
        yield [tuple((y - 1, x - 1) for x, y in ring) for ring in outline["coordinates"]]
