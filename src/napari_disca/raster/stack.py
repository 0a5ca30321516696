"""An image whose bands are images of one band, for instance files of red, green and blue."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.bands import band_kinds
from napari_disca.raster.base import Raster, RasterBase


class BandStack(RasterBase):
    """An image made of images of one band on the same grid.

    Parameters
    ----------
    parts : sequence of Raster
        Images of one band, at least one; `close` closes them.
    names : sequence of str
        Names of the bands, for instance ``"red"`` or ``"B04"``.

    Raises
    ------
    RasterError
        If one of them has several bands, or another grid than the first.
    """

    def __init__(self, parts: Sequence[Raster], names: Sequence[str]) -> None:
        first = parts[0]
        for part, name in zip(parts, names, strict=True):
            usable = sum(kind != "alpha" for kind in part.color_interp)
            if usable != 1:
                raise RasterError(f"{name!r} has {usable} bands; a stack is made of single bands")
            if part.shape != first.shape:
                raise RasterError(
                    f"{name!r} has {part.shape[0]} x {part.shape[1]} pixels, {names[0]!r} has "
                    f"{first.shape[0]} x {first.shape[1]}; bands of one image lie on one grid"
                )
            if (part.crs, part.transform) != (first.crs, first.transform):
                raise RasterError(
                    f"{name!r} lies elsewhere than {names[0]!r}; bands of one image lie on one grid"
                )
        self._parts = list(parts)
        self.path: Path | None = None
        self.name = " + ".join(names)
        self.shape, self.count = first.shape, len(self._parts)
        self.crs, self.transform = first.crs, first.transform
        self.gcps, self.rpcs = first.gcps, first.rpcs
        self.dtype: np.dtype[Any] = np.result_type(*(part.dtype for part in parts))
        self.nodatas: tuple[float | None, ...] = tuple(part.nodatas[0] for part in parts)
        self.nodata = self.nodatas[0]
        self.scales = tuple(part.scales[0] for part in parts)
        self.offsets = tuple(part.offsets[0] for part in parts)
        self.bits = max(part.bits for part in parts)
        kinds = band_kinds(list(names))
        self.color_interp: tuple[str, ...] = tuple(kind or "undefined" for kind in kinds)
        self.descriptions: tuple[str, ...] = tuple(names)
        self.notes: tuple[str, ...] = tuple({note: None for p in parts for note in p.notes})
        self.notes += (f"its bands are the images {', '.join(names)}",)

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window."""
        return self._joined([self._parts[b - 1].read(window, (1,)) for b in self._chosen(bands)])

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where all these bands (all by default) have data."""
        found = [self._parts[b - 1].valid(window, (1,)) for b in sorted({*self._chosen(bands)})]
        valid: NDArray[np.bool_] = np.logical_and.reduce(found)
        return valid

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Whole image with at most `max_side` pixels a side, and where it has data."""
        found = [self._parts[b - 1].overview(max_side, (1,)) for b in self._chosen(bands)]
        valid: NDArray[np.bool_] = np.logical_and.reduce([data for _, data in found])
        return self._joined([pixels for pixels, _ in found]), valid

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up."""
        chosen = self._chosen(bands)
        return self._joined([self._parts[b - 1].reduced(window, step, (1,)) for b in chosen])

    def _joined(self, pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(pieces).astype(self.dtype, copy=False)

    def close(self) -> None:
        """Close all parts."""
        for part in self._parts:
            part.close()
