"""Reads the tiles of an image with threads, ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from itertools import islice
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tiles import Pixels, read_pixels, tiling_for
from napari_disca.raster import Raster

#: Pixels of a run in bytes, and tiles in a run, at most.
_RUN_BYTES, _RUN_TILES = 16 << 20, 8

#: Tiles in a part of a large image and of a small one, at least.
_PART_TILES, _LEAST_PART = 64, 16

#: Neighbouring tiles in one row of tiles. They are read with one call, because every strip of a
#: striped file is as wide as the image, and would be decoded again for every tile.
Run: TypeAlias = tuple[Tile, ...]


def runs_of(network_view: NetworkView) -> tuple[Run, ...]:
    """Return all tiles of an image in row-major order, divided into runs."""
    tiling = tiling_for(network_view)
    bands = len(set(network_view.bands))
    pixel_bytes = bands * network_view.raster.dtype.itemsize + 1  # one byte for the mask
    runs: list[Run] = []
    for row in range(tiling.grid[0]):
        run: Run = ()
        for col in range(tiling.grid[1]):
            tile = tiling[row * tiling.grid[1] + col]
            longer = (*run, tile)
            too_large = _source(network_view, longer).size * pixel_bytes > _RUN_BYTES
            if run and (too_large or len(longer) > _RUN_TILES):
                runs.append(run)
                longer = (tile,)
            run = longer
        runs.append(run)
    return tuple(runs)


def parts_of(runs: Sequence[Run]) -> tuple[tuple[Run, ...], ...]:
    """Return the runs of an image in parts, each of which one task of a cluster predicts.

    Tiles at the image's borders have other forms than those inside, and a batch has tiles of one
    form. A part therefore has several rows of tiles where an image is narrow: with single runs
    most batches would be nearly empty. A small image has at least eight parts, for several workers.
    """
    tiles = sum(map(len, runs))
    size = min(_PART_TILES, max(_LEAST_PART, tiles // 8))
    parts: list[tuple[Run, ...]] = []
    part: tuple[Run, ...] = ()
    for run in runs:
        part = (*part, run)
        if sum(map(len, part)) >= size:
            parts.append(part)
            part = ()
    return (*parts, part) if part else tuple(parts)


def read_ahead(
    network_view: NetworkView, runs: Sequence[Run], workers: int
) -> Generator[Pixels, None, None]:
    """Yield the pixels of tiles in their order, while threads read a few runs and tiles ahead.

    Parameters
    ----------
    network_view : NetworkView
    runs : sequence of Run
        Some of `runs_of`.
    workers : int
        Number of threads.
    """
    unread = iter(runs)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reading")

    def tiles() -> Iterator[Future[Pixels]]:
        loading: deque[tuple[Run, Future[NetworkView]]] = deque()

        def load(count: int) -> None:
            loading.extend(
                (run, pool.submit(_buffered, network_view, run)) for run in islice(unread, count)
            )

        load(workers + 1)
        while loading:
            run, future = loading.popleft()
            buffered = future.result()
            load(1)
            for tile in run:
                yield pool.submit(read_pixels, buffered, tile)

    try:
        ready: deque[Future[Pixels]] = deque()
        for future in tiles():
            ready.append(future)
            if len(ready) > workers + 1:
                yield ready.popleft().result()
        while ready:
            yield ready.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _BufferedRaster:
    """A raster of which one window is in memory."""

    def __init__(self, raster: Raster, window: Window, bands: tuple[int, ...]) -> None:
        self._raster = raster
        self._window = window
        self._bands = bands
        self._pixels = raster.read(window, bands)
        self._valid = raster.valid(window, bands)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raster, name)

    def read(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[Any]:
        if bands is None or window & self._window != window or not {*bands} <= {*self._bands}:
            return self._raster.read(window, bands)
        pixels = self._pixels[(slice(None), *window.relative_to(self._window).slices)]
        return pixels[[self._bands.index(band) for band in bands]]

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        if bands is None or window & self._window != window or {*bands} != {*self._bands}:
            return self._raster.valid(window, bands)
        return self._valid[window.relative_to(self._window).slices]


def _source(network_view: NetworkView, run: Run) -> Window:
    """Return a window of the image with all pixels that a run needs."""
    first, last = run[0], run[-1]
    (height, width), (rows, cols) = network_view.raster.shape, network_view.shape
    # Resampling reads a neighbouring pixel on every side.
    margin = 1 if network_view.resampled else 0
    read = Window.from_bounds(
        first.read.top * height // rows - margin,
        first.read.left * width // cols - margin,
        -(-first.read.bottom * height // rows) + margin,
        -(-last.read.right * width // cols) + margin,
    )
    return read & Window.whole(network_view.raster.shape)


def _buffered(network_view: NetworkView, run: Run) -> NetworkView:
    """Read the pixels of a run into memory, unless they are too many; return a view of them."""
    source = _source(network_view, run)
    bands = tuple(dict.fromkeys(network_view.bands))
    if source.size * len(bands) * network_view.raster.dtype.itemsize > 2 * _RUN_BYTES:
        return network_view
    buffered = copy(network_view)
    buffered.raster = cast(Raster, _BufferedRaster(network_view.raster, source, bands))
    return buffered
