"""The ``replay`` command: computes a session's map again from its journal."""

from __future__ import annotations

import torch

from napari_disca.cli.console import note, run_job
from napari_disca.cli.engine import (
    MOST_THREADS,
    check_threads,
    class_table,
    describe,
    save_map,
)
from napari_disca.cli.options import ReplayOptions
from napari_disca.cli.outputs import checked, spare_sources
from napari_disca.core.errors import JournalError
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster
from napari_disca.session.journal.image_check import georeference_changes
from napari_disca.session.journal.journal_format import (
    DamagedLineError,
    JournalRecord,
    read_journal,
)
from napari_disca.session.restore import compute_of, network_of, restored


def replay(options: ReplayOptions) -> int:
    """Write the map that a session had; return the exit code."""
    output = checked(options.output, [options.image, options.journal])
    check_threads(options.threads)
    try:
        record = read_journal(options.journal, options.before)
        header = record.header
        network = network_of(header, options.weights, allow_torchscript=options.allow_torchscript)
        # Sums of floating-point numbers depend on how they are divided among threads.
        torch.set_num_threads(options.threads or max(1, min(header.threads, MOST_THREADS)))
        compute = _compute(options, record)
        with open_raster(options.image) as raster:
            spare_sources(output, options.image)
            session = restored(
                record,
                raster,
                network,
                compute=compute,
                cache=not options.learn_again,
                other_image=options.other_image,
            )
            if changed := georeference_changes(record, raster):
                note(changed)
            session.document.troubled.connect(note)
            if options.classes is not None:
                session.document.set_classes(
                    class_table(options.classes, session.document.class_table)
                )
            describe(session)
            run_job(session.refresh((options.map,)), session.handle)
            session.check_complete()
            save_map(session, options.map, output)
    except DamagedLineError as error:
        raise JournalError(
            f"{error}; to replay only the lines before it, add --before {error.line}"
        ) from None
    return 0


def _compute(options: ReplayOptions, record: JournalRecord) -> Compute:
    """Return the session's device and precision, or those given; note if pixels may differ."""
    header = record.header
    compute = compute_of(header)
    if options.device != "auto" or options.precision != "auto":
        compute = Compute.choose(options.device, options.precision)
    then = (header.device, f"torch.{header.precision}")
    if (compute.device.type, str(compute.dtype)) != then:
        note(
            f"the map was made with {header.precision} on {header.device}; "
            "with another device or precision some pixels may differ"
        )
    return compute
