"""Maps of many images on a Dask cluster: the tiles of `streaming`, drawn by its workers.

Images, weights and outputs lie on storage that all machines share. A task is a few names and the
number of a run of tiles; the worker puts the labels of the run into a folder beside the output,
and when all are there another task makes the GeoTIFF of them. So nothing of an image's size
passes through the scheduler or the client, and a run that ends early goes on where it was: maps
that are complete, and the runs of tiles in the folder, are not made again. Dask decides who does
what, and repeats what fails.

Nothing here imports Dask or torch before it is asked for: `distributed` is an optional extra.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_disca.batch.cluster_tasks import (
    MapOrder,
    Settings,
    draw_run,
    finish_map,
    natural_precision,
)
from napari_disca.batch.scheduler import connected, connection_lost, error_line
from napari_disca.core.errors import DiscaError, ExportError
from napari_disca.core.events import Job, Progress

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks import Network

#: Times Dask repeats a task that failed.
RETRIES = 3
#: Times runs of tiles are drawn again because their files turned out to be damaged.
_ROUNDS = 3
#: Tasks handed to the scheduler at a time: enough for all workers, but a city has millions.
_LEAST_TASKS, _TASKS_A_THREAD = 16, 4
#: Seconds between looks at the size of the cluster.
_LOOKED = 10.0


@dataclass(frozen=True, slots=True)
class MapDone:
    """Event of `predict_images`: one of the maps came to its end.

    Attributes
    ----------
    image, output : Path
    made : bool
        False: it had been made by an earlier run.
    error : str
        Why there is no map, on one line; empty if there is one.
    """

    image: Path
    output: Path
    made: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Event of `predict_images`: the scheduler has no workers yet."""


def predict_images(
    images: Sequence[tuple[Path, Path]],
    network: Network,
    opened: Callable[[Path, Path], AbstractContextManager[NetworkView]],
    settings: Settings,
    *,
    scheduler: str,
    timeout: float = 10.0,
) -> Job[list[MapDone]]:
    """Job that draws the maps of images on a Dask cluster.

    Parameters
    ----------
    images : sequence of (Path, Path)
        Images, and where their maps go.
    network : Network
        The one of the settings' weights; only its fingerprint leaves this process.
    opened : callable
        ``opened(image, output)`` gives an image's input while its context is open.
    settings : Settings
    scheduler : str
        Address (``tcp://host:8786``), or the path of the scheduler's file.
    timeout : float
        Seconds to wait for the scheduler.

    Yields
    ------
    Progress, MapDone and Waiting

    Returns
    -------
    list of MapDone
        In the order of the images. One that fails does not stop the others.

    Raises
    ------
    DiscaError
        If Dask is not installed, the scheduler does not answer, or the connection is lost.
    """
    with connected(scheduler, timeout) as (distributed, client):
        if not client.nthreads():
            yield Waiting()
        precision = _precision(client, settings)
        work = _Work(distributed, client, network, opened, settings, precision)
        done: list[MapDone] = yield from work.run(images)
        return done


def _precision(client: Any, settings: Settings) -> str:
    """One number format for all maps: the workers', or float32 where they differ."""
    if settings.precision != "auto":
        return settings.precision
    if client.nthreads():
        found = set(client.run(natural_precision, settings.device).values())
    else:
        found = {client.submit(natural_precision, settings.device, pure=False).result()}
    return str(found.pop()) if len(found) == 1 else "float32"


@dataclass(slots=True)
class _Map:
    """A map that is being made."""

    image: Path
    output: Path
    order: MapOrder | None = None
    #: Tiles in every run.
    tiles: tuple[int, ...] = ()
    left: set[int] = field(default_factory=set)
    rounds: int = 0
    done: MapDone | None = None


