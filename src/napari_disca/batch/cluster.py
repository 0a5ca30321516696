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

import asyncio
import json
import logging
import shutil
import time
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import napari_disca
from napari_disca.core.errors import DiscaError, ExportError, RasterError
from napari_disca.core.events import Job, Patch, Progress, finish
from napari_disca.core.threads import keep_cores_free
from napari_disca.storage.atomic import replacing

if TYPE_CHECKING:
    from napari_disca.batch.streaming import MapStream, Run
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks import Network
    from napari_disca.raster import ValueScale

#: Times Dask repeats a task that failed.
RETRIES = 3
#: Times runs of tiles are drawn again because their files turned out to be damaged.
_ROUNDS = 3
#: Tasks handed to the scheduler at a time: enough for all workers, but a city has millions.
_LEAST_TASKS, _TASKS_A_THREAD = 16, 4
#: Seconds between looks at the size of the cluster.
_LOOKED = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the workers draw.

    Attributes
    ----------
    weights : str
        Name of a bundled network, or the absolute path of a file.
    device, precision : str
        As for `Compute.choose`; in all maps of a run the precision is the same.
    workers : int
        Threads that read, in every task.
    threads : int or None
        CPU threads of every process; as Dask set them if None.
    """

    weights: str
    device: str = "auto"
    precision: str = "auto"
    workers: int = 1
    threads: int | None = None


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
    with _connected(scheduler, timeout) as (distributed, client):
        if not client.nthreads():
            yield Waiting()
        precision = _precision(client, settings)
        work = _Work(distributed, client, network, opened, settings, precision)
        done: list[MapDone] = yield from work.run(images)
        return done


# -------------------------------------------------------------------- on the user's machine


@contextmanager
def _connected(scheduler: str, timeout: float) -> Iterator[tuple[Any, Any]]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise DiscaError(
            f'--scheduler needs Dask ({error}); pip install "napari-disca[distributed]"'
        ) from error
    with _quiet():
        address = _address(scheduler)
        try:
            # A `Client` that finds nobody stays half-open and complains when it is collected.
            asyncio.run(_knock(distributed, address, timeout))
            client = distributed.Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise DiscaError(
                f"no Dask scheduler answers at {address}: {_line(error)}; start one with "
                "'dask scheduler', or check the address"
            ) from error
        try:
            yield distributed, client
        except (distributed.comm.CommClosedError, distributed.client.ClosedClientError) as error:
            raise _lost() from error
        finally:
            client.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's log silent: what goes wrong arrives in exceptions."""
    # Loggers of their own, by Dask's default configuration.
    logs = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _lost() -> DiscaError:
    return DiscaError(
        "the connection to the Dask scheduler was lost; run the same command again to go on"
    )


async def _knock(distributed: Any, address: str, timeout: float) -> None:
    options = distributed.Security().get_connection_args("client")
    comm = await distributed.comm.connect(address, timeout=timeout, **options)
    await comm.close()


