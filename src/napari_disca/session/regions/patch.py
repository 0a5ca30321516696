"""Finds the connected region of one class around a pixel of a map, block by block."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.core.errors import AreaError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.storage.label_pyramid import NO_DATA, LabelPyramid

#: Side of the blocks in pixels.
_BLOCK = 512
_Block = tuple[int, int]


def patch_at(labels: LabelPyramid, row: int, col: int) -> Job[PixelSet]:
    """Job that returns the region of a pixel's class connected with it (4 neighbours).

    Only blocks that the region reaches are read.

    Yields
    ------
    Progress

    Raises
    ------
    AreaError
        If the pixel has no class, or the region is too ragged to be kept.
    """
    whole = Window.whole(labels.shape)
    if (row, col) not in whole:
        raise AreaError("that pixel is outside the image; choose one inside")
    value = int(labels.read(Window(row, col, 1, 1))[0, 0])
    if value == NO_DATA:
        raise AreaError("there is no map here; press Segment, or choose a place with data")
    start = (row // _BLOCK, col // _BLOCK)
    #: Blocks to read, with the pixels by which the region enters them.
    entered: dict[_Block, NDArray[np.bool_]] = {start: np.zeros(_BLOCK**2, dtype=np.bool_)}
    entered[start].reshape(_BLOCK, _BLOCK)[row % _BLOCK, col % _BLOCK] = True
    queue = deque([start])
    found: dict[_Block, NDArray[np.uint8]] = {}
    looked = 0
    while queue:
        block = queue.popleft()
        window = _window(block) & whole
        seeds = entered.pop(block).reshape(_BLOCK, _BLOCK)[: window.height, : window.width]
        before = _unpacked(found[block], window) if block in found else np.zeros_like(seeds)
        pieces, _ = ndimage.label(labels.read(window) == value)
        numbers = np.unique(pieces[seeds & ~before])
        new = np.isin(pieces, numbers[numbers > 0])
        if new.any():
            found[block] = np.packbits(before | new)
            for neighbour, edge in _across(block, new):
                if _window(neighbour) & whole and edge.any():
                    if neighbour not in entered:
                        entered[neighbour] = np.zeros(_BLOCK**2, dtype=np.bool_)
                        queue.append(neighbour)
                    entered[neighbour] |= edge.ravel()
        looked += 1
        yield Progress("finding the patch", looked, looked + len(queue))
    return PixelSet.from_masks(_strips(found, whole))


def _window(block: _Block) -> Window:
    return Window(block[0] * _BLOCK, block[1] * _BLOCK, _BLOCK, _BLOCK)


def _across(block: _Block, new: NDArray[np.bool_]) -> Iterator[tuple[_Block, NDArray[np.bool_]]]:
    """Yield the neighbours of a block, and their pixels next to given ones."""
    (row, col), (height, width) = block, new.shape
    for neighbour, theirs, ours in (
        ((row - 1, col), (-1, slice(0, width)), (0, slice(None))),
        ((row + 1, col), (0, slice(0, width)), (-1, slice(None))),
        ((row, col - 1), (slice(0, height), -1), (slice(None), 0)),
        ((row, col + 1), (slice(0, height), 0), (slice(None), -1)),
    ):
        edge = np.zeros((_BLOCK, _BLOCK), dtype=np.bool_)
        edge[theirs] = new[ours]
        yield neighbour, edge


def _unpacked(bits: NDArray[np.uint8], window: Window) -> NDArray[np.bool_]:
    count = window.height * window.width
    return np.unpackbits(bits, count=count).reshape(window.shape).view(np.bool_)


def _strips(
    found: dict[_Block, NDArray[np.uint8]], whole: Window
) -> Iterator[tuple[Window, NDArray[np.bool_]]]:
    """Yield the found pixels by rows of blocks."""
    for row in sorted({row for row, _ in found}):
        cols = [col for r, col in found if r == row]
        strip = whole & Window.from_bounds(
            row * _BLOCK, min(cols) * _BLOCK, (row + 1) * _BLOCK, (max(cols) + 1) * _BLOCK
        )
        mask = np.zeros(strip.shape, dtype=np.bool_)
        for col in cols:
            window = _window((row, col)) & whole
            mask[window.relative_to(strip).slices] = _unpacked(found[row, col], window)
        yield strip, mask
