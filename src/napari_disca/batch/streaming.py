"""Write the label map of an image window by window, while it is computed.

For runs without a window. Nothing is held but the rows of the map that are being made: threads
read ahead of the network, tile row by tile row, and finished rows go into the file. Every tile is
what `Session` would draw, so the map is the session's, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from napari_disca.annotations.clicks import Clicks
from napari_disca.batch.batches import in_batches
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Job, Note, Patch, Progress
from napari_disca.core.tiling import Tile, Window
from napari_disca.exports import merged, write_map
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import Pixels, read_pixels, tiling_for
from napari_disca.networks import Network
from napari_disca.networks import fingerprint as network_fingerprint
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster, file_fingerprint, quiet_opening
from napari_disca.recipes import AdaptationResult, Recipe, checked_seed
from napari_disca.session.class_table import ClassTable
from napari_disca.session.history import AdaptationRun
from napari_disca.session.weights import WeightsCache

#: Bytes of decoded blocks that GDAL may keep while an image streams by: one row of blocks of a
#: wide image.
STREAM_CACHE = 32 << 20


#: A run of tiles is read with one call, so that a striped file, whose every strip is as wide as
#: the image, is not decoded anew for every tile; this is what a run may hold, in bytes.
_RUN_BYTES = 16 << 20


_RUN_TILES = 8


#: Neighbouring tiles of one tile row.
Run: TypeAlias = tuple[Tile, ...]


@dataclass(frozen=True, eq=False)
class MapStream:
    """One label map of an image, made tile by tile in the order of the file.

    Parameters
    ----------
    inputs : NetworkView
    network : Network
        On the CPU; left as it is.
    compute : Compute
    clicks : Clicks
        In pixels of the image; without clicks the map is the network's own.
    answer : AnswerComposer, optional
        What was learned from the clicks; by default the network reads them.
    learned : str
        Fingerprint of what was learned.
    classes : ClassTable
        How the classes are saved; by default as the network's card says.
    """

    inputs: NetworkView
    network: Network
    compute: Compute
    clicks: Clicks = field(default_factory=Clicks)
    answer: AnswerComposer | None = None
    learned: str = ""
    classes: ClassTable = field(default_factory=ClassTable)

    def adapt(self, recipe: Recipe, seed: int = 0) -> Job[tuple[MapStream, AdaptationResult]]:
        """Job that learns from the clicks; the stream it returns makes the adapted map.

        Raises
        ------
        RecipeError
            If there is no click, the seed is none, or what was learned is not finite.
        """
        seed = checked_seed(seed)
        if not len(self.clicks):
            raise RecipeError("there are no clicks to learn from; click on some mistakes first")
        # As a session learns, so that both make the same map.
        networks = WeightsCache(self.network, self.inputs, tiling_for(self.inputs), self.compute)
        run = AdaptationRun(AdaptationResult(None), recipe, clicks=self.clicks, seed=seed)
        made = yield from networks.learn(run)
        learned = networks.known(made)
        assert learned is not None, "it was learned just now"
        answer = yield from networks.composer(made, learned)
        stream = replace(self, answer=answer, learned=f"{made.key} {made.weights}")
        return stream, made.adaptation

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All tiles, in row-major order, in pieces that are read at once."""
        tiling = tiling_for(self.inputs)
        bands = len(set(self.inputs.bands))
        pixel = bands * self.inputs.raster.dtype.itemsize + 1  # and where there is data
        found: list[Run] = []
        for row in range(tiling.grid[0]):
            run: Run = ()
            for col in range(tiling.grid[1]):
                tile = tiling[row * tiling.grid[1] + col]
                longer = (*run, tile)
                too_much = _source(self.inputs, longer).size * pixel > _RUN_BYTES
                if run and (too_much or len(longer) > _RUN_TILES):
                    found.append(run)
                    longer = (tile,)
                run = longer
            found.append(run)
        return tuple(found)

    @cached_property
    def made_with(self) -> str:
        """Fingerprint of all that the map depends on: image, network, clicks, settings.

        Unlike an image's name in the settings it changes whenever one of its files is written.
        """
        inputs = self.inputs
        # A table that says what the network's card says gives the same map as none.
        changed = self.classes.entries and self.classes != ClassTable.of(inputs.card.classes)
        facts = (
            file_fingerprint(inputs.raster),
            _written(inputs.raster.path),
            network_fingerprint(self.network),
            self.learned,
            inputs.bands,
            float(inputs.factor),
            inputs.scale.facts,
            str(self.compute.dtype),
            (self.runs[0][0].read.shape, len(tiling_for(inputs))),
            tuple((click.row, click.col, click.label) for click in self.clicks),
            *([self.classes] if changed else ()),
        )
        return hashlib.blake2b(repr(facts).encode(), digest_size=12).hexdigest()

    def patches(
        self, runs: Sequence[Run] | None = None, workers: int = 1
    ) -> Generator[Patch | Note, None, None]:
        """Draw tiles in their order, reading ahead.

        Parameters
        ----------
        runs : sequence of Run, optional
            Of `runs`; all of them by default.
        workers : int
            Threads that read.

        Raises
        ------
        RasterError
            If the image is damaged.
        """
        predictor = Predictor(self.answer or self.network, self.inputs, self.compute)
        clicks = TileClicks.assign(self.clicks, self.inputs, tiling_for(self.inputs))
        ahead = _read_ahead(self.inputs, self.runs if runs is None else runs, workers)
        with closing(ahead):
            for pixels, predicted in in_batches(ahead, predictor, clicks, self.compute.batch):
                yield from predictor.notes()
                yield Patch("stream", pixels.window, predicted.labels, pixels.tile.index)

    def write(self, path: str | os.PathLike[str], workers: int = 1) -> Job[Path]:
        """Job that makes the map and writes it in the format that its name asks for.

        Yields
        ------
        Progress

        Raises
        ------
        RasterError
            If the image is damaged; nothing is written then.
        ExportError
            If the file cannot be written.
        """
        patches = self.patches(workers=workers)
        with closing(patches):
            labels = GrowingMap(
                self.inputs.raster.shape, _counted(patches, len(tiling_for(self.inputs)))
            )
            written: Path = yield from write_map(
                merged(labels, self.classes.values),
                path,
                raster=self.inputs.raster,
                classes=self.classes.legend or self.inputs.card.classes,
                made_with=self.made_with,
            )
        return written


