"""Computes the label map of an image and writes it window by window.

The command line uses it. Threads read ahead of the network, one row of tiles after another, and
finished rows are written to the file, so only a few rows are in memory. The labels of every tile
are those of a `Session`, whatever the number of threads.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError

from napari_disca.annotations.clicks import Clicks
from napari_disca.batch.batches import in_batches
from napari_disca.batch.read_ahead import Run, parts_of, read_ahead, runs_of
from napari_disca.core.errors import RecipeError
from napari_disca.core.events import Event, Job, Note, Patch, Progress
from napari_disca.core.tiling import Window
from napari_disca.exports import merged, write_map
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import Network
from napari_disca.networks import fingerprint as network_fingerprint
from napari_disca.networks.compute import Compute
from napari_disca.raster import file_fingerprint, quiet_opening
from napari_disca.recipes import AdaptationResult, Recipe, checked_seed
from napari_disca.session.maps.weights import WeightsCache
from napari_disca.session.steps.class_table import ClassTable
from napari_disca.session.steps.step_values import AdaptationRun

#: Bytes of decoded blocks in GDAL's cache while an image is read once: one row of blocks of a wide
#: image.
STREAM_CACHE = 32 << 20


@dataclass(frozen=True, eq=False)
class MapStream:
    """The label map of an image, computed tile by tile from top to bottom.

    Parameters
    ----------
    network_view : NetworkView
        The image as the network reads it.
    network : Network
        On the CPU; not changed.
    compute : Compute
        Device, precision and batch size.
    clicks : Clicks
        In pixels of the image; without clicks the map is that of the network alone.
    answer : AnswerComposer, optional
        The adapted network, from `adapt`; by default the network reads the clicks as guidance.
    learned : str
        Fingerprint of the adaptation, from `adapt`.
    classes : ClassTable
        Names, colours and merged classes of the saved map; by default those of the network's card.
    """

    network_view: NetworkView
    network: Network
    compute: Compute
    clicks: Clicks = field(default_factory=Clicks)
    answer: AnswerComposer | None = None
    learned: str = ""
    classes: ClassTable = field(default_factory=ClassTable)

    def adapt(self, recipe: Recipe, seed: int = 0) -> Job[tuple[MapStream, AdaptationResult]]:
        """Return a job that adapts the network to the clicks.

        Parameters
        ----------
        recipe : Recipe
        seed : int
            Of the recipe's random numbers, from 0.

        Returns
        -------
        Job of (MapStream, AdaptationResult)
            The stream computes the adapted map.

        Raises
        ------
        RecipeError
            By the job, if there are no clicks, the seed is invalid, the recipe fails, or it learns
            weights that are not finite.
        """
        seed = checked_seed(seed)
        if not len(self.clicks):
            raise RecipeError("there are no clicks to learn from; click on some mistakes first")
        # With the same class as a session, so that both compute the same map.
        networks = WeightsCache(
            self.network, self.network_view, tiling_for(self.network_view), self.compute
        )
        run = AdaptationRun(AdaptationResult(None), recipe, clicks=self.clicks, seed=seed)
        made = yield from networks.learn(run)
        learned = networks.cached(made)
        assert learned is not None, "it was learned just now"
        answer = yield from networks.composer(made, learned)
        stream = replace(self, answer=answer, learned=f"{made.key} {made.weights}")
        return stream, made.adaptation

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """All tiles in row-major order, divided into runs."""
        return runs_of(self.network_view)

    @cached_property
    def parts(self) -> tuple[tuple[Run, ...], ...]:
        """All runs, divided into the parts that tasks of a cluster predict."""
        return parts_of(self.runs)

    @cached_property
    def made_with(self) -> str:
        """Fingerprint of everything that the map depends on: image, network, clicks, settings.

        It also changes when a file of the image is written, even if its pixels stay the same.
        """
        network_view = self.network_view
        # A table that equals the network's card gives the same map as none.
        changed = self.classes.entries and self.classes != ClassTable.of(network_view.card.classes)
        facts = (
            file_fingerprint(network_view.raster),
            _written(network_view.raster.path),
            network_fingerprint(self.network),
            self.learned,
            network_view.bands,
            float(network_view.factor),
            network_view.scale.facts,
            str(self.compute.dtype),
            (self.runs[0][0].read.shape, len(tiling_for(network_view))),
            tuple((click.row, click.col, click.label) for click in self.clicks),
            *([self.classes] if changed else ()),
        )
        return hashlib.blake2b(repr(facts).encode(), digest_size=12).hexdigest()

    def patches(
        self, runs: Sequence[Run] | None = None, workers: int = 1
    ) -> Generator[Patch | Note, None, None]:
        """Yield the labels of tiles in their order, while threads read ahead.

        Parameters
        ----------
        runs : sequence of Run, optional
            Some of `MapStream.runs`; all of them by default.
        workers : int
            Threads that read the image.

        Yields
        ------
        Patch, Note
            A patch for each tile; notes for the user.

        Raises
        ------
        RasterError
            If a part of the image cannot be read.
        """
        predictor = Predictor(self.answer or self.network, self.network_view, self.compute)
        clicks = TileClicks.assign(self.clicks, self.network_view, tiling_for(self.network_view))
        ahead = read_ahead(self.network_view, self.runs if runs is None else runs, workers)
        with closing(ahead):
            for pixels, predicted in in_batches(ahead, predictor, clicks, self.compute.batch):
                yield from predictor.notes()
                yield Patch("stream", pixels.window, predicted.labels, pixels.tile.index)

    def write(self, path: str | os.PathLike[str], workers: int = 1) -> Job[Path]:
        """Return a job that computes the map and writes it; the name's ending is the format.

        Parameters
        ----------
        path : str or path
            The file appears when it is complete.
        workers : int
            Threads that read the image.

        Yields
        ------
        Progress, Patch, Note

        Returns
        -------
        Path
            `path`.

        Raises
        ------
        RasterError
            If a part of the image cannot be read; then no file appears.
        ExportError
            If no format has that ending, or the file cannot be written.
        """
        patches = self.patches(workers=workers)
        with closing(patches):
            labels = GrowingMap(
                self.network_view.raster.shape,
                _counted(patches, len(tiling_for(self.network_view))),
            )
            written: Path = yield from write_map(
                merged(labels, self.classes.values),
                path,
                raster=self.network_view.raster,
                classes=self.classes.saved_classes or self.network_view.card.classes,
                made_with=self.made_with,
            )
        return written


class GrowingMap:
    """A label map that is computed while an export writes it (see `GrowingLabels`).

    Only the rows that are written next are in memory.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels.
    patches : iterator
        Yields the patches that partition the map, in row-major order, and other events.
    """

    def __init__(self, shape: tuple[int, int], patches: Iterator[Event]) -> None:
        self.shape = shape
        self._patches = patches
        #: Rows of tiles from top to bottom: their windows and labels.
        self._rows: deque[tuple[Window, NDArray[np.uint8]]] = deque()
        self._requested = 0
        self._complete = 0

    def grow(self, bottom: int) -> Iterator[Event]:
        """Compute the rows above row `bottom`, and drop those that earlier calls requested.

        Parameters
        ----------
        bottom : int
            At least that of the last call.

        Yields
        ------
        Progress, Note
            The events of `patches` that are not patches.
        """
        if bottom > self._requested:
            while self._rows and self._rows[0][0].bottom <= self._requested:
                self._rows.popleft()
            self._requested = bottom
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
        """Return the class ids of a window in the rows that `grow` computed last.

        Returns
        -------
        (h, w) array of uint8
            255 where there is no data.
        """
        parts = [
            labels[(window & row).relative_to(row).slices]
            for row, labels in self._rows
            if window & row
        ]
        found = np.concatenate(parts) if parts else np.empty((0, window.width), dtype=np.uint8)
        assert found.shape == window.shape, f"{window} is not among the rows in memory"
        return found


def _counted(events: Iterator[Patch | Note], total: int) -> Iterator[Event]:
    """Yield events, and before each patch the progress with it.

    After it would be too late: nobody asks for an event after the last patch.
    """
    done = 0
    yield Progress("predicting", done, total)
    for event in events:
        if isinstance(event, Patch):
            done += 1
            yield Progress("predicting", done, total)
        yield event


def _written(path: Path | None) -> tuple[tuple[str, int], ...]:
    """Return name and time of the last change (ns) of an image's files, also of a VRT's parts."""
    if path is None:
        return ()
    try:
        with quiet_opening(), rasterio.open(path) as file:
            parts = [Path(part) for part in file.files]
    except RasterioError:  # another library reads the file, and there is only this one
        parts = [path]
    return tuple((part.name, part.stat().st_mtime_ns) for part in parts if part.exists())
