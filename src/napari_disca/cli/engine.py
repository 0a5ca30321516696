"""Functions that several commands share: network, device, image, and the map's file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import torch

from napari_disca.batch.streaming import STREAM_CACHE, MapStream
from napari_disca.cli.console import note, run_job, say
from napari_disca.cli.outputs import spare_sources
from napari_disca.cli.shared_options import ComputeOptions, NetworkOptions, ReadingOptions
from napari_disca.core.errors import DiscaError, RasterError, RecipeError
from napari_disca.exports import merged, write_map
from napari_disca.exports.class_files import read_classes
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.reading import Reading
from napari_disca.networks import Card, Network, load_network
from napari_disca.networks.compute import Compute
from napari_disca.networks.proposal import DEFAULT_NETWORK, Proposal, bundled_sizes, propose_network
from napari_disca.raster import Raster, open_raster
from napari_disca.raster.resolution import raster_resolution
from napari_disca.recipes import RECIPES, Recipe, recipe_named
from napari_disca.session.preferences import recall, remember
from napari_disca.session.session import Session
from napari_disca.session.steps.class_table import ClassTable

#: With far more threads than a machine has cores, torch ends the process.
MOST_THREADS = 1024


def network_of(options: NetworkOptions) -> Network:
    """Return the network that the user has chosen, or the default one."""
    name = options.weights or DEFAULT_NETWORK
    return load_network(name, allow_torchscript=options.allow_torchscript)


def proposed(raster: Raster) -> Proposal:
    """Return the bundled network that fits an image."""
    return propose_network(raster_resolution(raster), bundled_sizes())


def note_better_network(raster: Raster, proposed_name: str) -> None:
    """Write a note if another bundled network fits an image better than the one in use.

    Parameters
    ----------
    raster : Raster
    proposed_name : str
        Name of the network in use, which the user has not chosen.
    """
    if (proposal := proposed(raster)).name != proposed_name:
        note(f"{raster.name}: {proposed_name} is used; {proposal.reason} (--weights chooses)")


def with_proposal(images: Sequence[Path], options: NetworkOptions) -> NetworkOptions:
    """Return the options with a network that fits the images, unless the user has chosen one.

    The first image that can be read decides, which a note says.

    Parameters
    ----------
    images : sequence of Path
    options : NetworkOptions
    """
    if options.weights is not None:
        return options
    for image in images:
        try:
            with open_raster(image) as raster:
                proposal = proposed(raster)
        except RasterError:
            continue  # reported when its map is computed
        note(f"network {proposal.name}, because --weights was not given: {proposal.reason}")
        return replace(options, weights=proposal.name)
    return replace(options, weights=DEFAULT_NETWORK)


def compute_of(options: ComputeOptions) -> Compute:
    """Return device and precision of the network, and set the number of CPU threads.

    Raises
    ------
    DiscaError
        If there is no such device, or the number of threads is not from 1 to 1024.
    """
    check_threads(options.threads)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return Compute.choose(options.device, options.precision)


def check_threads(threads: int | None) -> None:
    """Check the number of CPU threads.

    Raises
    ------
    DiscaError
        If it is not from 1 to 1024.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise DiscaError(f"--threads is {threads}; give a number from 1 to {MOST_THREADS}")


def check_workers(workers: int) -> None:
    """Check the number of threads that read images.

    Raises
    ------
    DiscaError
        If it is less than 1.
    """
    if workers < 1:
        raise DiscaError(f"--workers is {workers}; give 1 or more")


def recipes_of(changes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Recipe]:
    """Return recipes by name, with the fields that are given on the command line.

    Parameters
    ----------
    changes : mapping
        Values by the name of the field.
    names : iterable of str
        Of the recipes.

    Raises
    ------
    RecipeError
        If a recipe is unknown, none of them has a field, or a value is out of its range.
    """
    names = list(names)
    for name in names:
        if name not in RECIPES:
            raise RecipeError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
    fields_by_name = {name: {f.name for f in fields(RECIPES[name])} for name in names}
    for field in changes:
        if not any(field in own for own in fields_by_name.values()):
            raise RecipeError(
                f"--{field.replace('_', '-')} is not a field of {', '.join(fields_by_name)}; leave "
                "it out or choose another recipe"
            )
    return {
        name: recipe_named(name, **{k: v for k, v in changes.items() if k in own})
        for name, own in fields_by_name.items()
    }


