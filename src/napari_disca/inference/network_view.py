"""An image as a network reads it: the bands, the scaled values, the resolution.

The *network grid* is the image resampled to the resolution that the network was trained at. Both
grids cover the same ground: ``H`` image rows and ``H'`` network rows share their first and last
edge, so one network row is exactly ``H / H'`` image rows. A value depends on its position only:
two overlapping windows are bitwise equal where they overlap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click, Clicks, MergedClick
from napari_disca.core.errors import RasterError
from napari_disca.core.tiling import Window
from napari_disca.inference.resampling import axis_weights, clamped, first_centre, resampled
from napari_disca.networks.card import Card
from napari_disca.raster import Raster, Scaling, ValueScale, default_bands, value_scale
from napari_disca.raster.resolution import network_factor, pixel_aspect, raster_resolution
from napari_disca.raster.values.emptiness import refuse_empty
from napari_disca.raster.values.value_scale import FillChoice

_LEAST_FACTOR, _MOST_FACTOR = 1 / 64, 32.0


#: Most source pixels in memory at once while averaging.
_BLOCK = 16 << 20


#: A network pixel has data if at least this share of its area has.
_COVERED = 1e-3


class NetworkView:
    """Reads windows of an image as a network needs them: chosen bands, scaled and resampled.

    Parameters
    ----------
    raster : Raster
    card : Card
        What the network was trained for.
    bands : sequence of int, optional
        A band of the image (from 1) for each of the card's; by default found by what the file
        says of its bands.
    factor : float, optional
        Network pixels per image pixel, 1/64 to 32. By default the quotient of both ground
        resolutions, or 1.0 where one is not known, they differ by at most a quarter, or the
        quotient is outside that range.
    scaling : Scaling or ValueScale, optional
        Replaces the card's scaling. A `ValueScale`, for instance that of a journal, was decided
        before and is used as it is.
    find_fill : bool or tuple of float
        Which fill values that the file does not declare count as no data; see `value_scale`.

    Attributes
    ----------
    bands : tuple of int
        The image's bands (from 1) in the order of the card's.
    factor : float
        Geometric mean of `factors`.
    factors : (float, float)
        Network pixels per image pixel, down and across; they differ where pixels are not square.
    resampled : bool
        Whether the network grid differs from the image's.
    shape : (int, int)
        Height and width of the network grid.
    scale : ValueScale
        How pixel values are scaled, with its numbers.

    Raises
    ------
    RasterError
        If the bands, the scaling or the factor do not fit the image, or no pixel has data.
    """

    def __init__(
        self,
        raster: Raster,
        card: Card,
        *,
        bands: Sequence[int] | None = None,
        factor: float | None = None,
        scaling: Scaling | ValueScale | None = None,
        find_fill: FillChoice = True,
    ) -> None:
        self.raster = raster
        self.card = card
        self.bands = _checked_bands(raster, card, bands)
        self.factor = _chosen_factor(raster, card) if factor is None else _checked_factor(factor)
        # Networks are trained on square pixels: others get a factor for each axis.
        stretch = math.sqrt(pixel_aspect(raster))
        factors = (self.factor * stretch, self.factor / stretch)
        height, width = (
            max(1, round(side * factor)) for side, factor in zip(raster.shape, factors, strict=True)
        )
        self.shape: tuple[int, int] = (height, width)
        self.resampled = self.shape != raster.shape
        if not self.resampled:
            factors, self.factor = (1.0, 1.0), 1.0
        self.factors = factors
        wanted = scaling or card.scaling
        self.scale = (
            value_scale(raster, self.bands, wanted, card.bands, find_fill=find_fill)
            if isinstance(wanted, Scaling)
            else _checked_scale(wanted, self.bands)
        )
        if isinstance(wanted, Scaling):  # for a `ValueScale` data were found before
            refuse_empty(raster, self.bands, self.image_valid)

    def describe(self) -> str:
        """One line for the user: bands, scaling, resolution, and what was decided automatically."""
        image, network = raster_resolution(self.raster), self.card.ground_resolution
        sizes = [
            f"{name} {size:.3g} m"
            for name, size in (("image", image), ("network", network))
            if size is not None
        ]
        grounds = f" ({', '.join(sizes)})" if sizes else ""
        read = f"at {self.factor:.3g} x" if self.resampled else "as it is"
        if self.factors[0] != self.factors[1]:
            down, across = self.factors
            read = f"at {down:.3g} x down and {across:.3g} x across, as its pixels are not square"
        bands = ", ".join(map(str, self.bands))
        notes = "".join(f"; {note}" for note in self.raster.notes)
        return f"bands {bands}; {self.scale.text}; read {read}{grounds}{notes}"

    def read(self, window: Window) -> NDArray[np.float32]:
        """Scaled pixels ``(bands, height, width)`` of a window of the network grid.

        Values lie in 0 ... 1; pixels without data get the card's mean.

        Raises
        ------
        RasterError
            If the window is outside the grid, or the file is damaged.
        """
        pixels, covered = self._resampled(window, self._pixels, len(self.bands))
        np.divide(pixels, covered, out=pixels, where=covered >= _COVERED)
        mean = np.asarray(self.card.mean, dtype=np.float32)[:, None, None]
        return np.where(covered >= _COVERED, pixels, mean)

    def valid(self, window: Window) -> NDArray[np.bool_]:
        """Where a window of the network grid has data, at least in a part of each pixel."""
        _, covered = self._resampled(window, self._coverage, 0)
        valid: NDArray[np.bool_] = covered >= _COVERED
        return valid

    def image_valid(self, window: Window) -> NDArray[np.bool_]:
        """Where a window of the image has data in every band that the network reads.

        Raises
        ------
        RasterError
            If the window is outside the image, or the file is damaged.
        """
        valid = self.raster.valid(window, self.bands)
        if self.scale.fill:
            pixels = self.raster.read(window, self.bands)
            self.scale.leave_out(pixels, valid, window, self.raster)
        return valid

    def network_clicks(self, clicks: Clicks) -> Clicks:
        """Clicks on the image as clicks on the network grid.

        Where several fall on one network pixel they become a `MergedClick`, which has the class of
        the one closest to the pixel's centre, whichever was made first.
        """
        if not self.resampled:
            return clicks
        (height, width), (rows, cols) = self.raster.shape, self.shape
        by_pixel: dict[tuple[int, int], list[Click]] = {}
        for c in clicks:
            pixel = (2 * c.row + 1) * rows // (2 * height), (2 * c.col + 1) * cols // (2 * width)
            by_pixel.setdefault(pixel, []).append(c)

        def merged(row: int, col: int, of: list[Click]) -> Click:
            if len(of) == 1:
                return Click(row, col, of[0].label)

            def off_centre(c: Click) -> tuple[int, tuple[int, int]]:
                # In integers, so that equal distances compare as equal.
                down = (2 * c.row + 1) * rows - (2 * row + 1) * height
                right = (2 * c.col + 1) * cols - (2 * col + 1) * width
                return (down * width) ** 2 + (right * height) ** 2, c.pixel

            label = min(of, key=off_centre).label
            return MergedClick(row, col, label, tuple(sorted(of, key=lambda c: c.pixel)))

        return Clicks(tuple(merged(*pixel, of) for pixel, of in by_pixel.items()))

    def image_window(self, window: Window) -> Window:
        """Image pixels whose centres lie in a window of the network grid.

        Windows that partition the network grid give windows that partition the image.
        """
        top, bottom = (
            first_centre(edge, self.shape[0], self.raster.shape[0])
            for edge in (window.top, window.bottom)
        )
        left, right = (
            first_centre(edge, self.shape[1], self.raster.shape[1])
            for edge in (window.left, window.right)
        )
        return Window.from_bounds(top, left, bottom, right)

    def network_window(self, window: Window) -> Window:
        """Return the window of the network's grid that covers a window of the image."""
        (height, width), (rows, cols) = self.raster.shape, self.shape
        return Window.from_bounds(
            window.top * rows // height,
            window.left * cols // width,
            -(-window.bottom * rows // height),
            -(-window.right * cols // width),
        )

    def to_image(
        self, values: NDArray[np.float32], read: Window, keep: Window
    ) -> NDArray[np.float32]:
        """Resample values from the network grid back to the image's.

        Parameters
        ----------
        values : (channels, height, width) array of float32
            For instance logits of the window `read`.
        read : Window
            On the network grid.
        keep : Window
            On the image's grid; pixels beyond `read` get the values at its border.

        Returns
        -------
        (channels, keep.height, keep.width) array of float32
        """
        rows = clamped(
            *axis_weights(keep.top, keep.bottom, self.raster.shape[0], self.shape[0]),
            read.top,
            read.height,
        )
        cols = clamped(
            *axis_weights(keep.left, keep.right, self.raster.shape[1], self.shape[1]),
            read.left,
            read.width,
        )
        return resampled(rows, cols, values)

    def _pixels(self, source: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Scaled pixels of the image (0 without data), and where there is data."""
        stored = self.raster.read(source, self.bands)
        pixels = self.scale(stored)
        valid = self.raster.valid(source, self.bands) & np.isfinite(pixels).all(axis=0)
        self.scale.leave_out(stored, valid, source, self.raster)
        np.copyto(pixels, 0.0, where=~valid)
        return pixels, valid

    def _coverage(self, source: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        return np.empty((0, *source.shape), dtype=np.float32), self.image_valid(source)

    def _resampled(
        self,
        window: Window,
        read: Callable[[Window], tuple[NDArray[np.float32], NDArray[np.bool_]]],
        channels: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weighted sums of valid pixels, and of their weights, on the network grid."""
        if window & Window.whole(self.shape) != window:
            raise RasterError(f"{window} is outside a network grid of {self.shape} pixels")
        if not self.resampled:
            pixels, valid = read(window)
            return pixels, valid.astype(np.float32)
        sums = np.empty((channels + 1, *window.shape), dtype=np.float32)
        left, cols = axis_weights(window.left, window.right, self.shape[1], self.raster.shape[1])
        per_row = cols.shape[1] * max(1.0, self.raster.shape[0] / self.shape[0])
        step = max(1, int(_BLOCK / max(1.0, per_row)))
        for start in range(window.top, window.bottom, step):
            stop = min(start + step, window.bottom)
            top, rows = axis_weights(start, stop, self.shape[0], self.raster.shape[0])
            pixels, valid = read(Window(top, left, rows.shape[1], cols.shape[1]))
            stacked = np.concatenate([pixels, valid[None].astype(np.float32)])
            sums[:, start - window.top : stop - window.top] = resampled(rows, cols, stacked)
        return sums[:-1], sums[-1]


def _checked_bands(raster: Raster, card: Card, bands: Sequence[int] | None) -> tuple[int, ...]:
    if bands is None:
        return default_bands(raster, len(card.bands), card.bands)
    chosen = tuple(int(band) for band in bands)
    if len(chosen) == 1 and len(card.bands) == 3:
        chosen = chosen * 3  # a gray image: its band is read three times
    if len(chosen) != len(card.bands):
        raise RasterError(
            f"{len(chosen)} bands were chosen, but network {card.name} reads {len(card.bands)}: "
            f"{', '.join(card.bands)}"
        )
    if not all(1 <= band <= raster.count for band in chosen):
        raise RasterError(
            f"bands {', '.join(map(str, chosen))} are not in {raster.name}, "
            f"which has bands 1 to {raster.count}"
        )
    return chosen


def _checked_scale(scale: ValueScale, bands: tuple[int, ...]) -> ValueScale:
    if len(scale.low) != len(bands):
        raise RasterError(
            f"a scaling of {len(scale.low)} bands does not fit the {len(bands)} that are read"
        )
    return scale


def _chosen_factor(raster: Raster, card: Card) -> float:
    resolution = raster_resolution(raster)
    if resolution is None or card.ground_resolution is None:
        aspect = pixel_aspect(raster)
        # Squares of the shorter side, so that no detail is lost.
        return math.sqrt(max(aspect, 1 / aspect))
    factor = network_factor(resolution, card.ground_resolution)
    return factor if _LEAST_FACTOR <= factor <= _MOST_FACTOR else 1.0


def _checked_factor(factor: float) -> float:
    if not (math.isfinite(factor) and _LEAST_FACTOR <= factor <= _MOST_FACTOR):
        raise RasterError(
            f"a resampling factor of {factor} is not possible; use 1/64 to 32, 1 for none"
        )
    return float(factor)
