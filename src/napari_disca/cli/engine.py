"""What the commands that draw maps share: network, device, image, and the file at the end."""

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
from napari_disca.session.class_table import ClassTable
from napari_disca.session.preferences import recall, remember
from napari_disca.session.session import Session

#: More threads than any machine has end the process.
MOST_THREADS = 1024


def network_of(options: NetworkOptions) -> Network:
    """Return the network that was chosen, or the usual one."""
    name = options.weights or DEFAULT_NETWORK
    return load_network(name, allow_torchscript=options.allow_torchscript)


def proposed(raster: Raster) -> Proposal:
    """Return the bundled network that fits an image."""
    return propose_network(raster_resolution(raster), bundled_sizes())


def say_better(raster: Raster, taken: str) -> None:
    """Say it where another network than one that nobody has chosen would fit an image better."""
    if (proposal := proposed(raster)).name != taken:
        note(f"{raster.name}: {taken} is used; {proposal.reason} (--weights chooses)")


def with_proposal(images: Sequence[Path], options: NetworkOptions) -> NetworkOptions:
    """Let the first image that can be read propose a network where none was chosen, and say it."""
    if options.weights is not None:
        return options
    for image in images:
        try:
            with open_raster(image) as raster:
                proposal = proposed(raster)
        except RasterError:
            continue  # told when its turn comes
        note(f"network {proposal.name}, for no --weights was given: {proposal.reason}")
        return replace(options, weights=proposal.name)
    return replace(options, weights=DEFAULT_NETWORK)


def compute_of(options: ComputeOptions) -> Compute:
    """Return where the network runs, and set the number of threads.

    Raises
    ------
    DiscaError
        If the device is not there, or the threads are too few or too many.
    """
    check_threads(options.threads)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    return Compute.choose(options.device, options.precision)


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that no machine has.

    Raises
    ------
    DiscaError
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise DiscaError(f"--threads {threads} is not from 1 to {MOST_THREADS}")


def check_workers(workers: int) -> None:
    """Refuse to read ahead with no thread.

    Raises
    ------
    DiscaError
    """
    if workers < 1:
        raise DiscaError(f"--workers {workers} is too few; give 1 or more")


def recipes_of(changes: Mapping[str, Any], names: Iterable[str]) -> dict[str, Recipe]:
    """Recipes by name, with the fields given on the command line.

    Raises
    ------
    RecipeError
        If a recipe is unknown, none of them has such a field, or its value is impossible.
    """
    names = list(names)
    for name in names:
        if name not in RECIPES:
            raise RecipeError(f"recipe {name!r} is unknown; choose one of {', '.join(RECIPES)}")
    known = {name: {f.name for f in fields(RECIPES[name])} for name in names}  # type: ignore[arg-type]
    for field in changes:
        if not any(field in has for has in known.values()):
            raise RecipeError(
                f"--{field.replace('_', '-')} is no field of {', '.join(known)}; leave it out or "
                "choose a recipe that learns"
            )
    return {
        name: recipe_named(name, **{k: v for k, v in changes.items() if k in has})
        for name, has in known.items()
    }


def _factor(raster: Raster, card: Card, options: ReadingOptions) -> float | None:
    """Network pixels per image pixel as given, or as remembered for the image."""
    if options.factor is None:
        known = recall(raster, card)
        return None if known is None else known.factor
    return None if isinstance(options.factor, str) else options.factor


def _remember(raster: Raster, card: Card, options: ReadingOptions) -> None:
    known = recall(raster, card) or Reading()
    if options.factor is not None:
        remember(raster, card, replace(known, factor=_factor(raster, card, options)))
    # A command's result must not depend on what is not on its line, but for the factor of old.
    given = options.bands, options.scaling, options.fill
    if given == (None, None, True) and (told := known.describe()):
        note(f"{raster.name}: in the window {told} was chosen for it; here only flags say so")


@contextmanager
def opened_view(
    image: Path, output: Path, card: Card, options: ReadingOptions, *, taken: str | None = None
) -> Iterator[NetworkView]:
    """What a network reads of an image, whose file is closed at the end.

    Where nobody has chosen the network, `taken` names the one that an image of the run has
    proposed; that another would fit this one better is said.
    """
    with open_raster(image, cache=STREAM_CACHE) as raster:
        spare_sources(output, image)
        if taken is not None:
            say_better(raster, taken)
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
    """Session of an image, whose file is closed at the end."""
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
    """A table of classes, changed as a file says; what does not fit is told.

    Raises
    ------
    ClassTableError
        If the file cannot be read or is about none of these classes.
    """
    if path is None:
        return table
    found = read_classes(path, table)
    if said := found.describe(path.name):
        note(said)
    return found.table


def describe(work: MapStream | Session) -> None:
    """Say how the image is read, and where the network runs."""
    view = work.inputs
    note(f"{view.raster.name}: {view.describe()}; {work.compute}")


def save_stream(stream: MapStream, output: Path, workers: int) -> None:
    """Write a map while it is made, and say where."""
    say(str(run_job(stream.write(output, workers))))


def save_map(session: Session, name: Literal["initial", "disir", "disca"], output: Path) -> None:
    """Write a map of a session, and say where."""
    labels = merged(session.maps[name], session.merged_values)
    job = write_map(labels, output, raster=session.raster, classes=session.legend)
    say(str(run_job(job)))
    session.exported(name, str(output))
