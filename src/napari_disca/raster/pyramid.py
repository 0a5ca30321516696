"""An image of any size at the resolutions a viewer asks for.

Levels are reduced 1, 2, 4, ... times. What a file's own overviews (or its small size) make
cheap is read when it is looked at. A large file without overviews gets its coarse levels from
`ImagePyramid.build`, once: they are kept in a cache folder of limited size.
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
from napari_disca.raster.scaling import Scaling, ValueScale, value_scale

_COARSEST = 1024
#: Images up to this many pixels need no help: reading them whole takes well under a second.
_SMALL = 16 << 20
#: The finest level that is kept in memory while it is made, and its size in bytes at most.
_FINEST_STORED = 4
_STORED_BYTES = 256 << 20
_STRIP = 16 << 20
_CACHE_LIMIT = 2 << 30


class ImageLevel:
    """One resolution of an image: slices like an array, reads what is sliced.

    Attributes
    ----------
    factor : int
        Image pixels per pixel, along each axis.
    shape : tuple of int
        ``(height, width)``, or ``(height, width, 3)`` for colours.
    dtype : numpy.dtype
    stored : array or None
        The whole level, where it is kept instead of read.
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
        """Bytes that the whole level would take."""
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
        pixels = self._pyramid.spared(self._read, rows, cols)
        result: NDArray[Any] = pixels[(row_rest, slice(None), *index[2:])]
        # The columns' axis is the first that is left if the rows' went away.
        return np.asarray(result[col_rest] if _is_integer(row_rest) else result[:, col_rest])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _read(self, rows: range, cols: range) -> NDArray[Any]:
        """Read a rectangle; the last row and column of a level may cover fewer pixels."""
        factor = self.factor
        window = Window.from_bounds(
            rows.start * factor, cols.start * factor, rows.stop * factor, cols.stop * factor
        ) & Window.whole(self._pyramid.raster.shape)
        return self._pyramid.shown(window, factor)


class ImagePyramid:
    """An image as a list of levels for a multiscale viewer.

    Three bands are shown as 8-bit colours: 8-bit images as they are, others scaled as a network
    reads them (`value_scale`). One band keeps its type; see `contrast_limits`.
    Coarse levels are means of the pixels with data where GDAL makes them, so are further
    halvings of 8-bit levels; other types then take every second pixel, as arrays do.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int, optional
        One or three bands (from 1); red, green and blue or the first band by default.
    cache : Path, optional
        Folder for the levels of large files; the user's cache folder by default.
    cache_limit : int
        Size in bytes above which the oldest files of the folder are removed.
    scaling : Scaling or ValueScale, optional
        How values are shown; from the bulk of the values by default.

    Attributes
    ----------
    levels : list of array-like
        Finest first. The coarsest is a NumPy array and stays the same object.
    rgb : bool
        Whether the last axis is red, green and blue.
    complete : bool
        False until `build` has run, where it is needed.
    report : callable or None
        Told the one line where pixels cannot be read (a damaged part, a file that went away),
        once until they can be read again. Such pixels are then shown as 0, because a viewer that
        meets an exception while it draws would meet it at every drawing. Without it errors are
        raised.

    Raises
    ------
    RasterError
        If bands are not in the image, or the file is damaged.
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
        """Values to show as black and white: all of 8-bit images, else as a network reads them."""
        if self._as_it_is or self.rgb:
            return 0.0, 255.0
        ends = (*self.scale.low, *self.scale.high)
        return min(ends), max(ends)

    @property
    def _as_it_is(self) -> bool:
        """Whether values are shown without looking at the image first."""
        return self.raster.dtype == np.uint8 and self._scaling is None

    @cached_property
    def scale(self) -> ValueScale:
        """How values are shown."""
        if isinstance(self._scaling, ValueScale):
            return self._scaling
        colours = ("red", "green", "blue") if self.rgb else ()
        return value_scale(self.raster, self.bands, self._scaling or Scaling(), colours)

    def shown(self, window: Window, factor: int) -> NDArray[Any]:
        """Pixels as they are shown, of a window of the image, `factor` times reduced.

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

    def spared(
        self, read: Callable[[range, range], NDArray[Any]], rows: range, cols: range
    ) -> NDArray[Any]:
        """What `read` reads; zeros, and a report, where it cannot."""
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
        """Fill the levels that are kept, strip by strip, and remember them for the next time.

        Levels that a viewer shows meanwhile grow from the top; where a strip is finished it is
        final. Nothing is done where `complete` is true already.

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
        # A strip ends where a row of the coarsest level does.
        unit = self._coarsest.factor
        rows = max(1, _STRIP // (width * unit)) * unit
        # The first is thin, so that there is something to see at once.
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
        # From now on the file holds what memory did; the coarsest level must stay what it is.
        kept = self._cache.get(self._key, [(level.shape, self.dtype) for level in stored])
        if kept is not None:
            for level, array in zip(self._stored, kept, strict=False):
                level.stored = array

    def _decoded(self, finer: Sequence[ImageLevel]) -> NDArray[Any]:
        """Decode a JPEG or PNG once into all levels: each look would decode it from the start."""
        pixels = self.shown(Window.whole(self.raster.shape), 1)
        for level in finer:
            level.stored = pixels
            pixels = _halved(pixels)
        return pixels

    def _is_cheap(self, factors: Sequence[int]) -> bool:
        """Whether every level can be read without decoding much more than it shows."""
        if self.raster.shape[0] * self.raster.shape[1] <= _SMALL:
            return True
        ready = (1, *getattr(self.raster, "overviews", ()))
        return all(any(o <= factor <= 4 * o for o in ready) for factor in factors)

    def _restored(self) -> NDArray[Any]:
        """Take the stored levels from the cache, or start with black ones."""
        stored = [*self._stored, self._coarsest]
        bands = "-".join(map(str, self.bands))
        self._key = f"{file_fingerprint(self.raster)}-{bands}"
        if self.rgb and not self._as_it_is:
            ends = repr((self.scale.low, self.scale.high)).encode()
            self._key += f"-{hashlib.blake2b(ends, digest_size=4).hexdigest()}"
        kept = self._cache.get(self._key, [(level.shape, self.dtype) for level in stored])
        self.complete = kept is not None
        if kept is None:
            kept = [np.zeros(level.shape, dtype=self.dtype) for level in stored]
        for level, array in zip(stored, kept, strict=True):
            level.stored = array
        self._coarsest.stored = np.array(kept[-1])
        return self._coarsest.stored


def _shown_bands(raster: Raster, bands: Sequence[int] | None) -> tuple[int, ...]:
    if bands is None:
        colours = sum(name != "alpha" for name in raster.color_interp) >= 3
        wanted = 3 if colours else 1
        try:
            return default_bands(raster, wanted, ("red", "green", "blue")[: 3 * colours])
        except RasterError:
            # Something must be shown, so that its bands can be chosen.
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
    """Rows to read for an index, and the index to apply to what was read."""
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
    """Every second pixel, or of 8-bit values the mean of two by two."""
    if pixels.dtype != np.uint8:
        return np.ascontiguousarray(pixels[::2, ::2])
    height, width = pixels.shape[:2]
    padding = [(0, height % 2), (0, width % 2), *[(0, 0)] * (pixels.ndim - 2)]
    even = np.pad(pixels, padding, mode="edge").astype(np.uint16)
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return ((total + 2) >> 2).astype(np.uint8)
