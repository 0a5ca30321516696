"""Folders of images and masks, and reading them as a network is trained."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Card
from napari_disca.raster import Raster, open_raster
from napari_disca.storage.preallocated import PreallocatedFile
from napari_disca.training.loop import LabelledImage
from napari_disca.training.masks import POTSDAM_CLASSES, Coding, coding_of, read_mask

__all__ = [
    "POTSDAM_CLASSES",
    "Coding",
    "Pair",
    "coding_of",
    "hold_out",
    "pairs",
    "read_mask",
    "statistics",
    "training_set",
]

_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".bmp")
#: Names of the two sub-folders that a single folder may have.
_CONVENTIONS = (("imgs", "gts"), ("images", "masks"))
_BLOCK = 1024
#: Pixels of an image that its band statistics look at, at most.
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its mask: two files of one name."""

    name: str
    image: Path
    mask: Path


def pairs(images: str | Path, masks: str | Path | None = None) -> list[Pair]:
    """Images and masks of equal names, whatever their suffixes, sorted by name.

    Images without a mask (test sets) and masks without an image are left out.

    Parameters
    ----------
    images : str or path
        Folder of the images; or, without `masks`, a folder that holds ``imgs/`` and ``gts/`` (the
        paper's convention) or ``images/`` and ``masks/``.
    masks : str or path, optional
        Folder of the masks.

    Raises
    ------
    DataError
        If a folder is missing, holds two files of one name, or no pair is found.
    """
    images = Path(images)
    if masks is None:
        for names in _CONVENTIONS:
            if all((images / name).is_dir() for name in names):
                return pairs(images / names[0], images / names[1])
        raise DataError(
            f"{images} has no folders imgs and gts, nor images and masks; name the folder of the "
            "masks"
        )
    masks = Path(masks)
    pictures, references = _by_stem(images), _by_stem(masks)
    common = sorted(pictures.keys() & references.keys())
    if not common:
        raise DataError(
            f"none of the {len(pictures)} images in {images} has a mask of the same name among "
            f"the {len(references)} in {masks}; equal names belong together (a.jpg, a.png)"
        )
    return [Pair(name, pictures[name], references[name]) for name in common]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in _SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DataError(
                f"{folder} holds both {found[path.stem].name} and {path.name}; keep one of them"
            )
        found[path.stem] = path
    return found