class _Work:
    """Keeps the scheduler supplied, and knows how far every map is."""

    def __init__(
        self,
        distributed: Any,
        client: Any,
        network: Network,
        opened: Callable[[Path, Path], AbstractContextManager[NetworkView]],
        settings: Settings,
        precision: str,
    ) -> None:
        from napari_disca.networks import fingerprint

        self._client = client
        self._network = network
        self._fingerprint = fingerprint(network)
        self._opened = opened
        self._settings = replace(settings, precision=precision)
        self._finished: Any = distributed.as_completed(loop=client.loop)
        #: What a future is for: its map, and the run of tiles, or None for the whole map.
        self._running: dict[Any, tuple[_Map, int | None]] = {}
        self._ready: deque[tuple[_Map, int | None]] = deque()
        self._limit, self._looked = _LEAST_TASKS, -_LOOKED
        self._tiles = self._drawn = 0

    def run(self, images: Sequence[tuple[Path, Path]]) -> Job[list[MapDone]]:
        maps = [_Map(image, output) for image, output in images]
        coming = deque(maps)
        ended = 0
        yield Progress("images", 0, len(maps))
        try:
            while coming or self._ready or self._running:
                over = self._supply(coming)
                if self._running:
                    over += self._next()
                    yield Progress("tiles", self._drawn, self._tiles)
                for done in over:
                    ended += 1
                    yield done
                    yield Progress("images", ended, len(maps))
        finally:
            if self._running:
                self._client.cancel(list(self._running))
        return [item.done for item in maps if item.done is not None]

    def _supply(self, coming: deque[_Map]) -> list[MapDone]:
        """Hand out tasks; the maps that have nothing to do, or cannot be begun."""
        ended = []
        while len(self._running) < self._most() and (self._ready or coming):
            if self._ready:
                self._submit(*self._ready.popleft())
                continue
            item = coming.popleft()
            try:
                self._plan(item)
            except (DiscaError, OSError) as error:
                self._end(item, error_line(error))
            if item.done is not None:
                ended.append(item.done)
        return ended

    def _most(self) -> int:
        now = time.monotonic()
        if now - self._looked >= _LOOKED:
            threads = sum(self._client.nthreads().values())
            self._limit, self._looked = max(_LEAST_TASKS, _TASKS_A_THREAD * threads), now
        return self._limit

    def _plan(self, item: _Map) -> None:
        """See what is there of a map, and what is left to do."""
        import torch

        from napari_disca.batch.streaming import MapStream
        from napari_disca.exports import made_with_of
        from napari_disca.networks.compute import Compute
        from napari_disca.raster import fingerprint

        settings = self._settings
        with self._opened(item.image, item.output) as inputs:
            # The device is the workers'; the precision alone belongs to the map.
            compute = Compute(torch.device("cpu"), getattr(torch, settings.precision))
            stream = MapStream(inputs, self._network, compute)
            order = MapOrder(
                str(item.image.absolute()),
                str(item.output.absolute()),
                settings,
                inputs.bands,
                float(inputs.factor),
                inputs.scale,
                fingerprint(inputs.raster),
                self._fingerprint,
                stream.made_with,
            )
            item.order, item.tiles = order, tuple(len(run) for run in stream.runs)
        if item.output.exists() and made_with_of(item.output) == order.made_with:
            shutil.rmtree(order.folder, ignore_errors=True)
            item.done = MapDone(item.image, item.output, made=False)
            return
        there = _there(order)
        item.left = {run for run in range(len(item.tiles)) if order.part(run).name not in there}
        self._tiles += sum(item.tiles)
        self._drawn += sum(item.tiles) - sum(item.tiles[run] for run in item.left)
        self._ready.extend((item, run) for run in sorted(item.left))
        if not item.left:
            self._ready.append((item, None))

    def _submit(self, item: _Map, run: int | None) -> None:
        if item.done is not None:
            return
        options = {"retries": RETRIES, "pure": False}
        if run is None:
            future = self._client.submit(finish_map, item.order, priority=1, **options)
        else:
            future = self._client.submit(draw_run, item.order, run, **options)
        self._running[future] = item, run
        self._finished.add(future)

    def _next(self) -> list[MapDone]:
        """Wait for a task; its map, if that came to its end by it."""
        future = next(self._finished)
        item, run = self._running.pop(future)
        if item.done is not None:  # failed, and its tasks were cancelled
            return []
        if future.status in ("cancelled", "lost"):
            raise connection_lost()
        if future.status == "error":
            self._end(item, error_line(future.exception()))
        elif run is not None:
            item.left.discard(run)
            self._drawn += item.tiles[run]
            if not item.left:
                self._ready.appendleft((item, None))
        else:
            self._finish(item, future.result())
        return [item.done] if item.done is not None else []

    def _finish(self, item: _Map, damaged: tuple[int, ...]) -> None:
        """End a map, or draw again the runs whose files were damaged."""
        item.rounds += 1
        if not damaged:
            item.done = MapDone(item.image, item.output)
        elif item.rounds >= _ROUNDS:
            self._end(item, f"the parts of {item.output.name} are damaged again and again")
        else:
            item.left = set(damaged)
            self._drawn -= sum(item.tiles[run] for run in damaged)
            self._ready.extendleft((item, run) for run in sorted(damaged, reverse=True))

    def _end(self, item: _Map, error: str) -> None:
        item.done = MapDone(item.image, item.output, made=False, error=error)
        self._client.cancel([f for f, (other, _) in self._running.items() if other is item])
        self._tiles -= sum(item.tiles[run] for run in item.left)
        if item.order is not None:
            with suppress(OSError):
                item.order.folder.rmdir()  # unless it holds parts, for another time


def _there(order: MapOrder) -> set[str]:
    """Parts of an earlier run; those of another network, image or setting are removed."""
    try:
        order.folder.mkdir(parents=True, exist_ok=True)
        found = set()
        for file in order.folder.iterdir():
            if file.name.startswith(order.made_with):
                found.add(file.name)
            else:
                file.unlink(missing_ok=True)
        return found
    except OSError as error:
        raise ExportError(f"cannot write {order.folder}: {error.strerror or error}") from error
