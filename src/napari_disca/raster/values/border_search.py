"""Search for areas without data of one colour: the frame of an image, and blocks inside it.

Orthophotos are often white or black where nothing was photographed. Roofs and clouds are white as
well, so an area counts only if it reaches the corners of the image and has sharp edges, or if its
outline has as few corners as that of missing tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.raster.base import Raster
from napari_disca.raster.values.fill import BORDER_CELLS, Border, Fill
from napari_disca.raster.values.sampling import Block, overview_block

#: Fewest pixels that count as an area: in a tiny image one pixel is a percent.
LEAST_COUNT = 12
#: With fewer different values it is a mask or a drawing, whose extreme values are data.
LEAST_LEVELS = 16
#: Least share of the pixels for an area that reaches two corners of the image, for one that reaches
#: one corner, and for blocks.
_TWO_CORNERS, _ONE_CORNER, _BLOCK = 0.01, 0.05, 0.02
#: Least share of the pixels within its outline that a frame consists of.
_SOLID = 0.97
#: Most corners of a block's outline (a rectangle has 4), and most pixels of the colour outside
#: blocks, as a share of the blocks.
_CORNERS, _ELSEWHERE = 12, 0.05
#: At a sharp edge at most this share of the neighbouring pixels is this near to the area's colour
#: (in multiples of the range of the other pixels).
_SIMILAR, _MOST_SIMILAR = 0.1, 0.25
#: Width in pixels of the belt around an area in which its edge is examined.
_BELT = 3


def bright_areas(
    raster: Raster, bands: Sequence[int], blocks: Sequence[Block], overview: list[Block]
) -> Fill:
    """Return the areas without data whose colour is not the darkest.

    Parameters
    ----------
    raster : Raster
    bands : sequence of int
        From 1.
    blocks : sequence of Block
        Sampled pixels of these bands.
    overview : list of Block
        Empty, or an overview of the whole image, which is added here if it is needed.

    Raises
    ------
    RasterError
        If the file is damaged.
    """
    return _areas(raster, bands, blocks, overview, dark=False)


def dark_areas(
    raster: Raster, bands: Sequence[int], blocks: Sequence[Block], overview: list[Block]
) -> Fill:
    """Return the areas without data of the darkest colour; parameters as of `bright_areas`."""
    return _areas(raster, bands, blocks, overview, dark=True)


def levels(values: NDArray[Any]) -> int:
    """Count the different values of a sample of an array."""
    return int(np.unique(values[:: max(1, values.size // 4096)]).size)


def _areas(
    raster: Raster,
    bands: Sequence[int],
    blocks: Sequence[Block],
    overview: list[Block],
    *,
    dark: bool,
) -> Fill:
    nothing = Fill.none(len(bands))
    pixels = np.concatenate([b.pixels[:, b.valid] for b in blocks], axis=1)
    pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
    if pixels.shape[1] == 0:
        return nothing
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    if (low == high).any():
        return nothing
    found = []
    for colour in _colours(raster, blocks, high):
        extreme = all(v in (a, b) for v, a, b in zip(colour, low, high, strict=True))
        if not extreme or bool((colour == low).all()) != dark:
            continue
        if len(blocks) > 1 and not overview:
            # Read only if the samples suggest it: an overview decodes much of a large file.
            overview.append(overview_block(raster, bands))
        block = overview[0] if len(blocks) > 1 else blocks[0]
        border = _border(raster.overview_shape, block, colour)
        if border is not None:
            found.append(border)
    return Fill(nothing.values, borders=tuple(found))


def _colours(raster: Raster, blocks: Sequence[Block], high: NDArray[Any]) -> list[NDArray[Any]]:
    """Candidates: colours of the image's corners, and the brightest if a sample has blocks."""
    colours: list[NDArray[Any]] = []
    for row in (0, -1):
        for col in (0, -1):
            edges = [
                abs(b.rows[row] - (0, raster.overview_shape[0] - 1)[row])
                + abs(b.cols[col] - (0, raster.overview_shape[1] - 1)[col])
                for b in blocks
            ]
            block = blocks[int(np.argmin(edges))]
            if block.valid[row, col] and bool(np.isfinite(block.pixels[:, row, col]).all()):
                colours.append(block.pixels[:, row, col])
    for block in blocks:
        same = _same(block, high)
        if same.mean() >= _BLOCK and (len(blocks) == 1 or _outline_corners(same) <= _CORNERS):
            colours.append(high)
            break
    return list({tuple(colour.tolist()): colour for colour in colours}.values())


