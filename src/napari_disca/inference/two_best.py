"""The two likeliest classes of each pixel of a tile, and their probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.core.tiling import Window

#: A class, and its probability, 0 to 1.
Ranked: TypeAlias = tuple[int, float]


@dataclass(frozen=True, slots=True, eq=False)
class TwoBest:
    """The two likeliest classes of a tile's pixels.

    Attributes
    ----------
    keep : Window
        Kept pixels of the tile, on the network's grid.
    labels : (2, height, width) array of uint8
        Class ids, the likeliest first.
    probabilities : (2, height, width) array of uint8
        From 0 to 255, which means certain.
    """

    keep: Window
    labels: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]

    @classmethod
    def of(cls, logits: Tensor, keep: Window) -> TwoBest:
        """Return the two likeliest of ``(classes, height, width)`` logits, two or more classes."""
        likely, labels = logits.float().softmax(dim=0).topk(2, dim=0)
        return cls(
            keep,
            labels.to(torch.uint8).cpu().numpy(),
            (likely * 255).round().to(torch.uint8).cpu().numpy(),
        )

    def where(self, here: NDArray[np.bool_], other: TwoBest) -> TwoBest:
        """Return these classes where a mask of the tile is true, and the other ones elsewhere."""
        return TwoBest(
            self.keep,
            np.where(here, self.labels, other.labels),
            np.where(here, self.probabilities, other.probabilities),
        )

    def at(self, row: int, col: int) -> tuple[Ranked, Ranked]:
        """Return the likeliest and the second class of a pixel of the network's grid."""
        place = row - self.keep.top, col - self.keep.left
        first, second = (
            (int(self.labels[(rank, *place)]), float(self.probabilities[(rank, *place)]) / 255)
            for rank in (0, 1)
        )
        return first, second
