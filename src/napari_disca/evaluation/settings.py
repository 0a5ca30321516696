"""Settings of a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_disca.core.errors import DataError
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.records import Mode
from napari_disca.inference.reading import Reading
from napari_disca.networks import Network
from napari_disca.raster import Scaling
from napari_disca.raster.values.value_scale import FillChoice
from napari_disca.recipes import checked_seed
from napari_disca.training.mask_codings import Coding


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a measurement.

    Parameters
    ----------
    clicks : int
        Most clicks on an image.
    mode : {"sequential", "one-shot"}
        Sequential: the annotator sees the new map before each click. One-shot: all clicks are
        placed on the initial map, one in each of the largest errors, and the recipe corrects once.
    verdicts : int
        Number of regions that the annotator accepts or rejects after each adaptation, the largest
        first, each by the majority of its pixels.
    factor : float or None
        Network pixels per image pixel; None takes it from the ground resolutions. Clicks and
        scores are on the image's own grid.
    class_map : ClassMap, mapping of int to int, or None
        Mask id of each network class; None if they are equal.
    coding : str
        Coding of the masks; see `napari_disca.training.masks.MaskReader`.
    crop : int or None
        Cut images into parts of this side and measure each that shows two classes.
    max_images : int or None
        Most images or parts, drawn with `seed`; a smaller number selects a subset of a larger one.
    bands : sequence of int or None
        1-based image bands; None takes those that the card names.
    scaling : Scaling or None
        How pixel values are scaled; None scales as the card says.
    find_fill : bool or tuple of float
        Whether to find and leave out undeclared fill values; or these values.
    seed : int
    """

    clicks: int = 10
    mode: Mode = "sequential"
    verdicts: int = 0
    factor: float | None = None
    class_map: ClassMap | Mapping[int, int] | None = None
    coding: Coding = "auto"
    crop: int | None = None
    max_images: int | None = None
    bands: Sequence[int] | None = None
    scaling: Scaling | None = None
    find_fill: FillChoice = True
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mode not in ("sequential", "one-shot"):
            raise DataError(f"mode {self.mode!r} is unknown; use 'sequential' or 'one-shot'")
        checked_seed(self.seed)
        for name, least in (("clicks", 1), ("verdicts", 0), ("crop", 64), ("max_images", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise DataError(f"{name} = {value} is too small; give {least} or more")

    @property
    def reading(self) -> Reading:
        """Return how images are read."""
        bands = None if self.bands is None else tuple(self.bands)
        return Reading(bands, self.factor, self.scaling, self.find_fill)

    def classes_of(self, network: Network) -> ClassMap:
        """Return the map from a network's classes to mask ids."""
        if isinstance(self.class_map, ClassMap):
            return self.class_map
        return ClassMap.of(self.class_map, network.card.classes)
