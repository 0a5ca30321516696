"""Measure the recipes of the study on one kind of images, with the program's own `evaluate`.

    python benchmarks/recipes/study.py in-domain
    python benchmarks/recipes/study.py satellite-to-drone --mode sequential --recipes disir,bn
    python benchmarks/recipes/study.py buildings-to-banepa --network FILE

Every figure is written as soon as it is known. The same command goes on where it was stopped,
adds images if more are asked for, and measures recipes again whose fields have changed since.
Changes of the code behind them it does not see: after one, name them with --again.
`python benchmarks/recipes/report.py` makes the tables and plots of docs/recipes.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from candidates import CANDIDATES
from common import machine
from regimes import DATA, REGIMES
from results import FOLDER, Results

from napari_disca.core.errors import DataError, DiscaError
from napari_disca.evaluation import Record, evaluate, summary
from napari_disca.networks import fingerprint, load_network
from napari_disca.networks.compute import Compute


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print what there is."""
    given = _parser().parse_args(arguments)
    try:
        results = measure(given)
    except DiscaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(summary(results.records))
    return 0


def measure(given: argparse.Namespace) -> Results:
    """Add what is missing to the file of a regime.

    Raises
    ------
    DataError
        If the images, the network or a recipe are not there.
    """
    regime = REGIMES[given.regime]
    recipes = {name: CANDIDATES[name] for name in _names(given.recipes)}
    again = frozenset(_names(given.again, none=True))
    pairs = regime.pairs(given.data)
    chosen = given.network or regime.network
    if chosen is None:
        raise DataError(
            "this regime needs a network of its own, given with --network FILE; "
            "benchmarks/recipes/regimes.py says how it is trained"
        )
    network = load_network(chosen)
    settings = regime.settings(network, given.mode, given.images)
    results = Results.opened(
        given.json or FOLDER / f"{given.regime}-{given.mode}.json",
        f"{network.card.name} {fingerprint(network)[:16]}",
        f"{settings.mode}, {settings.clicks} clicks, parts of {settings.crop} pixels",
        machine(load=False),
    )
    results.keep_up(recipes, again)
    compute = Compute.choose(given.device)
    job = evaluate(network, pairs, recipes, settings, compute=compute, finished=results.finished)
    with closing(job):
        for event in job:
            if isinstance(event, Record):
                results.add(event)
                print(
                    f"{event.image} {event.recipe}: {100 * event.before:.1f} to "
                    f"{100 * event.after:.1f} in {event.seconds:.1f} s",
                    flush=True,
                )
    return results


def _names(text: str | None, *, none: bool = False) -> list[str]:
    if text is None:
        return [] if none else list(CANDIDATES)
    names = text.split(",")
    unknown = [name for name in names if name not in CANDIDATES]
    if unknown:
        raise DataError(f"there is no recipe {unknown[0]!r}; there are {', '.join(CANDIDATES)}")
    return names


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("regime", choices=REGIMES)
    made.add_argument("--mode", choices=("one-shot", "sequential"), default="one-shot")
    made.add_argument("--images", type=int, metavar="N", help="parts of images, at most")
    made.add_argument("--recipes", metavar="A,B", help="all by default")
    made.add_argument("--again", metavar="A,B", help="recipes to measure anew")
    made.add_argument("--data", type=Path, default=DATA, metavar="FOLDER")
    made.add_argument("--network", metavar="NAME_OR_FILE")
    made.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


if __name__ == "__main__":
    sys.exit(main())
