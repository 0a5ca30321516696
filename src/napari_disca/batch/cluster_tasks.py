"""What the workers of a Dask cluster do: they draw runs of tiles, and make maps of them.

Nothing here imports Dask or torch before a task runs.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import napari_disca
from napari_disca.core.errors import DiscaError, ExportError, RasterError
from napari_disca.core.events import Patch, finish
from napari_disca.core.threads import limit_spinning
from napari_disca.storage.atomic import replacing

if TYPE_CHECKING:
    from napari_disca.batch.streaming import MapStream, Run
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.networks import Network
    from napari_disca.raster import ValueScale


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
class MapOrder:
    """What a worker needs to know of a map.

    Attributes
    ----------
    image, output : str
        Absolute paths.
    settings : Settings
    bands : tuple of int
    factor : float
    scaling : ValueScale
    raster, network : str
        Fingerprints of the image and the network.
    made_with : str
        Fingerprint of the map (`MapStream.made_with`).
    version : str
        Of this program.
    """

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
        """File of the labels of a run of tiles."""
        return self.folder / f"{self.made_with}-{run:06d}.npz"


def draw_run(order: MapOrder, run: int) -> None:
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


def finish_map(order: MapOrder) -> tuple[int, ...]:
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


def _parts(order: MapOrder, stream: MapStream) -> Iterator[Patch]:
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


def natural_precision(device: Any) -> str:
    """Precision that this machine would choose."""
    limit_spinning()
    from napari_disca.networks.compute import Compute

    return str(Compute.choose(device).dtype).removeprefix("torch.")


#: Several threads of a worker may ask for the same network at once.
_loading = Lock()


def _stream(order: MapOrder) -> MapStream:
    """Stream of a map; a worker keeps the last ones, and the network."""
    limit_spinning()
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
def _loaded_stream(order: MapOrder, _written: int) -> MapStream:
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
