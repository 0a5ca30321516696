"""The ``refine`` command: writes a label map that is corrected with clicks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from napari_disca.annotations.clicks import Clicks
from napari_disca.batch.streaming import MapStream
from napari_disca.cli.console import note, run_job
from napari_disca.cli.engine import (
    check_workers,
    compute_of,
    describe,
    network_of,
    note_better_network,
    opened_session,
    opened_view,
    recipes_of,
    save_map,
    save_stream,
)
from napari_disca.cli.options import RefineOptions
from napari_disca.cli.outputs import checked, writable
from napari_disca.core.errors import JournalError
from napari_disca.exports import load_clicks, read_locks
from napari_disca.networks import LandClass, Network
from napari_disca.networks.compute import Compute
from napari_disca.networks.proposal import DEFAULT_NETWORK
from napari_disca.raster import Raster
from napari_disca.recipes import Recipe
from napari_disca.session.journal.journal import Journal
from napari_disca.session.restore import header_of
from napari_disca.session.session import Session


def refine(options: RefineOptions) -> int:
    """Write a map that is corrected with clicks; return the exit code."""
    (recipe,) = recipes_of(options.fields, [options.recipe]).values()
    output = checked(options.output, [options.image, options.clicks])
    check_workers(options.workers)
    compute = compute_of(options.network.compute)
    network = network_of(options.network)
    if options.locks is not None or options.journal is not None:
        return _refine_in_session(options, recipe, output, network, compute)
    proposed_name = DEFAULT_NETWORK if options.network.weights is None else None
    with opened_view(
        options.image, output, network.card, options.reading, proposed_name=proposed_name
    ) as view:
        raster, classes = view.raster, view.card.classes
        clicks = _clicks(options, raster, classes)
        clicks.checked(raster.shape, len(classes))
        stream = MapStream(view, network, compute, clicks)
        describe(stream)
        _note_no_clicks(options, clicks)
        if recipe.learns and len(clicks):
            stream, adaptation = run_job(stream.adapt(recipe, options.network.seed))
            note(adaptation.note)
        save_stream(stream, output, options.workers)
    return 0


def _refine_in_session(
    options: RefineOptions, recipe: Recipe, output: Path, network: Network, compute: Compute
) -> int:
    """Correct a map in a session, which can lock areas and keep a journal; return the exit code."""
    if options.journal is not None:
        writable(options.journal)
    with opened_session(
        options.image, output, network, compute, options.reading, options.network.seed
    ) as session:
        if options.network.weights is None:
            note_better_network(session.raster, DEFAULT_NETWORK)
        clicks = _clicks(options, session.raster, session.document.classes)
        locks = () if options.locks is None else read_locks(options.locks, raster=session.raster)
        if options.journal is not None:  # not before all files could be read
            _keep_journal(session, options.journal, options.network.weights or DEFAULT_NETWORK)
        session.document.set_clicks(clicks, f"load {options.clicks.name}")
        if locks:
            session.document.lock(*locks, map="disir")
        describe(session)
        if recipe.learns and len(session.document.clicks):
            adaptation = run_job(session.adapt(recipe, ("disca",)), session.handle)
            note(adaptation.note)
        else:
            _note_no_clicks(options, session.document.clicks)
            run_job(session.refresh(("disir",)), session.handle)
        session.check_complete()
        save_map(
            session, "disca" if recipe.learns and len(session.document.clicks) else "disir", output
        )
    return 0


def _clicks(options: RefineOptions, raster: Raster, classes: Sequence[LandClass]) -> Clicks:
    """Return the clicks in the file; note which features are left out."""
    loaded = load_clicks(
        options.clicks, raster=raster, classes=classes, column=options.class_column
    )
    if loaded.left_out or loaded.note:
        note(loaded.describe(options.clicks.name))
    return loaded.clicks


def _keep_journal(session: Session, journal: Path, weights: str) -> None:
    try:
        session.keep(Journal.begin(journal, header_of(session, weights)))
    except OSError as error:
        raise JournalError(f"{journal} cannot be written: {error.strerror or error}") from error


def _note_no_clicks(options: RefineOptions, clicks: Clicks) -> None:
    if not len(clicks):
        note(f"{options.clicks.name} has no clicks; the map is that of the network alone")
