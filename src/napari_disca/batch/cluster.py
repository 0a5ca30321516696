"""Maps of many images on a Dask cluster.

Images, weights and outputs lie on storage that all machines share. The tiles of a map are divided
into parts (`read_ahead.parts_of`), and each part is a task: the worker writes its labels into a
folder beside the output. When all of them are there, another task joins them to the map. Tasks have
only names and numbers, so no pixels pass through the scheduler or the client. If the program ends
early, the next call continues: maps that are complete, and the parts in the folder, are not
computed again.
Dask distributes the tasks and repeats those that fail.

Dask and torch are imported when they are first needed; `distributed` is an optional extra.
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
    MapTask,
    WorkerSettings,
    finish_map,
    natural_precision,
    predict_part,
)
from napari_disca.batch.scheduler import connected, connection_lost, error_line
from napari_disca.core.errors import DiscaError, ExportError
from napari_disca.core.events import Event, Job, Progress

if TYPE_CHECKING:
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks import Network

#: How often Dask repeats a task that fails.
RETRIES = 3
#: How often a map is joined before it fails because of damaged parts.
_ROUNDS = 3
#: Tasks that the scheduler has at a time: enough for all workers, but not the millions of a city.
_LEAST_TASKS, _TASKS_A_THREAD = 16, 4
#: Seconds between two looks whether a task has ended, and between two counts of the workers.
_POLL, _WORKERS_INTERVAL = 0.05, 5.0


@dataclass(frozen=True, slots=True)
class MapDone(Event):
    """Event of `predict_images`: a map is complete, or has failed.

    Attributes
    ----------
    image, output : Path
    made : bool
        False if an earlier call has made the map, or if it has failed.
    error : str
        Why it has failed, on one line; empty if it is complete.
    """

    image: Path
    output: Path
    made: bool = True
    error: str = ""


@dataclass(frozen=True, slots=True)
class Waiting(Event):
    """Event of `predict_images`: the scheduler has no workers, or none any more."""


def predict_images(
    images: Sequence[tuple[Path, Path]],
    network: Network,
    opened: Callable[[Path, Path], AbstractContextManager[NetworkView]],
    settings: WorkerSettings,
    *,
    scheduler: str,
    timeout: float = 10.0,
) -> Job[list[MapDone]]:
    """Return a job that computes the maps of images on a Dask cluster.

    Parameters
    ----------
    images : sequence of (Path, Path)
        Images and the files of their maps.
    network : Network
        That of ``settings.weights``; only its fingerprint leaves this process.
    opened : callable
        ``opened(image, output)`` returns a context with the image as the network reads it.
    settings : WorkerSettings
    scheduler : str
        Address (``tcp://host:8786``), or the path of the file that ``dask scheduler
        --scheduler-file`` writes.
    timeout : float
        Seconds to wait for the scheduler.

    Yields
    ------
    Progress, MapDone, Waiting

    Returns
    -------
    list of MapDone
        In the order of the images; if one fails, the others are computed all the same.

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


def _precision(client: Any, settings: WorkerSettings) -> str:
    """Return one precision for all maps: that of the workers, or float32 if they differ.

    Raises
    ------
    DiscaError
        If a worker lacks this package. Dask would wait for it for ever.
    """
    try:
        if client.nthreads():
            found = set(client.run(natural_precision, settings.device).values())
        elif settings.precision == "auto":
            found = {client.submit(natural_precision, settings.device, pure=False).result()}
    except ModuleNotFoundError as error:
        raise DiscaError(
            f"a worker cannot import {error.name}; install the same version of napari-disca on "
            "all machines"
        ) from error
    if settings.precision != "auto":
        return settings.precision
    return str(found.pop()) if len(found) == 1 else "float32"


@dataclass(slots=True)
class _Map:
    """A map and its state."""

    image: Path
    output: Path
    task: MapTask | None = None
    #: Number of tiles in each part.
    tiles: tuple[int, ...] = ()
    #: Parts that are not computed yet.
    left: set[int] = field(default_factory=set)
    #: How often the parts were joined.
    rounds: int = 0
    done: MapDone | None = None


class _Work:
    """Submits tasks to the scheduler, and keeps the state of every map."""

    def __init__(
        self,
        distributed: Any,
        client: Any,
        network: Network,
        opened: Callable[[Path, Path], AbstractContextManager[NetworkView]],
        settings: WorkerSettings,
        precision: str,
    ) -> None:
        from napari_disca.networks import fingerprint

        self._client = client
        self._network = network
        self._fingerprint = fingerprint(network)
        self._opened = opened
        self._settings = replace(settings, precision=precision)
        self._finished: Any = distributed.as_completed(loop=client.loop)
        #: Map and part of every future, and of tasks to submit; the part None joins the map.
        self._running: dict[Any, tuple[_Map, int | None]] = {}
        self._ready: deque[tuple[_Map, int | None]] = deque()
        self._tiles = self._done_tiles = 0
        #: Threads of all workers when they were last counted, and the time of that.
        self._threads: int = sum(client.nthreads().values())
        self._counted = time.monotonic()
        #: Whether there were workers when it was last told.
        self._had_workers = self._threads > 0

    def run(self, images: Sequence[tuple[Path, Path]]) -> Job[list[MapDone]]:
        maps = [_Map(image, output) for image, output in images]
        unplanned = deque(maps)
        ended = 0
        yield Progress("images", 0, len(maps))
        try:
            while unplanned or self._ready or self._running:
                finished = self._submit_tasks(unplanned)
                if self._running:
                    yield from self._wait()
                    finished += self._next()
                    yield Progress("tiles", self._done_tiles, self._tiles)
                for done in finished:
                    ended += 1
                    yield done
                    yield Progress("images", ended, len(maps))
        finally:
            if self._running:
                self._client.cancel(list(self._running))
        return [item.done for item in maps if item.done is not None]

    def _submit_tasks(self, unplanned: deque[_Map]) -> list[MapDone]:
        """Submit tasks up to the limit; return maps that are complete already, or fail at once."""
        ended = []
        while len(self._running) < self._task_limit() and (self._ready or unplanned):
            if self._ready:
                self._submit(*self._ready.popleft())
                continue
            item = unplanned.popleft()
            try:
                self._plan(item)
            except (DiscaError, OSError) as error:
                self._end(item, error_line(error))
            if item.done is not None:
                ended.append(item.done)
        return ended

    def _task_limit(self) -> int:
        return max(_LEAST_TASKS, _TASKS_A_THREAD * self._worker_threads())

    def _worker_threads(self) -> int:
        """Return how many threads the workers have; the scheduler is asked from time to time."""
        now = time.monotonic()
        if now - self._counted >= _WORKERS_INTERVAL:
            self._threads, self._counted = sum(self._client.nthreads().values()), now
        return self._threads

    def _plan(self, item: _Map) -> None:
        """Find out which parts of a map are left to compute, and make tasks of them."""
        import torch

        from napari_disca.batch.streaming import MapStream
        from napari_disca.exports import made_with_of
        from napari_disca.networks.compute import Compute
        from napari_disca.raster import fingerprint

        settings = self._settings
        with self._opened(item.image, item.output) as network_view:
            # Workers choose their own device; the map's fingerprint depends on the precision only.
            compute = Compute(torch.device("cpu"), getattr(torch, settings.precision))
            stream = MapStream(network_view, self._network, compute)
            task = MapTask(
                str(item.image.absolute()),
                str(item.output.absolute()),
                settings,
                network_view.bands,
                float(network_view.factor),
                network_view.scale,
                fingerprint(network_view.raster),
                self._fingerprint,
                stream.made_with,
            )
            item.task = task
            item.tiles = tuple(sum(map(len, part)) for part in stream.parts)
        if item.output.exists() and made_with_of(item.output) == task.made_with:
            shutil.rmtree(task.folder, ignore_errors=True)
            item.done = MapDone(item.image, item.output, made=False)
            return
        existing = _existing_parts(task)
        item.left = {i for i in range(len(item.tiles)) if task.part(i).name not in existing}
        self._tiles += sum(item.tiles)
        self._done_tiles += sum(item.tiles) - sum(item.tiles[part] for part in item.left)
        self._ready.extend((item, part) for part in sorted(item.left))
        if not item.left:
            self._ready.append((item, None))

    def _submit(self, item: _Map, part: int | None) -> None:
        if item.done is not None:
            return
        options = {"retries": RETRIES, "pure": False}
        if part is None:
            future = self._client.submit(finish_map, item.task, priority=1, **options)
        else:
            future = self._client.submit(predict_part, item.task, part, **options)
        self._running[future] = item, part
        self._finished.add(future)

    def _wait(self) -> Job[None]:
        """Job that waits until a task has ended; tells when all workers have gone."""
        while not self._finished.has_ready():
            time.sleep(_POLL)
            has_workers = self._worker_threads() > 0
            if self._had_workers and not has_workers:
                yield Waiting()
            self._had_workers = has_workers

    def _next(self) -> list[MapDone]:
        """Wait until a task ends; return its map if that is now complete or has failed."""
        future = next(self._finished)
        item, part = self._running.pop(future)
        if item.done is not None:  # failed, and its tasks were cancelled
            return []
        if future.status in ("cancelled", "lost"):
            raise connection_lost()
        if future.status == "error":
            self._end(item, error_line(future.exception()))
        elif part is not None:
            item.left.discard(part)
            self._done_tiles += item.tiles[part]
            if not item.left:
                self._ready.appendleft((item, None))
        else:
            self._finish(item, future.result())
        return [item.done] if item.done is not None else []

    def _finish(self, item: _Map, damaged: tuple[int, ...]) -> None:
        """End a map, or compute the parts again whose files are damaged."""
        item.rounds += 1
        if not damaged:
            item.done = MapDone(item.image, item.output)
        elif item.rounds >= _ROUNDS:
            self._end(
                item,
                f"parts of {item.output.name} were damaged {_ROUNDS} times; check the storage "
                "that all machines share",
            )
        else:
            item.left = set(damaged)
            self._done_tiles -= sum(item.tiles[part] for part in damaged)
            self._ready.extendleft((item, part) for part in sorted(damaged, reverse=True))

    def _end(self, item: _Map, error: str) -> None:
        item.done = MapDone(item.image, item.output, made=False, error=error)
        self._client.cancel([f for f, (other, _) in self._running.items() if other is item])
        self._tiles -= sum(item.tiles[part] for part in item.left)
        if item.task is not None:
            with suppress(OSError):
                item.task.folder.rmdir()  # fails if it has parts, which the next call uses


def _existing_parts(task: MapTask) -> set[str]:
    """Return the parts that an earlier call has left; remove those of another fingerprint."""
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        found = set()
        for file in task.folder.iterdir():
            if file.name.startswith(task.made_with):
                found.add(file.name)
            else:
                file.unlink(missing_ok=True)
        return found
    except OSError as error:
        raise ExportError(f"cannot write {task.folder}: {error.strerror or error}") from error