def hold_out(found: Iterable[Pair], patterns: Sequence[str]) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into those to learn from and those to measure on.

    Parameters
    ----------
    found : iterable of Pair
    patterns : sequence of str
        A pair whose name contains one of them is held out. Hold out whole areas: parts of one
        area adjoin.

    Returns
    -------
    two lists of Pair
        Kept, and held out.

    Raises
    ------
    DataError
        If a pattern fits no name: most likely a slip of the pen.
    """
    found = list(found)
    for pattern in patterns:
        if not pattern or not any(pattern in pair.name for pair in found):
            raise DataError(f"no image's name contains {pattern!r}, so it cannot be held out")
    held = [pair for pair in found if any(pattern in pair.name for pattern in patterns)]
    return [pair for pair in found if pair not in held], held


def statistics(
    found: Sequence[Pair],
    card: Card,
    *,
    bands: Sequence[int] | None = None,
    factor: float | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each band, scaled as the card says.

    Every image counts the same, through up to 16 windows of 256 pixels spread over it.

    Parameters
    ----------
    found : sequence of Pair
    card : Card
        Its own mean and deviation are not used.
    bands, factor : optional
        See `NetworkView`.

    Raises
    ------
    DataError
        If no image has data.
    """
    moments: list[NDArray[np.float64]] = []
    for pair in found:
        with open_raster(pair.image) as raster:
            inputs = NetworkView(raster, card, bands=bands, factor=factor)
            tiles = list(Tiling(inputs.shape, 256, 0))
            step = max(1, -(-len(tiles) * 256 * 256 // _SAMPLE))
            pieces = [inputs.read(tile.read)[:, inputs.valid(tile.read)] for tile in tiles[::step]]
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
    coding: Coding = "auto",
    memory: int = 2 << 30,
) -> Job[tuple[Card, list[LabelledImage]]]:
    """Read images and masks as `napari_disca.training.loop.train` wants them.

    Images are scaled as the card says and resampled to its ground resolution where they have
    one; pixels without data become the mean, and are not known in the labels.

    Parameters
    ----------
    found : sequence of Pair
    card : Card
        Its mean and standard deviation are replaced by `statistics`.
    bands : sequence of int, optional
        1-based; by default those the card names.
    factor : float, optional
        Network pixels per image pixel; by default from the ground resolutions.
    coding : str
        See `read_mask`.
    memory : int
        Bytes of pixels held in memory; what is beyond goes to temporary files, which vanish with
        the arrays.

    Yields
    ------
    Progress

    Returns
    -------
    Card
        With mean and standard deviation.
    list of LabelledImage

    Raises
    ------
    DataError, RasterError, CardError
        If an image and its mask do not fit each other or the card.
    """
    if not found:
        raise DataError("there are no images to learn from; check the folders")
    if coding == "auto":
        coding = coding_of([pair.mask for pair in found], len(card.classes))
    yield Progress("reading images", 0, len(found))
    mean, std = statistics(found, card, bands=bands, factor=factor)
    card = replace(card, mean=mean, std=std)
    store = _Store(memory)
    images = []
    for done, pair in enumerate(found, start=1):
        with open_raster(pair.image) as raster:
            mask = read_mask(pair.mask, raster.shape, len(card.classes), coding=coding)
            _refuse_unknown(mask, pair, card)
            inputs = NetworkView(raster, card, bands=bands, factor=factor)
            images.append(_labelled(raster, inputs, mask, store))
        yield Progress("reading images", done, len(found))
    return card, images


def _refuse_unknown(mask: NDArray[np.uint8], pair: Pair, card: Card) -> None:
    largest = max((int(row[row != IGNORE].max(initial=0)) for row in mask), default=0)
    if largest >= len(card.classes):
        raise DataError(
            f"mask {pair.mask.name} holds class {largest}, but the card's classes are 0 to "
            f"{len(card.classes) - 1} and {IGNORE} (ignore); name more classes or change the masks"
        )


def _labelled(
    raster: Raster, inputs: NetworkView, mask: NDArray[np.uint8], store: _Store
) -> LabelledImage:
    """One image on the network's grid, block by block."""
    height, width = inputs.shape
    image = store.empty((height, width, len(inputs.bands)))
    labels = store.empty((height, width))
    # The image pixel under the centre of each network pixel.
    rows = ((np.arange(height) + 0.5) * raster.shape[0] / height).astype(np.intp)
    cols = ((np.arange(width) + 0.5) * raster.shape[1] / width).astype(np.intp)
    for top in range(0, height, _BLOCK):
        for left in range(0, width, _BLOCK):
            window = Window(top, left, min(_BLOCK, height - top), min(_BLOCK, width - left))
            pixels = np.rint(inputs.read(window) * 255)
            image[window.slices] = np.clip(pixels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
            in_rows, in_cols = window.slices
            known = mask[np.ix_(rows[in_rows], cols[in_cols])]
            labels[window.slices] = np.where(inputs.valid(window), known, IGNORE)
    return LabelledImage(image, labels)


class _Store:
    """Gives arrays in memory until it is used up, then in temporary files."""

    def __init__(self, memory: int) -> None:
        self._left = memory

    def empty(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        size = int(np.prod(shape))
        if size <= self._left:
            self._left -= size
            return np.empty(shape, dtype=np.uint8)
        try:
            with tempfile.NamedTemporaryFile(prefix="napari-disca-", delete=False) as file:
                path = Path(file.name)
            PreallocatedFile(path, size, whole=True)
            array = np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
        except OSError as error:
            raise DataError(
                f"no room for {size / 1e9:.1f} GB of training images in {tempfile.gettempdir()}: "
                f"{error.strerror or error}"
            ) from error
        weakref.finalize(array, path.unlink, missing_ok=True)
        return array
