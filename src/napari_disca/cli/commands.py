"""The commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_disca.cli.console import Console, note, settle
from napari_disca.cli.flags import given_fields, recipes_of
from napari_disca.cli.outputs import checked, map_paths, spare_sources, writable
from napari_disca.core.errors import DataError, DiscaError, JournalError, RasterError
from napari_disca.core.events import finish

#: More threads than any machine has end the process.
_MOST_THREADS = 1024


def _say(*lines: str) -> None:
    print(*lines, sep="\n")  # noqa: T201


def demo(arguments: argparse.Namespace) -> int:
    """Open napari with the sample scene."""
    return _window((), arguments, demo=True)


def open_images(arguments: argparse.Namespace) -> int:
    """Open napari with images."""
    missing = [str(path) for path in arguments.images if not path.exists()]
    if missing:
        raise DiscaError(f"{missing[0]} does not exist; check the path")
    return _window(arguments.images, arguments, demo=False)


def _window(images: Sequence[Path], arguments: argparse.Namespace, *, demo: bool) -> int:
    from napari_disca.cli.doctor import has_screen

    if not has_screen():
        # Qt would end the process.
        raise DiscaError(
            "there is no screen to open a window on (DISPLAY is not set); run under a desktop or "
            "xvfb-run, or use 'napari-disca predict' and 'refine'"
        )
    # torch before Qt: on Windows the other order can fail to load torch's libraries.
    import torch  # noqa: F401

    try:
        # Imports napari and Qt.
        from napari_disca.gui.panels import widget  # noqa: F401
        from napari_disca.gui.plugin import app
    except ImportError as error:
        raise DiscaError(
            f'napari or Qt is not installed ({error}); pip install "napari-disca[all]"'
        ) from error
    app.open_window(
        images,
        demo=demo,
        weights=arguments.weights,
        allow_torchscript=arguments.allow_torchscript,
    )
    return 0


def info(arguments: argparse.Namespace) -> int:
    """Print versions, device, and what is wrong with them."""
    from napari_disca.cli.doctor import report

    lines, problems = report()
    _say(*lines, "", *(f"problem: {line}" for line in problems))
    if not problems:
        _say("no problems found")
    return 1 if problems and arguments.check else 0


def predict(arguments: argparse.Namespace) -> int:
    """Write the network's maps."""
    _expect_images()
    from napari_disca.batch.streaming import MapStream

    outputs = map_paths(arguments.images, arguments.output)
    workers = _workers(arguments)
    if arguments.scheduler:
        return _on_cluster(arguments, outputs, workers)
    compute = _compute(arguments)
    network = _network(arguments)
    code = 0
    for image, output in zip(arguments.images, outputs, strict=True):
        try:
            with _opened(arguments, image, output, network.card) as inputs:
                stream = MapStream(inputs, network, compute)
                _describe(stream)
                _save(stream, output, workers)
        except RasterError as error:
            if len(outputs) == 1:
                raise
            # One damaged image must not stop the others of a night.
            note(f"napari-disca: {image.name}: {' '.join(str(error).split())}")
            code = 2
    return code


def _on_cluster(arguments: argparse.Namespace, outputs: Sequence[Path], workers: int) -> int:
    from napari_disca.batch.cluster import MapDone, Settings, Waiting, predict_images
    from napari_disca.networks import bundled_weights, load_network

    _check_threads(arguments)
    network = load_network(arguments.weights)
    weights = arguments.weights
    if weights not in bundled_weights():
        weights = str(Path(weights).absolute())
    settings = Settings(weights, arguments.device, arguments.precision, workers, arguments.threads)
    many = len(outputs) > 1
    console = Console(outer="images" if many else "")

    def on_event(event: Any) -> None:
        if isinstance(event, Waiting):
            note("the scheduler has no workers yet; waiting for them")
        elif isinstance(event, MapDone) and not event.error:
            if not event.made:
                note(f"{event.output.name} was made before, with the same image and settings")
            settle()
            _say(str(event.output))
        elif many or getattr(event, "stage", "") != "images":
            console(event)

    job = predict_images(
        list(zip(arguments.images, outputs, strict=True)),
        network,
        lambda image, output: _opened(arguments, image, output, network.card),
        settings,
        scheduler=arguments.scheduler,
    )
    failed = [done for done in finish(job, on_event) if done.error]
    for done in failed:
        note(f"napari-disca: {done.image.name}: {done.error}")
    return 2 if failed else 0


