"""Images that are arrays."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.raster.base import RasterBase, check_inside
from napari_disca.raster.values.masks import ambiguous_nodata, nodata_mask

#: Longest side of a sample of the image.
_SAMPLE_SIDE = 1024


class ArrayRaster(RasterBase):
    """An image in an array: NumPy, dask, zarr, or another type that is sliced like them.

    Parameters
    ----------
    data : array-like
        Of shape (h, w), (h, w, bands) or (bands, h, w).
    bands_axis : {"auto", "first", "last"}
        Which axis of three are the bands. ``"auto"``: the last if it has at most four entries
        (as in picture files), else the shorter of the first and the last.
    name : str
        For messages and layer names.
    path : Path, optional
        The file that the array was read from.
    crs, transform : optional
        Its georeference, see `Raster`.
    nodata : float or sequence of float or None, optional
        No-data value of all bands, or of each.

    Raises
    ------
    RasterError
        If it has another number of axes, no pixels, or pixels that are not numbers.
    """

    def __init__(
        self,
        data: Any,
        *,
        bands_axis: Literal["auto", "first", "last"] = "auto",
        name: str = "array",
        path: Path | None = None,
        crs: CRS | None = None,
        transform: Affine | None = None,
        nodata: float | Sequence[float | None] | None = None,
    ) -> None:
        if not (hasattr(data, "shape") and hasattr(data, "dtype") and hasattr(data, "ndim")):
            data = _as_array(data)
        if data.ndim not in (2, 3) or 0 in data.shape:
            raise RasterError(
                f"an array of shape {tuple(data.shape)} is no image; "
                "expected (h, w), (h, w, bands) or (bands, h, w)"
            )
        try:
            self.dtype: np.dtype[Any] = np.dtype(data.dtype)
        except TypeError as error:
            raise RasterError(f"pixels of type {data.dtype} are no numbers") from error
        if self.dtype.kind not in "uif":
            raise RasterError(
                f"an image of type {self.dtype} cannot be used; give integers or real numbers"
            )
        self._data = data
        self._axis = _bands_axis(tuple(data.shape), bands_axis)
        sides = [int(n) for axis, n in enumerate(data.shape) if axis != self._axis]
        self.shape: tuple[int, int] = (sides[0], sides[1])
        self.count = 1 if self._axis is None else int(data.shape[self._axis])
        self.name, self.path = name, path
        self.crs, self.transform = crs, transform
        each = nodata if isinstance(nodata, Sequence) else (nodata,) * self.count
        self.nodatas: tuple[float | None, ...] = tuple(each)
        self.nodata: float | None = self.nodatas[0]
        self.gcps: tuple[list[Any], CRS | None] | None = None
        self.rpcs: Any = None
        self.scales, self.offsets = (1.0,) * self.count, (0.0,) * self.count
        self.bits = 8 * self.dtype.itemsize
        self.descriptions: tuple[str, ...] = ("",) * self.count
        self.notes: tuple[str, ...] = ()
        colours = ("red", "green", "blue") if self.count in (3, 4) else ("gray",)
        self.color_interp: tuple[str, ...] = (
            *colours[: self.count],
            *("undefined",) * (self.count - len(colours)),
        )

    @property
    def overviews(self) -> tuple[int, ...]:
        """Factors at which `reduced` is fast: all of them if the array is in memory."""
        in_memory = isinstance(self._data, np.ndarray) and not isinstance(self._data, np.memmap)
        return tuple(1 << k for k in range(1, 24)) if in_memory else ()

    def _cut(self, rows: slice, cols: slice, bands: tuple[int, ...]) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` as a new array."""
        if self._axis is None:
            plane = np.asarray(self._data[rows, cols])
            return np.stack([plane] * len(bands))
        index = (slice(None), rows, cols) if self._axis == 0 else (rows, cols, slice(None))
        block = np.moveaxis(np.asarray(self._data[index]), self._axis, 0)
        return np.ascontiguousarray(block[[band - 1 for band in bands]])

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Pixels ``(bands, height, width)`` of a window.

        Raises
        ------
        RasterError
            If the window or a band is outside the image.
        """
        check_inside(window, self.shape)
        return self._cut(*window.slices, self._chosen(bands))

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """Where these bands (all by default) have data.

        False where one of them is NaN or infinite or has its no-data value, and where an alpha band
        is 0.

        Raises
        ------
        RasterError
            If the window is outside the image.
        """
        check_inside(window, self.shape)
        return self._valid(*window.slices, self._chosen(bands))

    def _valid(self, rows: slice, cols: slice, bands: tuple[int, ...]) -> NDArray[np.bool_]:
        alphas = [b for b, name in enumerate(self.color_interp, start=1) if name == "alpha"]
        unique = sorted({*bands} - {*alphas})
        nodatas = [self.nodatas[band - 1] for band in unique]
        shape = (
            len(range(*rows.indices(self.shape[0]))),
            len(range(*cols.indices(self.shape[1]))),
        )
        valid = np.ones(shape, dtype=np.bool_)
        if unique and (self.dtype.kind == "f" or any(v is not None for v in nodatas)):
            pixels = self._cut(rows, cols, tuple(unique))
            valid &= np.isfinite(pixels).all(axis=0)
            valid &= ~nodata_mask(pixels, nodatas, [self._ambiguous[band - 1] for band in unique])
        if alphas:
            valid &= (self._cut(rows, cols, tuple(alphas)) > 0).all(axis=0)
        return valid

    @cached_property
    def _ambiguous(self) -> tuple[bool, ...]:
        """Per band, whether its no-data value also occurs as a measurement."""
        if all(value is None for value in self.nodatas):
            return (False,) * self.count
        every = slice(None, None, -(-max(self.shape) // _SAMPLE_SIDE))
        block = self._cut(every, every, tuple(range(1, self.count + 1)))
        return ambiguous_nodata([block], self.nodatas)

    def overview(
        self, max_side: int, bands: Sequence[int] | None = None
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Every n-th pixel of the whole image, at most `max_side` a side, and where it has data."""
        step = -(-max(self.shape) // max_side)
        every = slice(None, None, step)
        return self._cut(every, every, self._chosen(bands)), self._valid(
            every, every, self._chosen(bands)
        )

    def reduced(
        self, window: Window, step: int, bands: Sequence[int] | None = None
    ) -> NDArray[Any]:
        """Every `step`-th pixel of a window.

        Raises
        ------
        RasterError
            If the window or a band is outside the image.
        """
        check_inside(window, self.shape)
        rows = slice(window.top, window.bottom, step)
        cols = slice(window.left, window.right, step)
        return self._cut(rows, cols, self._chosen(bands))


def _as_array(data: Any) -> NDArray[Any]:
    try:
        return np.asarray(data)
    except (TypeError, ValueError) as error:
        raise RasterError(f"a {type(data).__name__} is no image: {error}") from error


def _bands_axis(shape: tuple[int, ...], wanted: str) -> Literal[0, 2] | None:
    if len(shape) == 2:
        return None
    if wanted == "auto":
        wanted = "last" if shape[2] <= 4 or shape[2] <= shape[0] else "first"
    return 2 if wanted == "last" else 0
