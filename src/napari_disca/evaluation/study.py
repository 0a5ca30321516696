"""Measures recipes on folders of images and masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import DataError
from napari_disca.core.events import Job, Note, Progress
from napari_disca.core.tiling import Window
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.protocol import chosen_recipes, evaluate_image
from napari_disca.evaluation.raster_subset import RasterSubset, parts_worth_clicking
from napari_disca.evaluation.records import Record
from napari_disca.evaluation.settings import Settings
from napari_disca.networks import Card, Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster, open_raster
from napari_disca.recipes import Recipe
from napari_disca.training.folders import class_shares_text, notes_text, sizes_text
from napari_disca.training.mask_files import Grid
from napari_disca.training.masks import MaskReader
from napari_disca.training.pairing import Pair


def evaluate(
    network: Network,
    pairs: Sequence[Pair],
    recipes: Sequence[str] | Mapping[str, Recipe],
    settings: Settings | None = None,
    *,
    compute: Compute | None = None,
    finished: Container[tuple[str, str]] = (),
) -> Job[list[Record]]:
    """Job that measures recipes on folders of images and masks, and returns the records.

    Parameters
    ----------
    network : Network
    pairs : sequence of Pair
        See `napari_disca.training.pairing.pairs`.
    recipes : sequence of str, or mapping of str to Recipe
        Names from the table, or recipes by other names. Without ``disir`` there is no "worst vs
        disir".
    settings : Settings, optional
    compute : Compute, optional
    finished : container of (image, recipe)
        Measurements to leave out, by the names in their records.

    Yields
    ------
    A `Note` that says how images and masks were read, Progress, and every `Record` as soon as it
    is known

    Raises
    ------
    DataError
        If a mask does not fit its image or the network, or there is nothing to measure.
    """
    settings = settings or Settings()
    classes = settings.classes_of(network)
    masks = masks_of(pairs, network, settings)
    items, lines = chosen_items(pairs, network.card, classes, masks, settings)
    for line in lines:
        yield Note(line)
    chosen = chosen_recipes(recipes)
    records: list[Record] = []
    for index, (pair, window) in enumerate(items):
        yield Progress("images", index, len(items))
        with opened(pair, window, masks) as (part, reference):
            left = {n: recipe for n, recipe in chosen.items() if (part.name, n) not in finished}
            if left:
                records += yield from evaluate_image(
                    network, part, reference, left, settings, compute=compute
                )
    yield Progress("images", len(items), len(items))
    return records


@contextmanager
def opened(
    pair: Pair, window: Window | None, masks: MaskReader
) -> Iterator[tuple[Raster, NDArray[np.uint8]]]:
    """Context of an open image, or a part of it, and its mask.

    Parameters
    ----------
    pair : Pair
    window : Window or None
        The part; None for the whole image.
    masks : MaskReader
    """
    with open_raster(pair.image) as raster:
        reference = masks.read(pair.mask, Grid.of(raster))
        if window is None:
            yield raster, reference
        else:
            yield RasterSubset(raster, window), reference[window.slices]


def masks_of(pairs: Sequence[Pair], network: Network, settings: Settings) -> MaskReader:
    """Return the reader of the masks of pairs."""
    classes = settings.classes_of(network).mask_classes(network.card.classes)
    return MaskReader([pair.mask for pair in pairs], classes, settings.coding)


def chosen_items(
    pairs: Sequence[Pair],
    card: Card,
    classes: ClassMap,
    masks: MaskReader,
    settings: Settings,
) -> tuple[list[tuple[Pair, Window | None]], list[str]]:
    """Return the images or parts to measure, and lines that describe them.

    Every mask is read and checked here, before hours are spent on the first image.
    """
    found: list[tuple[Pair, Window | None]] = [(pair, None) for pair in pairs]
    if settings.crop is None:
        found = _chosen(found, settings)
    items: list[tuple[Pair, Window | None]] = []
    counts, shapes = np.zeros(256, dtype=np.int64), []
    notes: Counter[str] = Counter()
    for pair, _ in found:
        with opened(pair, None, masks) as (raster, reference):
            fill = settings.reading.view(raster, card).scale.fill
            notes.update([*raster.notes, *filter(None, [fill.note])])
            classes.checked(reference, pair.mask.name)
            counts += np.bincount(reference.ravel(), minlength=256)
            shapes.append(reference.shape)
            parts = (
                [None] if settings.crop is None else parts_worth_clicking(reference, settings.crop)
            )
            items += [(pair, window) for window in parts]
    if not found:
        raise DataError("there are no images to measure; check the folders")
    if not items:
        raise DataError(
            f"no {settings.crop} x {settings.crop} part of the {len(pairs)} images shows two "
            "classes; give a larger crop, or none"
        )
    if settings.crop is not None:
        items = _chosen(items, settings)
    what = f"{_count(len(found), 'image')} of {sizes_text(shapes)}"
    if settings.crop is not None:
        what = f"{_count(len(items), 'part')} of {settings.crop} x {settings.crop} pixels of {what}"
    names = [classes.name(i) or "no class" for i in range(classes.size)]
    return items, [
        f"images: {what}{notes_text(notes)}",
        f"masks: {masks.describe()}",
        f"classes: {class_shares_text(counts, names)}",
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _chosen(
    items: list[tuple[Pair, Window | None]], settings: Settings
) -> list[tuple[Pair, Window | None]]:
    """Return as many items as the settings ask for."""
    if settings.max_images is None or settings.max_images >= len(items):
        return items
    rng = np.random.default_rng(settings.seed)
    # A smaller number selects a subset, so that its records can be used again.
    chosen = rng.permutation(len(items))[: settings.max_images]
    return [items[index] for index in sorted(chosen.tolist())]