def refine(arguments: argparse.Namespace) -> int:
    """Write a map corrected with clicks."""
    _expect_images()
    from napari_disca.batch.streaming import MapStream

    (recipe,) = recipes_of(arguments, [arguments.recipe]).values()
    output = checked(arguments.output, [arguments.image, arguments.clicks])
    workers = _workers(arguments)
    compute = _compute(arguments)
    network = _network(arguments)
    if arguments.locks is not None or arguments.journal is not None:
        return _refine_in_session(arguments, recipe, output, network, compute)
    with _opened(arguments, arguments.image, output, network.card) as inputs:
        raster, classes = inputs.raster, inputs.card.classes
        clicks = _clicks(arguments, raster, classes)
        clicks.checked(raster.shape, len(classes))
        stream = MapStream(inputs, network, compute, clicks)
        _describe(stream)
        _say_clickless(arguments, clicks)
        if recipe.learns and len(clicks):
            stream, adaptation = finish(stream.adapt(recipe, arguments.seed), Console())
            note(adaptation.note)
        _save(stream, output, workers)
    return 0


def _refine_in_session(
    arguments: argparse.Namespace, recipe: Any, output: Path, network: Any, compute: Any
) -> int:
    """Correct a map that has locked areas, or whose story is to be written down."""
    from napari_disca.exports import read_locks

    if arguments.journal is not None:
        writable(arguments.journal)
    with _Session(arguments, arguments.image, output, network, compute) as session:
        if arguments.journal is not None:
            _keep(session, arguments)
        session.set_clicks(
            _clicks(arguments, session.raster, session.classes),
            f"load {arguments.clicks.name}",
        )
        if arguments.locks is not None:
            session.lock(*read_locks(arguments.locks, raster=session.raster), map="disir")
        _describe(session)
        name = "disca" if recipe.learns and len(session.clicks) else "disir"
        if name == "disca":
            adaptation = finish(session.adapt(recipe, ("disca",)), _handled(session))
            note(adaptation.note)
        else:
            _say_clickless(arguments, session.clicks)
            finish(session.refresh(("disir",)), _handled(session))
        session.check_complete()
        _save_map(session, name, output)
    return 0


def _clicks(arguments: argparse.Namespace, raster: Any, classes: Any) -> Any:
    """Clicks of the file that was named; what of it cannot be used is said."""
    from napari_disca.exports import load_clicks

    loaded = load_clicks(
        arguments.clicks, raster=raster, classes=classes, column=arguments.class_column
    )
    if loaded.left_out or loaded.understood:
        note(loaded.describe(arguments.clicks.name))
    return loaded.clicks


def _say_clickless(arguments: argparse.Namespace, clicks: Any) -> None:
    if not len(clicks):
        note(f"{arguments.clicks.name} holds no clicks; this is the map before any click")


def replay(arguments: argparse.Namespace) -> int:
    """Write the map that a session had, from its journal."""
    from napari_disca.session.journal import DamagedLineError

    try:
        return _replay(arguments)
    except DamagedLineError as error:
        raise JournalError(
            f"{error}; for the map of what is before that line, add --before {error.line}"
        ) from None


def _replay(arguments: argparse.Namespace) -> int:
    import torch

    from napari_disca.networks.compute import Compute
    from napari_disca.raster import open_raster
    from napari_disca.session.journal import read_journal
    from napari_disca.session.restore import compute_of, network_of, restored

    output = checked(arguments.output, [arguments.image, arguments.journal])
    _check_threads(arguments)
    record = read_journal(arguments.journal, arguments.before)
    network = network_of(
        record.header, arguments.weights, allow_torchscript=arguments.allow_torchscript
    )
    # Sums depend on how they are shared out.
    torch.set_num_threads(arguments.threads or max(1, min(record.header.threads, _MOST_THREADS)))
    compute = compute_of(record.header)
    if arguments.device != "auto" or arguments.precision != "auto":
        compute = Compute.choose(arguments.device, arguments.precision)
    if (compute.device.type, str(compute.dtype)) != (
        record.header.device,
        f"torch.{record.header.precision}",
    ):
        note(
            f"the map was made with {record.header.precision} on {record.header.device}; "
            "with another device or precision some pixels may differ"
        )
    with open_raster(arguments.image) as raster:
        spare_sources(output, arguments.image)
        session = restored(
            record, raster, network, compute=compute, cache=not arguments.learn_again
        )
        session.troubled.connect(note)
        _describe(session)
        finish(session.refresh((arguments.map,)), _handled(session))
        session.check_complete()
        _save_map(session, arguments.map, output)
    return 0


def _keep(session: Any, arguments: Any) -> None:
    from napari_disca.session.journal import Journal
    from napari_disca.session.restore import header_of

    try:
        session.keep(Journal.begin(arguments.journal, header_of(session, arguments.weights)))
    except OSError as error:
        raise JournalError(
            f"{arguments.journal} cannot be written: {error.strerror or error}"
        ) from error


def _expect_images() -> None:
    """Start the process that looks at images first, while torch is imported."""
    from napari_disca.raster import warm

    warm()