class GrowingMap:
    """A label map of which only the rows being made are held; an export reads it.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.
    patches : iterator
        Yields the patches that partition the map, in row-major order, and other events.
    """

    def __init__(self, shape: tuple[int, int], patches: Iterator[Any]) -> None:
        self.shape = shape
        self._patches = patches
        #: Rows of tiles from the top down: their window and its labels.
        self._rows: deque[tuple[Window, NDArray[np.uint8]]] = deque()
        self._asked = 0
        self._complete = 0

    def grow(self, bottom: int) -> Iterator[Any]:
        """Make the rows above `bottom`, and forget those that an earlier call was for.

        Yields
        ------
        What `patches` yields besides patches.
        """
        if bottom > self._asked:
            while self._rows and self._rows[0][0].bottom <= self._asked:
                self._rows.popleft()
            self._asked = bottom
        while self._complete < bottom:
            event = next(self._patches)
            if isinstance(event, Patch):
                self._paste(event)
            else:
                yield event

    def _paste(self, patch: Patch) -> None:
        window = patch.window
        if window.left == 0:
            row = Window(window.top, 0, window.height, self.shape[1])
            self._rows.append((row, np.empty(row.shape, dtype=np.uint8)))
        row, labels = self._rows[-1]
        labels[window.relative_to(row).slices] = patch.labels
        if window.right == self.shape[1]:
            self._complete = window.bottom

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Class ids of a window in the rows that `grow` made last; 255 where there is no data."""
        parts = [
            labels[(window & row).relative_to(row).slices]
            for row, labels in self._rows
            if window & row
        ]
        found = np.concatenate(parts) if parts else np.empty((0, window.width), dtype=np.uint8)
        assert found.shape == window.shape, f"{window} is not among the rows that are held"
        return found


def _counted(events: Iterator[Patch | Note], total: int) -> Iterator[Any]:
    """Patches with the progress that they mean."""
    done = 0
    yield Progress("predicting", done, total)
    for event in events:
        yield event
        if isinstance(event, Patch):
            done += 1
            yield Progress("predicting", done, total)


def _written(path: Path | None) -> tuple[tuple[str, int], ...]:
    """Files an image is made of, and when each was last written (a VRT's parts too)."""
    if path is None:
        return ()
    try:
        with quiet_opening(), rasterio.open(path) as file:
            parts = [Path(part) for part in file.files]
    except RasterioError:  # what GDAL cannot open has no parts
        parts = [path]
    return tuple((part.name, part.stat().st_mtime_ns) for part in parts if part.exists())


class _HeldRaster:
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
        held = self._pixels[(slice(None), *window.relative_to(self._window).slices)]
        return held[[self._bands.index(band) for band in bands]]

    def valid(self, window: Window, bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        if bands is None or window & self._window != window or {*bands} != {*self._bands}:
            return self._raster.valid(window, bands)
        return self._valid[window.relative_to(self._window).slices]


def _source(inputs: NetworkView, run: Run) -> Window:
    """Pixels of the image that a run of tiles needs, or a few more."""
    first, last = run[0], run[-1]
    (height, width), (rows, cols) = inputs.raster.shape, inputs.shape
    # A pixel more on every side, because resampling looks at neighbours.
    beside = 1 if inputs.resampled else 0
    read = Window.from_bounds(
        first.read.top * height // rows - beside,
        first.read.left * width // cols - beside,
        -(-first.read.bottom * height // rows) + beside,
        -(-last.read.right * width // cols) + beside,
    )
    return read & Window.whole(inputs.raster.shape)


def _held(inputs: NetworkView, run: Run) -> NetworkView:
    """Input that has the pixels of a run in memory, unless one tile alone is too much."""
    source = _source(inputs, run)
    bands = tuple(dict.fromkeys(inputs.bands))
    if source.size * len(bands) * inputs.raster.dtype.itemsize > 2 * _RUN_BYTES:
        return inputs
    held = copy(inputs)
    held.raster = cast(Raster, _HeldRaster(inputs.raster, source, bands))
    return held


def _read_ahead(
    inputs: NetworkView, runs: Sequence[Run], workers: int
) -> Generator[Pixels, None, None]:
    """Tiles in their order, read by threads; a few runs and a few tiles are waiting at most."""
    waiting = iter(runs)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="reading")

    def preparing() -> Iterator[Future[Pixels]]:
        loading: deque[tuple[Run, Future[NetworkView]]] = deque()

        def load(count: int) -> None:
            loading.extend((run, pool.submit(_held, inputs, run)) for run in islice(waiting, count))

        load(workers + 1)
        while loading:
            run, held = loading.popleft()
            there = held.result()
            load(1)
            for tile in run:
                yield pool.submit(read_pixels, there, tile)

    try:
        ready: deque[Future[Pixels]] = deque()
        for future in preparing():
            ready.append(future)
            if len(ready) > workers + 1:
                yield ready.popleft().result()
        while ready:
            yield ready.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
