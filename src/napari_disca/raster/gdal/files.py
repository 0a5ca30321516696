"""Image files that GDAL reads."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import RasterBase, check_inside
from napari_disca.raster.gdal.file_bands import FileBands, check_is_image, file_bands
from napari_disca.raster.gdal.file_handles import CACHE, FileHandles
from napari_disca.raster.gdal.file_masks import SEQUENTIAL, FileMasks, file_masks, to_rasterio
from napari_disca.raster.gdal.identity import cached_fingerprint, fingerprint, same_pixels
from napari_disca.raster.gdal.local_files import refuse_remote_sources


class GeoRaster(RasterBase):
    """An image file that GDAL reads.

    Every thread that reads at the same time uses its own handle, so a viewer never waits for a
    prediction.

    Parameters
    ----------
    path : Path
        A file on this computer.
    cache : int
        Bytes of GDAL's cache of decoded blocks, for all files together, from now on.
    page : int, optional
        Page of a TIFF file, from 1; by default GDAL's choice.

    Attributes
    ----------
    sequential : bool
        Whether the format can only be decoded from the beginning, so that a window near the
        end takes as long as all of the image.
    pages : int
        Number of full-size images in the file; GDAL reads the first.
    description : str
        Description that the writing program has put into a TIFF file.

    Raises
    ------
    RasterError
        If GDAL cannot open it or its pixels are complex numbers.
    """

    def __init__(self, path: Path, cache: int = CACHE, page: int | None = None) -> None:
        self.path: Path | None = path
        self.name = path.name
        self._file, self._cache, self._page = path, cache, page
        refuse_remote_sources(path)
        self._handles = FileHandles(path, cache, page, self._wrapped)
        with self._handle() as file:
            check_is_image(file, path)
            self._masks: FileMasks = file_masks(file)
            self._bands: FileBands = file_bands(file, self._masks.alphas)
            self._describe_bands(self._bands)
            self._describe_file(file)

    def _describe_bands(self, bands: FileBands) -> None:
        self.count = len(bands.sources)
        self.color_interp: tuple[str, ...] = bands.names
        self.descriptions: tuple[str, ...] = bands.descriptions
        self.dtype: np.dtype[Any] = bands.dtype
        self.nodatas: tuple[float | None, ...] = bands.nodatas
        self.scales: tuple[float, ...] = bands.scales
        self.offsets: tuple[float, ...] = bands.offsets
        self.bits = bands.bits
        self.notes: tuple[str, ...] = self._masks.notes + bands.notes

    def _describe_file(self, file: Any) -> None:
        self.shape: tuple[int, int] = (file.height, file.width)
        self.nodata: float | None = file.nodata
        points, points_crs = file.gcps
        self.gcps: tuple[list[Any], CRS | None] | None = (points, points_crs) if points else None
        self.rpcs: Any = file.rpcs
        self.crs: CRS | None = file.crs or None
        transform = file.transform
        placed = not transform.is_identity or (self.crs is not None and self.gcps is None)
        self.transform: Affine | None = (
            transform
            if placed and np.isfinite(transform.determinant) and transform.determinant
            else None
        )
        self.sequential: bool = file.driver in SEQUENTIAL
        self.pages: int = max(1, len(file.subdatasets))
        self.description: str = file.tags().get("TIFFTAG_IMAGEDESCRIPTION", "")

    def _wrapped(self, file: Any) -> Any:
        """Dataset that is read instead of the open one; subclasses wrap it."""
        return file

    def _handle(self) -> AbstractContextManager[Any]:
        return self._handles.lend(self._is_still_the_same)

    def _opened_anew(self) -> GeoRaster:
        return GeoRaster(self._file, self._cache, self._page)

    def _is_still_the_same(self, before: Any) -> bool:
        """Whether the file that now has this name holds the pixels that were opened.

        Compared by fingerprint if it was computed before, else by a handle from `before`, which
        still reads the old file if that was replaced.
        """
        with suppress(RasterError), self._opened_anew() as again:
            expected = cached_fingerprint(self)
            if expected is not None:
                return expected == fingerprint(again)
            with again._handle() as now:
                return before is not None and same_pixels(before, now)
        return False

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window, in the image's own type.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        return self._read(window, window.shape, self._chosen(bands))

    def _read(
        self,
        window: Window,
        shape: tuple[int, int],
        bands: tuple[int, ...],
        resampling: Resampling = Resampling.nearest,
    ) -> NDArray[Any]:
        check_inside(window, self.shape)
        if not window:
            return np.zeros((len(bands), *shape), dtype=self.dtype)
        sources = [self._bands.sources[band - 1] for band in bands]
        files = sorted({band for band, _ in sources})
        if any(band in self._bands.palettes for band in files):
            resampling = Resampling.nearest  # palette indices have no mean
        with self._handle() as file:
            stored = file.read(
                files, window=to_rasterio(window), out_shape=shape, resampling=resampling
            )
        if self._bands.white is not None:
            stored = (self._bands.white - stored).astype(self.dtype)
        if files == [band for band, _ in sources] and not self._bands.palettes:
            return np.asarray(stored).astype(self.dtype, copy=False)
        pixels = np.empty((len(bands), *shape), dtype=self.dtype)
        for k, (band, colour) in enumerate(sources):
            layer = stored[files.index(band)]
            if colour is not None:
                layer = self._bands.palettes[band][:, colour].take(layer, mode="clip")
            pixels[k] = layer
        return pixels

    def stored(self, window: Window, band: int = 1) -> NDArray[Any]:
        """Stored values ``(height, width)`` of a band of the file, not the colours of its palette.

        Raises
        ------
        RasterError
            If the window is outside the image, or the file is damaged.
        """
        check_inside(window, self.shape)
        with self._handle() as file:
            return np.asarray(file.read(band, window=to_rasterio(window)))

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where these bands (all by default) have data.

        False where one of them has its no-data value, NaN or infinity, where a mask or an alpha
        band is 0, and where a palette colour is fully transparent.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        return self._valid(window, window.shape, self._chosen(bands))

    def _valid(
        self, window: Window, shape: tuple[int, int], bands: tuple[int, ...]
    ) -> NDArray[np.bool_]:
        check_inside(window, self.shape)
        if not window:
            return np.ones(shape, dtype=np.bool_)
        files = [self._bands.sources[band - 1][0] for band in bands]
        ambiguous = self._ambiguous
        with self._handle() as file:
            return self._masks.valid(
                file,
                files,
                self._bands.palettes,
                ambiguous,
                window=to_rasterio(window),
                out_shape=shape,
            )

    @cached_property
    def _ambiguous(self) -> tuple[bool, ...]:
        """Per band of the file, whether its no-data value also occurs as a measurement."""
        with self._handle() as file:
            return self._masks.ambiguous_bands(file)

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Whole image with at most `max_side` pixels a side, and where it has data.

        From the file's overviews if it has them, else every n-th pixel.

        Raises
        ------
        RasterError
            If a band is outside the image, or the file is damaged.
        """
        shape = self._overview_shape(max_side)
        whole = Window.whole(self.shape)
        chosen = self._chosen(bands)
        return self._read(whole, shape, chosen), self._valid(whole, shape, chosen)

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Pixels of a window at one `step`-th of the resolution, sides rounded up.

        Means of ``step x step`` pixels (palettes: every `step`-th), from the file's overviews
        where it has them.

        Raises
        ------
        RasterError
            If the window or a band is outside the image, or the file is damaged.
        """
        shape = (-(-window.height // step), -(-window.width // step))
        return self._read(window, shape, self._chosen(bands), Resampling.average)

    @property
    def overviews(self) -> tuple[int, ...]:
        """Factors of the overviews in the file, for instance ``(2, 4, 8)``."""
        with self._handle() as file:
            return tuple(file.overviews(1))

    @property
    def closed(self) -> bool:
        """Whether the file was closed; reading it is an error then."""
        return self._handles.closed

    def release_file(self) -> None:
        """Close the file until something is read again."""
        self._handles.release_file()

    def close(self) -> None:
        """Close the file; reads that are under way still finish."""
        self._handles.close()
