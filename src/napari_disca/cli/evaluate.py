"""The ``evaluate`` command: measures recipes with a simulated annotator."""

from __future__ import annotations

from collections.abc import Sequence

from napari_disca.cli.console import note, run_job, say_table
from napari_disca.cli.engine import compute_of, network_of, recipes_of
from napari_disca.cli.options import EvaluateOptions
from napari_disca.cli.outputs import writable
from napari_disca.cli.shared_options import FolderOptions
from napari_disca.core.errors import DataError
from napari_disca.evaluation import ClassMap, Settings, summary, summary_rows, write_json
from napari_disca.evaluation import evaluate as measure
from napari_disca.training.pairing import Pair, hold_out, paired


def evaluate(options: EvaluateOptions) -> int:
    """Measure recipes and print the table; return the exit code."""
    recipes = recipes_of(options.fields, options.recipe or ["disir", "default"])
    if options.json:
        writable(options.json)
    compute = compute_of(options.network.compute)
    network = network_of(options.network)
    class_map = None
    if options.class_map:
        text = options.class_map
        text = text if "=" in text else text.replace(":", "=")
        class_map = ClassMap.parse(text, network.card.classes)
    settings = Settings(
        class_map=class_map,
        coding=options.folders.mask_coding,
        bands=options.reading.bands,
        scaling=options.reading.scaling,
        find_fill=options.reading.fill,
        seed=options.network.seed,
        **options.settings,
    )
    found, _ = pairs_of(options.folders)
    records = run_job(measure(network, found, recipes, settings, compute=compute), outer="images")
    say_table(summary_rows(records), summary(records))
    if options.json:
        note(f"figures written to {write_json(records, options.json)}")
    return 0


def pairs_of(options: FolderOptions) -> tuple[Sequence[Pair], Sequence[Pair]]:
    """Return the pairs of image and mask to use, and those that are held out.

    Raises
    ------
    DataError
        If the folders have no pairs, or no name contains the text of ``--only``.
    """
    pairing = paired(options.images, options.masks)
    found = pairing.pairs
    if options.only:
        found = [p for p in found if any(text in p.name for text in options.only)]
        if not found:
            raise DataError(f"no image's name contains {' or '.join(options.only)}; change --only")
    chosen = hold_out(found, options.hold_out)
    if pairing.lone_images or pairing.lone_masks:
        note(pairing.describe())
    return chosen
