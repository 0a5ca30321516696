"""DISIR: the network reads the clicks as guidance, and its weights stay as they are.

Lenczner et al. (2020), "DISIR: Deep image segmentation with interactive refinement", ISPRS Annals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts
from napari_disca.recipes.recipe import AdaptationResult


@dataclass(frozen=True, slots=True)
class Disir:
    """Correct the map near the clicks, without learning."""

    title: ClassVar[str] = "near the clicks only"
    learns: ClassVar[bool] = False
    continues: ClassVar[bool] = False

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Return a job that returns the network's own answer to image and clicks."""
        yield from ()
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return no windows, because nothing is learned; see `Recipe.windows`."""
        return []

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
    ) -> Job[AdaptationResult]:
        """Return a job that returns the network unchanged; see `Recipe.adapt`."""
        yield from ()
        return AdaptationResult(network, note="weights unchanged")
