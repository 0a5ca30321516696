"""An image of any size as a pyramid of levels for a viewer.

Levels are reduced 1, 2, 4, ... times. Levels of small files and of files with overviews are read
when they are shown. For a large file without overviews `ImagePyramid.build` computes the coarse
levels once; they are kept in a cache folder of limited size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_disca.core.errors import RasterError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.raster import Raster, default_bands, file_fingerprint
from napari_disca.raster.level_cache import LevelCache
from napari_disca.raster.values.scaling import Scaling, ValueScale, value_scale

_COARSEST = 1024
#: Images up to this many pixels are read directly, which takes well under a second.
_SMALL = 16 << 20
#: Smallest factor of a level that is stored, and the most bytes of such a level.
_FINEST_STORED = 4
_STORED_BYTES = 256 << 20
_STRIP = 16 << 20
_CACHE_LIMIT = 2 << 30


class ImageLevel:
    """One level of an image: it is sliced like an array, and reads what is sliced.

    Attributes
    ----------
    factor : int
        Image pixels per pixel of the level, along each axis.
    shape : tuple of int
        ``(height, width)``, or ``(height, width, 3)`` for colours.
    dtype : numpy.dtype
    stored : array or None
        The whole level if it is stored; None if it is read from the image.
    """

    def __init__(self, pyramid: ImagePyramid, factor: int) -> None:
        height, width = (-(-side // factor) for side in pyramid.raster.shape)
        self._pyramid = pyramid
        self._plane = (height, width)
        self.factor = factor
        self.shape: tuple[int, ...] = (height, width, 3) if pyramid.rgb else (height, width)
        self.dtype = pyramid.dtype
        self.stored: NDArray[Any] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """Bytes of the whole level."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        if self.stored is not None:
            return np.asarray(self.stored[index])
        index = index if isinstance(index, tuple) else (index,)
        if Ellipsis in index:
            at = index.index(Ellipsis)
            fill = (slice(None),) * (self.ndim - len(index) + 1)
            index = (*index[:at], *fill, *index[at + 1 :])
        index = (*index, *(slice(None),) * (self.ndim - len(index)))
        (rows, row_rest), (cols, col_rest) = (
            _span(part, side) for part, side in zip(index[:2], self._plane, strict=True)
        )
        pixels = self._pyramid.read_or_zeros(self._read, rows, cols)
        result: NDArray[Any] = pixels[(row_rest, slice(None), *index[2:])]
        # If an integer has removed the row axis, the column axis is the first one.
        return np.asarray(result[col_rest] if _is_integer(row_rest) else result[:, col_rest])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _read(self, rows: range, cols: range) -> NDArray[Any]:
        """Read a rectangle; the last row and column may stand for fewer pixels of the image."""
        factor = self.factor
        window = Window.from_bounds(
            rows.start * factor, cols.start * factor, rows.stop * factor, cols.stop * factor
        ) & Window.whole(self._pyramid.raster.shape)
        return self._pyramid.shown(window, factor)


