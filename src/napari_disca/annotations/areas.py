"""Areas of an image: polygons, drawn pixel by pixel only where somebody looks."""

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
#: More corners than a hand draws; a coast line from a GIS has fewer.
_MOST_CORNERS = 100_000
#: Pixels looked at together in search of the first that an area holds.
_STRIP = 1 << 24


@dataclass(frozen=True, slots=True)
class Area:
    """A polygon on an image. It holds the pixels whose centres it holds.

    Parameters
    ----------
    rings : tuple of rings
        Outlines and their holes, in any order: what an odd number of rings enclose belongs to the
        area. Corners are ``(row, col)`` as fractions of pixels: pixel ``(0, 0)`` reaches from 0 to
        1, so its centre is at 0.5.

    Raises
    ------
    AreaError
        If a ring has fewer than three corners, or one is no number.
    """

    rings: tuple[Ring, ...]
    digest: str = field(init=False, repr=False, compare=False)
    #: Smallest window that holds the area; it may leave the image.
    window: Window = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.rings or sum(map(len, self.rings)) > _MOST_CORNERS:
            raise AreaError(
                f"an area of {sum(map(len, self.rings))} corners cannot be locked; "
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
                raise AreaError("a corner of the area is no number; draw it again")
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
        # One pixel aside, because rasterio warns of a transform that is the identity.
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
        """Return self.

        Raises
        ------
        AreaError
            If the area holds no pixel of an image of this shape.
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
    """Outlines of the pixels of a mask, each with its holes: closed rings of pixels' corners.

    Parameters
    ----------
    mask : (height, width) array of bool
    top, left : int
        Where its first pixel lies in the image.
    """
    found = rasterio.features.shapes(
        mask.view(np.uint8),
        mask=mask,
        connectivity=4,
        # rasterio warns of a transform that is the identity, which the shift below is not.
        transform=Affine.translation(left + 1, top + 1),
    )
    for outline, _ in found:
        yield [tuple((y - 1, x - 1) for x, y in ring) for ring in outline["coordinates"]]
