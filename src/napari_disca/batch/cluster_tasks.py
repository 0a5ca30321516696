"""The tasks of a Dask cluster's workers: they predict parts of maps, and join them.

A *part* is a few runs of tiles (`read_ahead.parts_of`); the tiles of a run are read together. Dask
and torch are imported when a task runs.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import napari_disca
from napari_disca.core.errors import DiscaError, ExportError, RasterError
from napari_disca.core.events import Patch, finish
from napari_disca.core.threads import limit_spinning
from napari_disca.storage.atomic import replacing

if TYPE_CHECKING:
    from napari_disca.batch.read_ahead import Run
    from napari_disca.batch.streaming import MapStream
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks import Network
    from napari_disca.raster import ValueScale


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """The network, and how the workers compute with it.

    Attributes
    ----------
    weights : str
        Name of a bundled network, or the absolute path of a file.
    device, precision : str
        As for `Compute.choose`; all maps have the same precision.
    workers : int
        Threads that read the image, in every task.
    threads : int or None
        Threads of the CPU in every process; None leaves Dask's number.
    """

    weights: str
    device: str = "auto"
    precision: str = "auto"
    workers: int = 1
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class MapTask:
    """What a worker needs to know to compute a map, or a part of it.

    Attributes
    ----------
    image, output : str
        Absolute paths.
    settings : WorkerSettings
    bands : tuple of int
        Bands of the image that the network reads, from 1.
    factor : float
        Network pixels per image pixel.
    scaling : ValueScale
    raster, network : str
        Fingerprints of the image and the network, which the worker compares with its own files.
    made_with : str
        Fingerprint of the map (`MapStream.made_with`).
    version : str
        Of this program.
    """

    image: str
    output: str
    settings: WorkerSettings
    bands: tuple[int, ...]
    factor: float
    scaling: ValueScale
    raster: str
    network: str
    made_with: str
    version: str = napari_disca.__version__

    @property
    def folder(self) -> Path:
        """Folder of the labels of single parts, until the map is complete."""
        output = Path(self.output)
        return output.with_name(output.name + ".parts")

    def part(self, index: int) -> Path:
        """Return the file of the labels of a part.

        Parameters
        ----------
        index : int
            Of the part in `MapStream.parts`.
        """
        return self.folder / f"{self.made_with}-part-{index:06d}.npz"


def predict_part(task: MapTask, index: int) -> None:
    """Predict the labels of a part and write them to `MapTask.part`.

    Parameters
    ----------
    task : MapTask
    index : int
        Of the part in `MapStream.parts`.

    Raises
    ------
    DiscaError
        If this worker has another version, network or image, or cannot read or write.
    """
    import numpy as np

    stream = _stream(task)
    part = stream.parts[index]
    with closing(stream.patches(part, workers=task.settings.workers)) as events:
        labels = (event.labels for event in events if isinstance(event, Patch))
        runs = [np.concatenate([*islice(labels, len(run))], axis=1) for run in part]
    if not task.folder.is_dir():
        # The client has made it. If the storage is not shared, making it here would hide that.
        raise ExportError(
            f"the worker does not see {task.folder}; outputs must lie on storage that all "
            "machines share"
        )
    with replacing(task.part(index)) as temporary:
        np.savez_compressed(temporary, *runs)


def finish_map(task: MapTask) -> tuple[int, ...]:
    """Join the parts of a map to its file, and remove them.

    Parameters
    ----------
    task : MapTask

    Returns
    -------
    tuple of int
        Parts whose files are missing or damaged. The map is written only if there are none.

    Raises
    ------
    DiscaError
        As in `predict_part`.
    """
    from napari_disca.batch.streaming import GrowingMap
    from napari_disca.exports import write_map

    stream = _stream(task)
    network_view = stream.network_view
    missing = tuple(i for i in range(len(stream.parts)) if not task.part(i).exists())
    if missing:
        return missing
    labels = GrowingMap(network_view.raster.shape, _parts(task, stream))
    job = write_map(
        labels,
        task.output,
        raster=network_view.raster,
        classes=network_view.card.classes,
        made_with=task.made_with,
    )
    try:
        finish(job)
    except _DamagedPartError as damaged:
        task.part(damaged.index).unlink(missing_ok=True)
        return (damaged.index,)
    shutil.rmtree(task.folder, ignore_errors=True)
    return ()


class _DamagedPartError(Exception):
    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


def _parts(task: MapTask, stream: MapStream) -> Iterator[Patch]:
    import numpy as np

    for index, part in enumerate(stream.parts):
        windows = [_run_window(stream.network_view, run) for run in part]
        try:
            with task.part(index).open("rb") as raw, np.load(raw) as file:
                runs = [file[f"arr_{number}"] for number in range(len(part))]
            if any(
                labels.shape != window.shape or labels.dtype != np.uint8
                for labels, window in zip(runs, windows, strict=True)
            ):
                raise ValueError("labels of another part")
        except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
            raise _DamagedPartError(index) from error
        for labels, window in zip(runs, windows, strict=True):
            yield Patch("stream", window, labels)


def _run_window(network_view: NetworkView, run: Run) -> Any:
    from napari_disca.core.tiling import Window

    first, last = (network_view.image_window(tile.keep) for tile in (run[0], run[-1]))
    return Window.from_bounds(first.top, first.left, last.bottom, last.right)


def natural_precision(device: Any) -> str:
    """Return the precision that this machine chooses for a device: ``"float16"``, for instance."""
    limit_spinning()
    from napari_disca.networks.compute import Compute

    return str(Compute.choose(device).dtype).removeprefix("torch.")


#: Several threads of a worker may ask for the same network at once.
_loading = Lock()


def _stream(task: MapTask) -> MapStream:
    """Return the stream of a map; a worker remembers the last ones, and the network.

    Raises
    ------
    DiscaError
        If this worker has another version, network or image, does not know the format, or cannot
        read.
    """
    from napari_disca.exports import has_format

    limit_spinning()
    if not has_format(task.output, "labels"):
        raise ExportError(
            f"the worker does not know the format of {Path(task.output).name}; import what adds it "
            "there, too (dask worker --preload)"
        )
    if task.version != napari_disca.__version__:
        raise DiscaError(
            f"the worker has napari-disca {napari_disca.__version__}, the client has "
            f"{task.version}; install the same version on all machines"
        )
    try:
        written = Path(task.image).stat().st_mtime_ns
    except OSError as error:
        raise RasterError(
            f"the worker does not see {task.image} ({error.strerror}); images must lie on "
            "storage that all machines share"
        ) from error
    with _loading:
        return _loaded_stream(task, written)


@lru_cache(maxsize=4)
def _loaded_stream(task: MapTask, _written: int) -> MapStream:
    from napari_disca.batch.streaming import STREAM_CACHE, MapStream
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks.compute import Compute
    from napari_disca.raster import fingerprint, open_raster

    settings = task.settings
    network = _loaded_network(settings, task.network)
    compute = Compute.choose(settings.device, settings.precision)  # type: ignore[arg-type]
    raster = open_raster(task.image, cache=STREAM_CACHE)
    if fingerprint(raster) != task.raster:
        raise RasterError(
            f"the worker sees another image at {task.image}; images must lie on storage that all "
            "machines share, and not change meanwhile"
        )
    network_view = NetworkView(
        raster,
        network.card,
        bands=task.bands,
        factor=task.factor,
        scaling=task.scaling,
    )
    return MapStream(network_view, network, compute)


@lru_cache(maxsize=1)
def _loaded_network(settings: WorkerSettings, expected: str) -> Network:
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
