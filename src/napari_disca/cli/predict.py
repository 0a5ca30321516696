"""The ``predict`` command: writes a network's label maps, on this machine or on a cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from napari_disca.batch.streaming import MapStream
from napari_disca.cli.console import display, note, say, say_table
from napari_disca.cli.engine import (
    check_threads,
    check_workers,
    class_table,
    compute_of,
    describe,
    network_of,
    opened_view,
    save_stream,
    with_proposal,
)
from napari_disca.cli.options import PredictOptions
from napari_disca.cli.outputs import map_paths
from napari_disca.core.errors import DiscaError, RasterError
from napari_disca.core.events import Event, finish
from napari_disca.core.pace import duration
from napari_disca.networks import bundled_weights, load_network
from napari_disca.networks.proposal import DEFAULT_NETWORK
from napari_disca.session.steps.class_table import ClassTable


def predict(options: PredictOptions) -> int:
    """Write the network's maps; return the exit code."""
    outputs = map_paths(options.images, options.output)
    check_workers(options.workers)
    if options.scheduler and options.classes is not None:
        raise DiscaError("--classes cannot be used with --scheduler; leave one of them out")
    chosen = options.network.weights
    options = replace(options, network=with_proposal(options.images, options.network))
    proposed_name = options.network.weights if chosen is None else None
    if options.scheduler:
        return _on_cluster(options, outputs, options.scheduler, proposed_name)
    compute = compute_of(options.network.compute)
    network = network_of(options.network)
    classes = class_table(options.classes, ClassTable.of(network.card.classes))
    rows = [["image", "pixels", "time", "map"]]
    code = 0
    for image, output in zip(options.images, outputs, strict=True):
        began = time.monotonic()
        try:
            reading = opened_view(
                image, output, network.card, options.reading, proposed_name=proposed_name
            )
            with reading as view:
                stream = MapStream(view, network, compute, classes=classes)
                describe(stream)
                save_stream(stream, output, options.workers)
                size = " x ".join(map(str, reversed(view.raster.shape)))
            rows.append([image.name, size, duration(time.monotonic() - began), str(output)])
        except RasterError as error:
            if len(outputs) == 1:
                raise
            # A damaged image does not stop the others.
            note(f"napari-disca: {image.name}: {' '.join(str(error).split())}")
            rows.append([image.name, "-", "-", "none: cannot be read"])
            code = 2
    if len(outputs) > 1 and sys.stderr.isatty():
        # A log already has these figures.
        say_table(rows, "", sys.stderr)
    return code


def _on_cluster(
    options: PredictOptions, outputs: Sequence[Path], scheduler: str, proposed_name: str | None
) -> int:
    from napari_disca.batch.cluster import MapDone, Waiting, predict_images
    from napari_disca.batch.cluster_tasks import WorkerSettings

    compute = options.network.compute
    check_threads(compute.threads)
    weights = options.network.weights or DEFAULT_NETWORK
    network = load_network(weights)
    if weights not in bundled_weights():
        weights = str(Path(weights).absolute())
    settings = WorkerSettings(
        weights, compute.device, compute.precision, options.workers, compute.threads
    )
    many = len(outputs) > 1
    job = predict_images(
        list(zip(options.images, outputs, strict=True)),
        network,
        lambda image, output: opened_view(
            image, output, network.card, options.reading, proposed_name=proposed_name
        ),
        settings,
        scheduler=scheduler,
    )
    with display("images" if many else "") as shown:

        def on_event(event: Event) -> None:
            if isinstance(event, Waiting):
                note("the scheduler has no workers; waiting for them (dask worker ADDRESS)")
            elif isinstance(event, MapDone) and not event.error:
                if not event.made:
                    note(f"{event.output.name} was made before, with the same image and settings")
                say(str(event.output))
            elif many or getattr(event, "stage", "") != "images":
                shown.show(event)

        failed = [done for done in finish(job, on_event) if done.error]
    for done in failed:
        note(f"napari-disca: {done.image.name}: {done.error}")
    return 2 if failed else 0
