"""A simulated annotator, who knows the reference and clicks on errors.

Used to place clicks during training and to measure corrections (`napari_disca.evaluation`). The
annotator clicks in the middle of the largest error: the largest connected component of wrongly
predicted pixels of one true class, at the pixel farthest from its border.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.annotations.clicks import Click

#: Value of reference pixels whose class is not known; they are neither clicked nor scored.
IGNORE = 255


def error_clicks(
    predicted: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    count: int,
    *,
    valid: NDArray[np.bool_] | None = None,
    rng: np.random.Generator | None = None,
    min_area: int = 1,
) -> list[Click]:
    """Return clicks in the middle of the largest errors, the largest error first.

    Parameters
    ----------
    predicted, reference : (height, width) array of uint8
        Class ids; `IGNORE` in the reference where it is not known.
    count : int
        How many clicks at most; each error gets one, so there may be fewer.
    valid : (height, width) array of bool, optional
        Where the image has data.
    rng : numpy.random.Generator, optional
        With it, errors are drawn with probabilities in proportion to their sizes, and the click
        is anywhere in the inner half of its error, which is more like a human's click.
    min_area : int
        Errors of fewer pixels get no click.

    Returns
    -------
    list of Click
    """
    wrong = (predicted != reference) & (reference != IGNORE)
    if valid is not None:
        wrong &= valid
    regions: list[tuple[int, int, tuple[slice, slice], NDArray[np.bool_]]] = []
    for label in np.unique(reference[wrong]):
        components, _ = ndimage.label(wrong & (reference == label))
        areas = np.bincount(components.ravel())
        areas[0] = 0
        boxes = ndimage.find_objects(components)
        largest = np.argsort(-areas, kind="stable")
        for index in largest[: max(count, 16) if rng is not None else count]:
            if areas[index] >= max(1, min_area):
                box = boxes[index - 1]
                regions.append((int(areas[index]), int(label), box, components[box] == index))
    if rng is None:
        # Ties are broken by position, so that the clicks are the same on every machine.
        regions.sort(key=lambda r: (-r[0], r[2][0].start, r[2][1].start, r[1]))
    elif regions:
        weights = np.array([area for area, *_ in regions], dtype=np.float64)
        order = rng.choice(
            len(regions), min(count, len(regions)), replace=False, p=weights / weights.sum()
        )
        regions = [regions[i] for i in order]
    return [
        Click(box[0].start + row, box[1].start + col, label)
        for _, label, box, mask in regions[:count]
        for row, col in [_middle(mask, rng)]
    ]


def _middle(mask: NDArray[np.bool_], rng: np.random.Generator | None) -> tuple[int, int]:
    """Pixel of `mask` farthest from its border; with `rng` a random one of the inner half."""
    # Padded, so that the array's edge is a border of the region, too.
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    if rng is None:
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        inner = np.flatnonzero(depth >= 0.5 * depth.max())
        row, col = np.unravel_index(int(rng.choice(inner)), depth.shape)
    return int(row), int(col)


def random_clicks(
    reference: NDArray[np.uint8], count: int, rng: np.random.Generator
) -> list[Click]:
    """Return clicks on random pixels with their true class, as in Lenczner et al. (2020)."""
    labelled = np.flatnonzero(reference != IGNORE)
    if not len(labelled):
        return []
    rows, cols = np.unravel_index(rng.choice(labelled, count), reference.shape)
    return [Click(int(r), int(c), int(reference[r, c])) for r, c in zip(rows, cols, strict=True)]
