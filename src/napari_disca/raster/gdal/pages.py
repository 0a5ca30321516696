"""TIFF files of several pages: pages that are bands, and stacks whose first frame is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Window
from napari_disca.raster.base import RasterBase
from napari_disca.raster.gdal.files import GeoRaster

#: Bits of TIFF's NewSubfileType.
_REDUCED, _MASK = 1, 4
#: Axes of TIFF files that are bands; pages of an unknown axis ("Q", "I") are taken for bands, too.
_BANDS = {"C", "S", "Q", "I"}
_AXES = {"T": "points in time", "Z": "planes in depth"}


@dataclass(frozen=True, slots=True)
class Pages:
    """How the pages of a TIFF file belong together.

    Attributes
    ----------
    bands : tuple of int
        Pages (from 1, masks counted) that are the bands of the first frame.
    masks : tuple of int
        For each of them the page of its mask; 0 if it has none.
    frames : str
        Description of frames that are not read; empty if all are.
    in_pages : bool
        False for a stack that is written as a single page.
    """

    bands: tuple[int, ...]
    masks: tuple[int, ...]
    frames: str
    in_pages: bool = True


def pages_of(path: Path) -> Pages | None:
    """Return the pages of a TIFF file if they are bands of one image, else None."""
    import tifffile

    with tifffile.TiffFile(path) as file:
        kinds = [int(getattr(page, "subfiletype", 0)) for page in file.pages]
        full = [k for k, kind in enumerate(kinds) if not kind & (_REDUCED | _MASK)]
        series = file.series[0]
        axes, shape = series.axes, tuple(series.shape)
        if any(kind & _MASK for kind in kinds):
            # tifffile takes masks between the pages for images.
            if len({file.pages[k].shape for k in full}) != 1:
                return None
            axes, shape = "IYX", (len(full), 1, 1)
        elif len(file.series) == len(full) and _are_alike([file.pages[k] for k in full]):
            # tifffile makes a series of each page if one has another tag, for instance no data.
            axes, shape = "IYX", (len(full), 1, 1)
    axes, shape = axes[: axes.index("Y")], shape[: axes.index("Y")]
    index = np.arange(int(np.prod(shape))).reshape(shape)
    first = index[tuple(slice(None) if axis in _BANDS else 0 for axis in axes)].ravel()
    frames = " and ".join(
        f"{size} {_AXES.get(axis, f'images along its axis {axis}')}"
        for axis, size in zip(axes, shape, strict=True)
        if axis not in _BANDS and size > 1
    )
    if index.size != len(full):
        return Pages((), (), frames, in_pages=False) if len(full) == 1 else None
    bands = tuple(full[k] + 1 for k in first)
    masks = tuple(
        band + 1 if band < len(kinds) and kinds[band] & _MASK and not kinds[band] & _REDUCED else 0
        for band in bands
    )
    return Pages(bands, masks, frames)


def _are_alike(pages: Sequence[Any]) -> bool:
    """Whether pages are planes of one size and type."""
    return (
        len(pages) > 1
        and len({(page.shape, page.dtype) for page in pages}) == 1
        and (pages[0].ndim == 2)
    )


class PagedRaster(RasterBase):
    """An image whose bands are pages of a file, each with its own no-data value and mask.

    Parameters
    ----------
    path : Path
    first : GeoRaster
        The file as GDAL reads it, for the georeference.
    pages : Pages
    cache : int
        Bytes of GDAL's cache of decoded blocks.

    Raises
    ------
    RasterError
        If a page cannot be read.
    """

    def __init__(self, path: Path, first: GeoRaster, pages: Pages, cache: int) -> None:
        self.path: Path | None = path
        self.name = path.name
        self._pages = [GeoRaster(path, cache, page=page) for page in pages.bands]
        self._page_masks = [
            GeoRaster(path, cache, page=mask) if mask else None for mask in pages.masks
        ]
        self.shape, self.count = first.shape, len(self._pages)
        self.crs, self.transform = first.crs, first.transform
        self.gcps, self.rpcs = first.gcps, first.rpcs
        self.dtype: np.dtype[Any] = np.result_type(*(page.dtype for page in self._pages))
        self.nodatas = tuple(page.nodata for page in self._pages)
        self.nodata = self.nodatas[0]
        self.scales = tuple(page.scales[0] for page in self._pages)
        self.offsets = tuple(page.offsets[0] for page in self._pages)
        self.bits = max(page.bits for page in self._pages)
        self.descriptions = tuple(page.descriptions[0] for page in self._pages)
        colours = ("red", "green", "blue") if self.count in (3, 4) else ()
        self.color_interp = (*colours, *("undefined",) * (self.count - len(colours)))
        self.notes = tuple({note: None for page in self._pages for note in page.notes})
        self.notes += (f"its {self.count} pages are read as bands",)

    @property
    def parts(self) -> tuple[GeoRaster, ...]:
        """Rasters of the pages and of their masks."""
        return tuple(self._every())

    @property
    def overviews(self) -> tuple[int, ...]:
        """Factors at which `reduced` is fast: none."""
        return ()

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window, in the image's own type."""
        return self._joined([self._pages[b - 1].read(window) for b in self._chosen(bands)])

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where the pages of these bands (all by default) have data."""
        valid = np.ones(window.shape, dtype=np.bool_)
        for band in sorted({*self._chosen(bands)}):
            valid &= self._pages[band - 1].valid(window)
            mask = self._page_masks[band - 1]
            if mask is not None:
                valid &= mask.read(window)[0] > 0
        return valid

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Whole image with at most `max_side` pixels a side, and where it has data."""
        chosen = self._chosen(bands)
        found = [self._pages[band - 1].overview(max_side) for band in chosen]
        valid = np.logical_and.reduce([data for _, data in found])
        for band in sorted({*chosen}):
            mask = self._page_masks[band - 1]
            if mask is not None:
                valid &= mask.overview(max_side)[0][0] > 0
        return self._joined([pixels for pixels, _ in found]), valid

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up."""
        chosen = self._chosen(bands)
        return self._joined([self._pages[band - 1].reduced(window, step) for band in chosen])

    def _joined(self, pieces: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(pieces).astype(self.dtype, copy=False)

    def _every(self) -> list[GeoRaster]:
        return [*self._pages, *(mask for mask in self._page_masks if mask is not None)]

    def release_file(self) -> None:
        """Close the file until something is read again."""
        for page in self._every():
            page.release_file()

    def close(self) -> None:
        """Close the file; reads that are under way still finish."""
        for page in self._every():
            page.close()