class _Session:
    """Session of an image on the command line; its file is closed at the end."""

    def __init__(
        self, arguments: Any, image: Path, output: Path, network: Any, compute: Any
    ) -> None:
        from napari_disca.raster import open_raster
        from napari_disca.session.preferences import recall, remember
        from napari_disca.session.session import Session

        self._raster = open_raster(image)
        try:
            spare_sources(output, image)
            factor = None if arguments.factor == "auto" else arguments.factor
            if arguments.factor is None:
                factor = recall(self._raster, network.card)
            self.session = Session(
                self._raster,
                network,
                bands=arguments.bands,
                factor=factor,
                compute=compute,
                seed=arguments.seed,
            )
            if arguments.factor is not None:
                remember(self._raster, network.card, factor)
        except BaseException:
            self._raster.close()
            raise

    def __enter__(self) -> Any:
        return self.session

    def __exit__(self, *_: object) -> None:
        self.session.close()
        self._raster.close()


@contextmanager
def _opened(arguments: Any, image: Path, output: Path, card: Any) -> Iterator[Any]:
    """Input of an image, whose file is closed at the end."""
    from napari_disca.batch.streaming import STREAM_CACHE
    from napari_disca.inference.network_view import NetworkView
    from napari_disca.raster import open_raster
    from napari_disca.session.preferences import recall, remember

    with open_raster(image, cache=STREAM_CACHE) as raster:
        spare_sources(output, image)
        factor = None if arguments.factor == "auto" else arguments.factor
        if arguments.factor is None:
            factor = recall(raster, card)
        inputs = NetworkView(raster, card, bands=arguments.bands, factor=factor)
        if arguments.factor is not None:
            remember(raster, card, factor)
        yield inputs


def _describe(stream: Any) -> None:
    inputs = stream.inputs
    note(f"{inputs.raster.name}: {inputs.describe()}; {stream.compute}")


def _check_threads(arguments: Any) -> None:
    if arguments.threads is not None and not 1 <= arguments.threads <= _MOST_THREADS:
        raise DiscaError(f"--threads {arguments.threads} is not from 1 to {_MOST_THREADS}")


def _workers(arguments: Any) -> int:
    if arguments.workers < 1:
        raise DiscaError(f"--workers {arguments.workers} is too few; give 1 or more")
    return int(arguments.workers)


def _network(arguments: Any) -> Any:
    from napari_disca.networks import load_network

    return load_network(arguments.weights, allow_torchscript=arguments.allow_torchscript)


def _compute(arguments: Any) -> Any:
    import torch

    from napari_disca.networks.compute import Compute

    _check_threads(arguments)
    if arguments.threads is not None:
        torch.set_num_threads(arguments.threads)
    # Training has no precision: it has a plan.
    return Compute.choose(arguments.device, getattr(arguments, "precision", "auto"))


def _handled(session: Any) -> Any:
    console = Console()

    def on_event(event: Any) -> None:
        console(event)
        session.handle(event)

    return on_event


def _save_map(session: Any, name: str, output: Path) -> None:
    from napari_disca.exports import write_map

    job = write_map(session.maps[name], output, raster=session.raster, classes=session.classes)
    _say(str(finish(job, Console())))
    session.exported(name, str(output))


def _save(stream: Any, output: Path, workers: int) -> None:
    _say(str(finish(stream.write(output, workers), Console())))


def _pairs(arguments: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Image and mask pairs: those to use, and those held out."""
    from napari_disca.training.pairing import hold_out, paired

    pairing = paired(arguments.images, arguments.masks)
    note(pairing.describe())
    found = pairing.pairs
    if arguments.only:
        found = [p for p in found if any(text in p.name for text in arguments.only)]
        if not found:
            raise DataError(f"no image's name contains {' or '.join(arguments.only)}")
    return hold_out(found, arguments.hold_out)


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure recipes."""
    from napari_disca.evaluation import ClassMap, Settings, summary, write_json
    from napari_disca.evaluation import evaluate as measure

    recipes = recipes_of(arguments, arguments.recipe or ["disir", "default"])
    if arguments.json:
        writable(arguments.json)
    compute = _compute(arguments)
    network = _network(arguments)
    class_map = None
    if arguments.class_map:
        text = arguments.class_map
        text = text if "=" in text else text.replace(":", "=")
        class_map = ClassMap.parse(text, network.card.classes)
    settings = Settings(
        clicks=arguments.clicks,
        mode=arguments.mode,
        factor=arguments.scale,
        class_map=class_map,
        coding=arguments.mask_coding,
        crop=arguments.crop,
        max_images=arguments.max_images,
        bands=arguments.bands,
        seed=arguments.seed,
    )
    pairs, _ = _pairs(arguments)
    job = measure(network, pairs, recipes, settings, compute=compute)
    records = finish(job, Console(outer="images"))
    _say(summary(records))
    if arguments.json:
        note(f"figures written to {write_json(records, arguments.json)}")
    return 0


def train(arguments: argparse.Namespace) -> int:
    """Train a network and write it."""
    from napari_disca.cli.training import run

    writable(arguments.output)
    compute = _compute(arguments)
    return run(arguments, *_pairs(arguments), given_fields(arguments), compute)