def _address(scheduler: str) -> str:
    """Address, also from the file that ``dask scheduler --scheduler-file`` writes."""
    if not scheduler.endswith(".json"):
        return scheduler
    try:
        return str(json.loads(Path(scheduler).read_text("utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DiscaError(
            f"{scheduler} is not a file of a Dask scheduler: {_line(error)}"
        ) from error


def _precision(client: Any, settings: Settings) -> str:
    """One number format for all maps: the workers', or float32 where they differ."""
    if settings.precision != "auto":
        return settings.precision
    if client.nthreads():
        found = set(client.run(_natural_precision, settings.device).values())
    else:
        found = {client.submit(_natural_precision, settings.device, pure=False).result()}
    return str(found.pop()) if len(found) == 1 else "float32"


@dataclass(frozen=True, slots=True)
class _Order:
    """What a worker needs to know of a map."""

    image: str
    output: str
    settings: Settings
    bands: tuple[int, ...]
    factor: float
    scaling: ValueScale
    raster: str
    network: str
    made_with: str
    version: str = napari_disca.__version__

    @property
    def folder(self) -> Path:
        """Where runs of tiles wait for the map to be complete."""
        output = Path(self.output)
        return output.with_name(output.name + ".parts")

    def part(self, run: int) -> Path:
        return self.folder / f"{self.made_with}-{run:06d}.npz"


@dataclass(slots=True)
class _Map:
    """A map that is being made."""

    image: Path
    output: Path
    order: _Order | None = None
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
                self._end(item, _line(error))
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
            order = _Order(
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
            raise _lost()
        if future.status == "error":
            self._end(item, _line(future.exception()))
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


def _there(order: _Order) -> set[str]:
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


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    known = isinstance(error, DiscaError | OSError | ValueError)
    return text if known and text else f"{type(error).__name__}: {text}"


# -------------------------------------------------------------------- on the workers


def draw_run(order: _Order, run: int) -> None:
    """Task: draw a run of tiles into the folder beside the output."""
    import numpy as np

    stream = _stream(order)
    events = stream.patches([stream.runs[run]], workers=order.settings.workers)
    labels = np.concatenate([e.labels for e in events if isinstance(e, Patch)], axis=1)
    if not order.folder.is_dir():
        # Not made here, because a storage that is not shared must not go unnoticed.
        raise ExportError(
            f"the worker does not see {order.folder}; outputs must lie on storage that all "
            "machines share"
        )
    with replacing(order.part(run)) as temporary:
        np.savez_compressed(temporary, labels=labels)


def finish_map(order: _Order) -> tuple[int, ...]:
    """Task: make the GeoTIFF of its parts, and remove them.

    Returns
    -------
    tuple of int
        Runs of tiles whose files were damaged or not there; then there is no GeoTIFF.
    """
    from napari_disca.batch.streaming import GrowingMap
    from napari_disca.exports import write_map

    stream = _stream(order)
    inputs = stream.inputs
    lacking = tuple(run for run in range(len(stream.runs)) if not order.part(run).exists())
    if lacking:
        return lacking
    labels = GrowingMap(inputs.raster.shape, _parts(order, stream))
    job = write_map(
        labels,
        order.output,
        raster=inputs.raster,
        classes=inputs.card.classes,
        made_with=order.made_with,
    )
    try:
        finish(job)
    except _DamagedPartError as damaged:
        order.part(damaged.run).unlink(missing_ok=True)
        return (damaged.run,)
    shutil.rmtree(order.folder, ignore_errors=True)
    return ()


class _DamagedPartError(Exception):
    def __init__(self, run: int) -> None:
        super().__init__(run)
        self.run = run


def _parts(order: _Order, stream: MapStream) -> Iterator[Patch]:
    import numpy as np

    for index, run in enumerate(stream.runs):
        window = _kept(stream.inputs, run)
        try:
            with order.part(index).open("rb") as raw, np.load(raw) as file:
                labels = file["labels"]
            if labels.shape != window.shape or labels.dtype != np.uint8:
                raise ValueError(f"{labels.dtype} of {labels.shape}")
        except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
            raise _DamagedPartError(index) from error
        yield Patch("stream", window, labels)


def _kept(inputs: NetworkView, run: Run) -> Any:
    from napari_disca.core.tiling import Window

    first, last = (inputs.image_window(tile.keep) for tile in (run[0], run[-1]))
    return Window.from_bounds(first.top, first.left, last.bottom, last.right)


def _natural_precision(device: Any) -> str:
    """Precision that this machine would choose."""
    keep_cores_free()
    from napari_disca.networks.compute import Compute

    return str(Compute.choose(device).dtype).removeprefix("torch.")


#: Several threads of a worker may ask for the same network at once.
_loading = Lock()


def _stream(order: _Order) -> MapStream:
    """Stream of a map; a worker keeps the last ones, and the network."""
    keep_cores_free()
    if order.version != napari_disca.__version__:
        raise DiscaError(
            f"the worker has napari-disca {napari_disca.__version__}, you have {order.version}; "
            "install the same everywhere"
        )
    try:
        written = Path(order.image).stat().st_mtime_ns
    except OSError as error:
        raise RasterError(
            f"the worker does not see {order.image} ({error.strerror}); images must lie on "
            "storage that all machines share"
        ) from error
    with _loading:
        return _loaded_stream(order, written)


@lru_cache(maxsize=4)
def _loaded_stream(order: _Order, _written: int) -> MapStream:
    from napari_disca.batch.streaming import STREAM_CACHE, MapStream
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks.compute import Compute
    from napari_disca.raster import fingerprint, open_raster

    settings = order.settings
    network = _loaded_network(settings, order.network)
    compute = Compute.choose(settings.device, settings.precision)  # type: ignore[arg-type]
    raster = open_raster(order.image, cache=STREAM_CACHE)
    if fingerprint(raster) != order.raster:
        raise RasterError(
            f"the worker sees another image at {order.image}; images must lie on storage that all "
            "machines share, and stay as they are"
        )
    inputs = NetworkView(
        raster,
        network.card,
        bands=order.bands,
        factor=order.factor,
        scaling=order.scaling,
    )
    return MapStream(inputs, network, compute)


@lru_cache(maxsize=1)
def _loaded_network(settings: Settings, expected: str) -> Network:
    import torch

    from napari_disca.networks import fingerprint, load_network

    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    network = load_network(settings.weights)
    if fingerprint(network) != expected:
        raise DiscaError(
            f"the worker has another network {settings.weights}; put the file on storage that all "
            "machines share"
        )
    return network
