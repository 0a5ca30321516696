"""Reads folders of images and masks for a training."""

from __future__ import annotations

import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.core.events import Job, Note, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Card, architecture_of
from napari_disca.raster import Raster, open_raster
from napari_disca.raster.values.value_scale import FillChoice
from napari_disca.storage.preallocated import PreallocatedFile
from napari_disca.training.mask_codings import Coding
from napari_disca.training.mask_files import Grid
from napari_disca.training.masks import MaskReader
from napari_disca.training.pairing import Pair
from napari_disca.training.plan import LabelledImage

_BLOCK = 1024
#: Most pixels of an image for its band statistics.
_SAMPLE = 1 << 20


def statistics(
    found: Sequence[Pair],
    card: Card,
    *,
    bands: Sequence[int] | None = None,
    factor: float | None = None,
    find_fill: FillChoice = True,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each band, scaled as the card says.

    All images have the same weight, with up to 16 windows of 256 pixels spread over each.

    Parameters
    ----------
    found : sequence of Pair
    card : Card
        The card, whose own mean and deviation are not used.
    bands, factor, find_fill : optional
        See `NetworkView`.

    Raises
    ------
    DataError
        If no image has data.
    """
    moments: list[NDArray[np.float64]] = []
    for pair in found:
        with open_raster(pair.image) as raster:
            view = NetworkView(raster, card, bands=bands, factor=factor, find_fill=find_fill)
            tiles = list(Tiling(view.shape, 256, 0))
            step = max(1, -(-len(tiles) * 256 * 256 // _SAMPLE))
            pieces = [view.read(tile.read)[:, view.valid(tile.read)] for tile in tiles[::step]]
        values = np.concatenate(pieces, axis=1).astype(np.float64)
        if values.shape[1]:
            moments.append(np.stack([values.mean(axis=1), (values**2).mean(axis=1)]))
    if not moments:
        raise DataError("not one image has data; check the images folder")
    mean, square = np.mean(moments, axis=0)
    std = np.sqrt(np.maximum(square - mean**2, 1e-6))
    return tuple(round(float(v), 4) for v in mean), tuple(round(float(v), 4) for v in std)


def training_set(
    found: Sequence[Pair],
    card: Card,
    *,
    bands: Sequence[int] | None = None,
    factor: float | None = None,
    find_fill: FillChoice = True,
    coding: Coding = "auto",
    memory: int = 2 << 30,
) -> Job[tuple[Card, list[LabelledImage]]]:
    """Job that reads images and masks for `napari_disca.training.loop.train`.

    Images are scaled as the card says and resampled to its ground resolution if they have one;
    pixels without data become the mean, and 255 in the labels.

    Parameters
    ----------
    found : sequence of Pair
    card : Card
        The card; its mean and deviation become those of its architecture, or else `statistics`.
    bands, factor, find_fill : optional
        See `NetworkView`.
    coding : str
        See `MaskReader`.
    memory : int
        Most bytes of pixels in memory; the rest is in temporary files, removed with the arrays.

    Yields
    ------
    Progress, and at the end a `Note` that says how images and masks were read

    Returns
    -------
    Card
        The card with mean and standard deviation.
    list of LabelledImage

    Raises
    ------
    DataError, RasterError, CardError
        If an image and its mask do not fit each other or the card.
    """
    if not found:
        raise DataError("there are no images to learn from; check the folders")
    masks = MaskReader([pair.mask for pair in found], card.classes, coding)
    yield Progress("reading images", 0, len(found))
    card = _with_statistics(card, found, bands, factor, find_fill)
    store, notes = _Store(memory), Counter[str]()
    images = []
    for done, pair in enumerate(found, start=1):
        with open_raster(pair.image) as raster:
            mask = masks.read(pair.mask, Grid.of(raster))
            _refuse_unknown(mask, pair, card)
            view = NetworkView(raster, card, bands=bands, factor=factor, find_fill=find_fill)
            images.append(_labelled(pair.name, raster, view, mask, store))
            notes.update([*raster.notes, *filter(None, [view.scale.fill.note])])
        yield Progress("reading images", done, len(found))
    yield from map(Note, reading_notes(images, masks, [c.name for c in card.classes], notes))
    return card, images


def _with_statistics(
    card: Card,
    found: Sequence[Pair],
    bands: Sequence[int] | None,
    factor: float | None,
    find_fill: FillChoice,
) -> Card:
    """Return the card with the statistics of its architecture, or else of the images."""
    fixed = architecture_of(card).statistics
    if fixed is None:
        mean, std = statistics(found, card, bands=bands, factor=factor, find_fill=find_fill)
    else:
        mean, std = ((round(value, 6),) * len(card.bands) for value in fixed)
    return replace(card, mean=mean, std=std)


def reading_notes(
    images: Sequence[LabelledImage],
    masks: MaskReader,
    classes: Sequence[str],
    notes: Mapping[str, int],
) -> list[str]:
    """Return lines that say how images and masks were read.

    Parameters
    ----------
    images : sequence of LabelledImage
    masks : MaskReader
        The reader of the masks.
    classes : sequence of str
        Names of the classes.
    notes : mapping of str to int
        Decisions in reading images, and the number of images for each.
    """
    counts = np.zeros(256, dtype=np.int64)
    for item in images:
        for row in item.labels:
            counts += np.bincount(row, minlength=256)
    pixels = int(counts.sum())
    return [
        f"images: {len(images)} of {pixels / 1e6:.3g} megapixels, "
        f"{sizes_text([item.labels.shape for item in images])}{notes_text(notes)}",
        f"masks: {masks.describe()}",
        f"classes: {class_shares_text(counts, classes)}",
    ]


def notes_text(notes: Mapping[str, int]) -> str:
    """Return the decisions in reading images, each with its number of images, as text."""
    return "".join(f"; in {count}: {note}" for note, count in notes.items())


def sizes_text(shapes: Iterable[tuple[int, ...]]) -> str:
    """Return the sizes of images, from the smallest to the largest, as text."""
    ordered = sorted(shapes, key=lambda shape: shape[0] * shape[1])
    ends = [f"{height} x {width}" for height, width in (ordered[0], ordered[-1])]
    return f"{ends[0]} pixels" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]} pixels"


def class_shares_text(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return the share of each class and of unknown pixels as text, from the pixels of each id."""
    total = max(1, int(counts.sum()))
    parts = [f"{i} {name} {_percent(counts[i], total)}" for i, name in enumerate(classes)]
    if counts[IGNORE]:
        parts.append(f"not known {_percent(counts[IGNORE], total)}")
    missing = [name for i, name in enumerate(classes) if not counts[i]]
    nothing = f"; there is not one pixel of {', '.join(missing)}" if missing else ""
    return ", ".join(parts) + nothing


def _percent(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if count else "0 %"


def _refuse_unknown(mask: NDArray[np.uint8], pair: Pair, card: Card) -> None:
    largest = max((int(row[row != IGNORE].max(initial=0)) for row in mask), default=0)
    if largest >= len(card.classes):
        raise DataError(
            f"mask {pair.mask.name} holds class {largest}, but the card's classes are 0 to "
            f"{len(card.classes) - 1} and {IGNORE} (ignore); name more classes, change the masks, "
            "or give the classes the grey levels of the masks as colours"
        )


def _labelled(
    name: str, raster: Raster, network_view: NetworkView, mask: NDArray[np.uint8], store: _Store
) -> LabelledImage:
    """Return one image with its labels on the network's grid, read block by block."""
    height, width = network_view.shape
    image: NDArray[Any] = store.empty((height, width, len(network_view.bands)))
    labels = store.empty((height, width))
    # The image pixel under the centre of each network pixel.
    rows = ((np.arange(height) + 0.5) * raster.shape[0] / height).astype(np.intp)
    cols = ((np.arange(width) + 0.5) * raster.shape[1] / width).astype(np.intp)
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            window = Window(top, left, min(_BLOCK, height - top), min(_BLOCK, width - left))
            pixels = np.rint(network_view.read(window) * 255).transpose(1, 2, 0)
            if image.dtype == np.uint8 and (pixels.min() < 0 or pixels.max() > 255):
                # Values outside 0 ... 1, which the network also reads, need 16 bits.
                narrow, image = image, store.empty(image.shape, np.int16)
                image[:top] = narrow[:top]
                image[top : window.bottom, :left] = narrow[top : window.bottom, :left]
                store.free(narrow)
            image[window.slices] = pixels
            in_rows, in_cols = window.slices
            reference = mask[np.ix_(rows[in_rows], cols[in_cols])]
            labels[window.slices] = np.where(network_view.valid(window), reference, IGNORE)
    return LabelledImage(image, labels, name=name)


class _Store:
    """Makes arrays in memory up to a limit, then in temporary files."""

    def __init__(self, memory: int) -> None:
        self._left = memory

    def empty(
        self, shape: tuple[int, ...], dtype: type[np.uint8] | type[np.int16] = np.uint8
    ) -> NDArray[Any]:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size <= self._left:
            self._left -= size
            return np.empty(shape, dtype=dtype)
        try:
            with tempfile.NamedTemporaryFile(prefix="napari-disca-", delete=False) as file:
                path = Path(file.name)
            PreallocatedFile(path, size, whole=True)
            array = np.memmap(path, dtype=dtype, mode="r+", shape=shape)
        except OSError as error:
            raise DataError(
                f"no disk space for {size / 1e9:.1f} GB of training images "
                f"in {tempfile.gettempdir()}: {error.strerror or error}"
            ) from error
        weakref.finalize(array, path.unlink, missing_ok=True)
        return array

    def free(self, array: NDArray[Any]) -> None:
        """Free the memory of an array that is not used any more."""
        if not isinstance(array, np.memmap):
            self._left += array.nbytes
