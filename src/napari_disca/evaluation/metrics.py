"""Scores of a map against its reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import IGNORE

#: Rows counted at once, since bincount needs 8 bytes a pixel.
_ROWS = 512


def confusion(
    predicted: NDArray[np.uint8], reference: NDArray[np.uint8], size: int
) -> NDArray[np.int64]:
    """Return the number of pixels by reference and predicted class, without 255 in the reference.

    Parameters
    ----------
    predicted, reference : (height, width) arrays of uint8
    size : int
        One more than the largest id of the reference.

    Returns
    -------
    (size, size + 1) array
        Rows are reference ids, columns predicted ids; the last column is for ids from `size` on.
    """
    table = np.zeros(size * (size + 1), dtype=np.int64)
    for top in range(0, len(reference), _ROWS):
        truth = reference[top : top + _ROWS]
        labelled = truth != IGNORE
        guess = np.minimum(predicted[top : top + _ROWS][labelled], size)
        code = truth[labelled].astype(np.int64) * (size + 1) + guess
        table += np.bincount(code, minlength=table.size)
    return table.reshape(size, size + 1)


def iou(table: NDArray[np.int64]) -> dict[int, float]:
    """Return the intersection over union (IoU), 0 to 1, of each class in the reference."""
    figures = {}
    for label in np.flatnonzero(table.sum(axis=1)).tolist():
        both = table[label, label]
        union = table[label].sum() + table[:, label].sum() - both
        figures[label] = float(both / union)
    return figures


def mean_iou(table: NDArray[np.int64]) -> float:
    """Return the mean of `iou` over the classes in the reference; NaN without known pixels."""
    figures = iou(table)
    return float(np.mean(list(figures.values()))) if figures else float("nan")


@dataclass(frozen=True, slots=True)
class Collateral:
    """Share of right pixels that became wrong, 0 to 1.

    Attributes
    ----------
    all : float or None
    inside, outside : float or None
        In the clicked tiles and outside them; None if no pixel was right there.
    """

    all: float | None
    inside: float | None
    outside: float | None


def collateral(
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    clicked: NDArray[np.bool_],
) -> Collateral:
    """Return the share of right pixels that a correction made wrong.

    Parameters
    ----------
    before, after, reference : (height, width) arrays of uint8
    clicked : (height, width) array of bool
        Pixels of the tiles that hold a click.
    """
    was_right = (before == reference) & (reference != IGNORE)
    flipped = was_right & (after != reference)

    def share(part: NDArray[np.bool_]) -> float | None:
        total = int((was_right & part).sum())
        return int((flipped & part).sum()) / total if total else None

    return Collateral(share(np.ones_like(was_right)), share(clicked), share(~clicked))


def share_right(labels: NDArray[np.uint8], clicks: Iterable[Click]) -> float | None:
    """Return the share of clicks whose pixel has the clicked id in a map; None without clicks."""
    right = [int(labels[click.pixel]) == click.label for click in clicks]
    return sum(right) / len(right) if right else None