class ImagePyramid:
    """An image as a list of levels for a multiscale viewer.

    Three bands become 8-bit colours: 8-bit images unchanged, others scaled as for a network
    (`value_scale`). One band keeps its type; see `contrast_limits`. Coarse levels that GDAL reads
    are means of valid pixels. Further levels are means of 2 x 2 pixels for 8-bit values; for other
    types, and for arrays, they are every second pixel.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int, optional
        One or three bands (from 1); red, green and blue or the first band by default.
    cache : Path, optional
        Folder for the levels of large files; the user's cache folder by default.
    cache_limit : int
        Bytes of the folder above which files that were not used for longest are removed.
    scaling : Scaling or ValueScale, optional
        How values are shown; by default decided from the image's values.

    Attributes
    ----------
    levels : list of array-like
        From the finest to the coarsest, which is a NumPy array and stays the same object.
    rgb : bool
        Whether the last axis is red, green and blue.
    complete : bool
        False if `build` is needed and has not finished.
    report : callable or None
        Called with one line if pixels cannot be read (a damaged part, a removed file), and not
        again until reading has succeeded. Such pixels become 0, because an exception while a viewer
        draws would occur again at every drawing. If it is None, errors are raised.

    Raises
    ------
    RasterError
        If a band is not in the image, or the file is damaged.
    """

    def __init__(
        self,
        raster: Raster,
        bands: Sequence[int] | None = None,
        cache: Path | None = None,
        cache_limit: int = _CACHE_LIMIT,
        scaling: Scaling | ValueScale | None = None,
    ) -> None:
        self.raster = raster
        self.bands = _shown_bands(raster, bands)
        self._scaling = scaling
        self.rgb = len(self.bands) == 3
        self.dtype: np.dtype[Any] = np.dtype(np.uint8) if self.rgb else raster.dtype
        self._cache = LevelCache(cache, cache_limit)
        self._key = ""
        self.report: Callable[[str], object] | None = None
        self._reported = ""
        factors = [1]
        while -(-max(raster.shape) // factors[-1]) > _COARSEST:
            factors.append(factors[-1] * 2)
        *lazy, self._coarsest = (ImageLevel(self, factor) for factor in factors)
        self._stored: list[ImageLevel] = []
        self.complete = True
        sequential = getattr(raster, "sequential", False)
        if sequential and lazy and lazy[0].nbytes <= _STORED_BYTES:
            array = self._decoded(lazy)
        elif self._is_cheap(factors):
            array = np.array(self._coarsest)
        else:
            self._stored = [
                level
                for level in lazy
                if level.factor >= _FINEST_STORED and level.nbytes <= _STORED_BYTES
            ]
            array = self._restored()
        self.levels: list[Any] = [*lazy, array]

    @cached_property
    def contrast_limits(self) -> tuple[float, float]:
        """Values shown as black and white: 0 and 255 for 8-bit images, else those of `scale`."""
        if self._as_it_is or self.rgb:
            return 0.0, 255.0
        ends = (*self.scale.low, *self.scale.high)
        return min(ends), max(ends)

    @property
    def _as_it_is(self) -> bool:
        """Whether values are shown without a scale that depends on the image."""
        return self.raster.dtype == np.uint8 and self._scaling is None

    @cached_property
    def scale(self) -> ValueScale:
        """The scale by which values are shown."""
        if isinstance(self._scaling, ValueScale):
            return self._scaling
        colours = ("red", "green", "blue") if self.rgb else ()
        return value_scale(self.raster, self.bands, self._scaling or Scaling(), colours)

    def shown(self, window: Window, factor: int) -> NDArray[Any]:
        """Return pixels as they are shown, of a window of the image that is reduced by `factor`.

        Raises
        ------
        RasterError
            If the window is outside the image, or the file is damaged.
        """
        if factor == 1:
            pixels = self.raster.read(window, self.bands)
        else:
            pixels = self.raster.reduced(window, factor, self.bands)
        if not self.rgb:
            return np.asarray(pixels[0], dtype=self.dtype)
        if not self._as_it_is:
            scaled = np.nan_to_num(self.scale(pixels), nan=0.0)
            pixels = np.rint(scaled * 255).astype(np.uint8)
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))

    def read_or_zeros(
        self, read: Callable[[range, range], NDArray[Any]], rows: range, cols: range
    ) -> NDArray[Any]:
        """Return what `read` returns; if it raises an error, report it and return zeros."""
        try:
            pixels = read(rows, cols)
            self._reported = ""
        except RasterError as error:
            if self.report is None:
                raise
            if str(error) != self._reported:
                self._reported = str(error)
                self.report(str(error))
            colours = (3,) if self.rgb else ()
            pixels = np.zeros((len(rows), len(cols), *colours), dtype=self.dtype)
        return pixels

    def build(self) -> Job[None]:
        """Job that computes the stored levels strip by strip, and writes them to the cache.

        Levels that a viewer shows meanwhile are filled from the top; a finished strip does not
        change any more. Does nothing if `complete` is true.

        Yields
        ------
        Progress
            After each strip.

        Raises
        ------
        RasterError
            If the file is damaged.
        """
        if self.complete:
            return
        height, width = self.raster.shape
        stored = [*self._stored, self._coarsest]
        # A strip is a whole number of rows of the coarsest level.
        unit = self._coarsest.factor
        rows = max(1, _STRIP // (width * unit)) * unit
        # The first strip is thin, so that the user sees something at once.
        tops = [0, *range(unit, height, rows)]
        for done, (top, bottom) in enumerate(pairwise([*tops, height]), start=1):
            strip = Window.from_bounds(top, 0, bottom, width)
            pixels = self.shown(strip, stored[0].factor)
            for level, coarser in zip(stored, [*stored[1:], None], strict=True):
                start = top // level.factor
                assert level.stored is not None
                level.stored[start : start + len(pixels)] = pixels
                if coarser is not None:
                    pixels = _halved(pixels)
            yield Progress("preparing the image", done, len(tops))
        self.complete = True
        self._cache.put(self._key, [level.stored for level in stored if level.stored is not None])
        # The mapped file replaces the arrays in memory, but not the coarsest level's.
        cached = self._cache.get(self._key, [(level.shape, self.dtype) for level in stored])
        if cached is not None:
            for level, array in zip(self._stored, cached, strict=False):
                level.stored = array

    def _decoded(self, finer: Sequence[ImageLevel]) -> NDArray[Any]:
        """Decode a JPEG or PNG once for all levels: each reading would decode it again."""
        pixels = self.shown(Window.whole(self.raster.shape), 1)
        for level in finer:
            level.stored = pixels
            pixels = _halved(pixels)
        return pixels

    def _is_cheap(self, factors: Sequence[int]) -> bool:
        """Whether every level can be read without decoding many more pixels than it has."""
        if self.raster.shape[0] * self.raster.shape[1] <= _SMALL:
            return True
        ready = (1, *getattr(self.raster, "overviews", ()))
        return all(any(o <= factor <= 4 * o for o in ready) for factor in factors)

    def _restored(self) -> NDArray[Any]:
        """Take the stored levels from the cache, or begin with zeros; return the coarsest."""
        stored = [*self._stored, self._coarsest]
        bands = "-".join(map(str, self.bands))
        self._key = f"{file_fingerprint(self.raster)}-{bands}"
        if self.rgb and not self._as_it_is:
            ends = repr((self.scale.low, self.scale.high)).encode()
            self._key += f"-{hashlib.blake2b(ends, digest_size=4).hexdigest()}"
        cached = self._cache.get(self._key, [(level.shape, self.dtype) for level in stored])
        self.complete = cached is not None
        if cached is None:
            cached = [np.zeros(level.shape, dtype=self.dtype) for level in stored]
        for level, array in zip(stored, cached, strict=True):
            level.stored = array
        self._coarsest.stored = np.array(cached[-1])
        return self._coarsest.stored


def _shown_bands(raster: Raster, bands: Sequence[int] | None) -> tuple[int, ...]:
    if bands is None:
        colours = sum(name != "alpha" for name in raster.color_interp) >= 3
        wanted = 3 if colours else 1
        try:
            return default_bands(raster, wanted, ("red", "green", "blue")[: 3 * colours])
        except RasterError:
            # Shown all the same, so that the user can choose the bands.
            return tuple(range(1, wanted + 1))
    chosen = tuple(int(band) for band in bands)
    if len(chosen) not in (1, 3) or not all(1 <= band <= raster.count for band in chosen):
        raise RasterError(
            f"bands {', '.join(map(str, chosen))} of {raster.name} cannot be shown; "
            f"choose one or three of bands 1 to {raster.count}"
        )
    return chosen


def _is_integer(index: Any) -> bool:
    return isinstance(index, (int, np.integer))


def _span(index: Any, length: int) -> tuple[range, Any]:
    """Range to read for an index of one axis, and the index into what was read."""
    if _is_integer(index):
        at = int(index) + (length if index < 0 else 0)
        if not 0 <= at < length:
            raise IndexError(f"index {index} is outside a level of {length} pixels")
        return range(at, at + 1), 0
    if isinstance(index, slice):
        wanted = range(*index.indices(length))
        if not wanted:
            return range(0), slice(0, 0)
        low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1
        return range(low, high), slice(None, None, wanted.step)
    raise TypeError(f"a level is sliced by integers and slices, not by {type(index).__name__}")


def _halved(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return half as many rows and columns: means of 8-bit values, every second pixel of others."""
    if pixels.dtype != np.uint8:
        return np.ascontiguousarray(pixels[::2, ::2])
    height, width = pixels.shape[:2]
    padding = [(0, height % 2), (0, width % 2), *[(0, 0)] * (pixels.ndim - 2)]
    even = np.pad(pixels, padding, mode="edge").astype(np.uint16)
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)
