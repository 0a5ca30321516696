"""Measuring on folders of images and masks."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import DataError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.protocol import chosen_recipes, evaluate_image
from napari_disca.evaluation.raster_subset import RasterSubset, parts_worth_clicking
from napari_disca.evaluation.records import Record
from napari_disca.evaluation.settings import Settings
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster, open_raster
from napari_disca.recipes import Recipe
from napari_disca.training.folders import Pair
from napari_disca.training.masks import Coding, coding_of, read_mask


def evaluate(
    network: Network,
    pairs: Sequence[Pair],
    recipes: Sequence[str] | Mapping[str, Recipe],
    settings: Settings | None = None,
    *,
    compute: Compute | None = None,
    known: Container[tuple[str, str]] = (),
) -> Job[list[Record]]:
    """Measure recipes on folders of images and masks.

    Parameters
    ----------
    network : Network
    pairs : sequence of Pair
        See `napari_disca.training.folders.pairs`.
    recipes : sequence of str, or mapping of str to Recipe
        Names of the table, or recipes under names of your own. Without ``disir`` there is no
        "worst vs disir".
    settings : Settings, optional
    compute : Compute, optional
    known : container of (image, recipe)
        What is left out since it was measured before: names as in the records.

    Yields
    ------
    Progress, and every `Record` as soon as it is known

    Raises
    ------
    DataError
        If a mask does not fit its image or the network, or there is nothing to measure.
    """
    settings = settings or Settings()
    classes = settings.classes_of(network)
    if settings.coding == "auto":
        coding = coding_of([pair.mask for pair in pairs], classes.size)
        settings = replace(settings, coding=coding)
    items = _items(pairs, classes, settings)
    chosen = chosen_recipes(recipes)
    records: list[Record] = []
    for index, (pair, window) in enumerate(items):
        yield Progress("images", index, len(items))
        with opened(pair, window, classes, settings.coding) as (part, reference):
            left = {n: recipe for n, recipe in chosen.items() if (part.name, n) not in known}
            if left:
                records += yield from evaluate_image(
                    network, part, reference, left, settings, compute=compute
                )
    yield Progress("images", len(items), len(items))
    return records


@contextmanager
def opened(
    pair: Pair, window: Window | None, classes: ClassMap, coding: Coding
) -> Iterator[tuple[Raster, NDArray[np.uint8]]]:
    """An image, or a part of it, and its mask.

    Parameters
    ----------
    pair : Pair
    window : Window or None
        None: all of it.
    classes : ClassMap
    coding : str
        How the mask is written; see `napari_disca.training.folders.read_mask`.
    """
    with open_raster(pair.image) as raster:
        reference = read_mask(pair.mask, raster.shape, classes.size, coding=coding)
        if window is None:
            yield raster, reference
        else:
            yield RasterSubset(raster, window), reference[window.slices]


def _items(
    pairs: Sequence[Pair], classes: ClassMap, settings: Settings
) -> list[tuple[Pair, Window | None]]:
    """What is measured: whole images, or parts of them; each mask is checked on the way."""
    items: list[tuple[Pair, Window | None]] = []
    if settings.crop is None:
        items = [(pair, None) for pair in pairs]
    else:
        for pair in pairs:
            with open_raster(pair.image) as raster:
                reference = read_mask(pair.mask, raster.shape, classes.size, coding=settings.coding)
            classes.checked(reference, pair.mask.name)
            items += [(pair, w) for w in parts_worth_clicking(reference, settings.crop)]
        if not items:
            raise DataError(
                f"no {settings.crop} x {settings.crop} part of the {len(pairs)} images shows two "
                "classes; give a larger crop, or none"
            )
    if not items:
        raise DataError("there are no images to measure; check the folders")
    if settings.max_images is not None and settings.max_images < len(items):
        rng = np.random.default_rng(settings.seed)
        # Fewer are among more: what was measured of a few stays of use.
        chosen = rng.permutation(len(items))[: settings.max_images]
        items = [items[index] for index in sorted(chosen.tolist())]
    return items
