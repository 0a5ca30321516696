"""Verdicts of a simulated annotator, who knows the reference, on a ripple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.session.regions.changed_regions import LabelMap, Region, mask_of


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Verdicts on regions, each one gesture.

    Attributes
    ----------
    accepted, rejected : tuple of Region
    """

    accepted: tuple[Region, ...] = ()
    rejected: tuple[Region, ...] = ()

    def __len__(self) -> int:
        return len(self.accepted) + len(self.rejected)


def verdicts_on(
    regions: Sequence[Region],
    before: LabelMap,
    after: LabelMap,
    reference: NDArray[np.uint8],
    classes: ClassMap,
    count: int,
) -> Verdicts:
    """Return verdicts on the first `count` regions, by the majority of their pixels.

    A region is accepted if more of its pixels are right than before, and rejected if fewer are. If
    neither (both classes have the same mask id, a third class, unknown pixels) it is skipped.

    Parameters
    ----------
    regions : sequence of Region
        The largest first.
    before, after : LabelMap
        The compared maps.
    reference : (height, width) array of uint8
        Mask ids; 255 where unknown.
    classes : ClassMap
    count : int
        Most verdicts.
    """
    accepted: list[Region] = []
    rejected: list[Region] = []
    for region in regions:
        if len(accepted) + len(rejected) == count:
            break
        was, is_now = classes.apply(np.array([region.before, region.after], dtype=np.uint8))
        if was == is_now:
            continue
        mask = mask_of(region, before, after, region.window)
        truth = reference[region.window.slices][mask]
        truth = truth[truth != IGNORE]
        right_before, right_now = (int(np.sum(truth == label)) for label in (was, is_now))
        if right_now > right_before:
            accepted.append(region)
        elif right_before > right_now:
            rejected.append(region)
    return Verdicts(tuple(accepted), tuple(rejected))