def _same(block: Block, colour: NDArray[Any]) -> NDArray[np.bool_]:
    same: NDArray[np.bool_] = (block.pixels == colour[:, None, None]).all(axis=0) & block.valid
    return same


def _outline_corners(area: NDArray[np.bool_]) -> int:
    """Count the corners of outlines: points where one or three of four pixels are in the area."""
    padded = np.pad(area, 1).astype(np.int8)
    four = padded[:-1, :-1] + padded[1:, :-1] + padded[:-1, 1:] + padded[1:, 1:]
    return int((four % 2 == 1).sum())


def _border(shape: tuple[int, int], block: Block, colour: NDArray[Any]) -> Border | None:
    """Areas without data of one colour in an overview of the image; None if there are none."""
    same = _same(block, colour)
    labels, count = ndimage.label(same)
    area, at_edge = _frame(block, labels), True
    if area is None:
        area, at_edge = _blocks(block, same, labels, count), False
    if area is None or not _ends_sharply(block, area, colour):
        return None
    rows, cols = (min(BORDER_CELLS, side) for side in shape)
    cells = np.zeros((rows, cols), dtype=np.bool_)
    at = np.nonzero(area)
    cells[block.rows[at[0]] * rows // shape[0], block.cols[at[1]] * cols // shape[1]] = True
    # Grown, because an overview has only every n-th pixel.
    cells = ndimage.binary_dilation(cells, np.ones((3, 3)))
    return Border.of_cells([float(v) for v in colour], shape, cells, at_edge=at_edge)


def _frame(block: Block, labels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Pixels of the areas that reach the corners of the image; None if they are no frame."""
    corners = [int(labels[row, col]) for row in (0, -1) for col in (0, -1)]
    reached = sum(label != 0 for label in corners)
    area: NDArray[np.bool_] = np.isin(labels, [label for label in corners if label])
    share = area.sum() / max(1, int(block.valid.sum()))
    if share < (_TWO_CORNERS if reached > 1 else _ONE_CORNER) or area.sum() < LEAST_COUNT:
        return None
    return area if area.sum() >= _SOLID * ndimage.binary_fill_holes(area).sum() else None


def _blocks(
    block: Block, same: NDArray[np.bool_], labels: NDArray[Any], count: int
) -> NDArray[np.bool_] | None:
    """Pixels of areas with outlines of blocks; None if the colour also occurs elsewhere."""
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    least = max(_BLOCK * block.valid.sum() / 4, LEAST_COUNT)
    blocks = [
        k for k in range(1, count + 1)
        if sizes[k] >= least and _outline_corners(labels == k) <= _CORNERS
    ]  # fmt: skip
    area: NDArray[np.bool_] = np.isin(labels, blocks)
    whole = area.sum() >= _BLOCK * block.valid.sum()
    return area if whole and (same & ~area).sum() <= _ELSEWHERE * area.sum() else None


def _ends_sharply(block: Block, area: NDArray[np.bool_], colour: NDArray[Any]) -> bool:
    """Whether pixels beside an area differ from it; those beside a cloud are similar."""
    rest = block.valid & ~area
    pixels = block.pixels[:, rest].astype(np.float64)
    if pixels.shape[1] == 0 or max(levels(band) for band in pixels) < LEAST_LEVELS:
        return False
    low, high = np.percentile(pixels, (1, 99), axis=1)
    enclosed = ndimage.binary_fill_holes(area)
    grown = ndimage.binary_dilation(enclosed, np.ones((3, 3)), iterations=_BELT)
    # Without the nearest pixels, which overviews and lossy compression may mix with the area.
    near = ndimage.binary_dilation(enclosed, np.ones((3, 3))) if min(rest.shape) > 64 else enclosed
    belt = block.pixels[:, grown & ~near & rest].astype(np.float64)
    distance = np.abs(belt - colour.astype(np.float64)[:, None])
    like = (distance <= _SIMILAR * np.maximum(high - low, 1e-12)[:, None]).all(axis=0)
    return bool(like.size and like.mean() <= _MOST_SIMILAR)