def _factor(raster: Raster, card: Card, options: ReadingOptions) -> float | None:
    """Return network pixels per image pixel as given, or as remembered for the image."""
    if options.factor is None:
        chosen = recall(raster, card)
        return None if chosen is None else chosen.factor
    return None if isinstance(options.factor, str) else options.factor


def _remember(raster: Raster, card: Card, options: ReadingOptions) -> None:
    """Remember the factor for the image; note what was chosen for it in the window."""
    preferred = recall(raster, card) or Reading()
    if options.factor is not None:
        remember(raster, card, replace(preferred, factor=_factor(raster, card, options)))
    # Apart from the factor, a command's result depends on its arguments only.
    given = options.bands, options.scaling, options.fill
    if given == (None, None, True) and (chosen := preferred.describe()):
        note(
            f"{raster.name}: in the window {chosen} was chosen for it; the command line uses this "
            "only if flags say so"
        )


@contextmanager
def opened_view(
    image: Path,
    output: Path,
    card: Card,
    options: ReadingOptions,
    *,
    proposed_name: str | None = None,
) -> Iterator[NetworkView]:
    """Return a context with an image as the network reads it; the file is closed at its end.

    Parameters
    ----------
    image : Path
    output : Path
        The map to write, which must not be a part of the image.
    card : Card
        Of the network.
    options : ReadingOptions
    proposed_name : str, optional
        Name of the network if the user has not chosen it; a note says if another one fits better.

    Yields
    ------
    NetworkView

    Raises
    ------
    RasterError
        If the image cannot be read, or does not fit the card or the options.
    ExportError
        If the map is a part of the image.
    """
    with open_raster(image, cache=STREAM_CACHE) as raster:
        spare_sources(output, image)
        if proposed_name is not None:
            note_better_network(raster, proposed_name)
        factor = _factor(raster, card, options)
        view = NetworkView(
            raster,
            card,
            bands=options.bands,
            factor=factor,
            scaling=options.scaling,
            find_fill=options.fill,
        )
        _remember(raster, card, options)
        yield view


@contextmanager
def opened_session(
    image: Path,
    output: Path,
    network: Network,
    compute: Compute,
    options: ReadingOptions,
    seed: int,
) -> Iterator[Session]:
    """Return a context with the session of an image; the file is closed at its end.

    Parameters
    ----------
    image : Path
    output : Path
        The map to write, which must not be a part of the image.
    network : Network
    compute : Compute
    options : ReadingOptions
    seed : int
        Of the recipes' random numbers.

    Yields
    ------
    Session

    Raises
    ------
    RasterError
        If the image cannot be read, or does not fit the network or the options.
    ExportError
        If the map is a part of the image.
    """
    with open_raster(image) as raster:
        spare_sources(output, image)
        session = Session(
            raster,
            network,
            bands=options.bands,
            factor=_factor(raster, network.card, options),
            scaling=options.scaling,
            find_fill=options.fill,
            compute=compute,
            seed=seed,
        )
        try:
            _remember(raster, network.card, options)
            yield session
        finally:
            session.close()


def class_table(path: Path | None, table: ClassTable) -> ClassTable:
    """Return a table of classes with the changes of a file; note classes that do not match.

    Parameters
    ----------
    path : Path or None
        None leaves the table.
    table : ClassTable

    Raises
    ------
    ClassTableError
        If the file cannot be read, or has none of these classes.
    """
    if path is None:
        return table
    loaded = read_classes(path, table)
    if line := loaded.describe(path.name):
        note(line)
    return loaded.table


def describe(work: MapStream | Session) -> None:
    """Note how the image is read, and where the network runs."""
    view = work.network_view
    note(f"{view.raster.name}: {view.describe()}; {work.compute}")


def save_stream(stream: MapStream, output: Path, workers: int) -> None:
    """Compute a map while writing it, and print its path.

    Parameters
    ----------
    stream : MapStream
    output : Path
    workers : int
        Threads that read the image.
    """
    say(str(run_job(stream.write(output, workers))))


def save_map(session: Session, name: Literal["initial", "disir", "disca"], output: Path) -> None:
    """Write a map of a session, and print its path.

    Parameters
    ----------
    session : Session
    name : {"initial", "disir", "disca"}
        Which map.
    output : Path
    """
    labels = merged(session.maps[name], session.document.merged_values)
    job = write_map(labels, output, raster=session.raster, classes=session.document.saved_classes)
    say(str(run_job(job)))
    session.document.exported(name, str(output))
