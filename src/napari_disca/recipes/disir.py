"""DISIR: clicks enter beside the image, the weights stay (Lenczner et al. 2020, ISPRS Annals)."""

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
    """No learning: the map is corrected near the clicks only."""

    title: ClassVar[str] = "near the clicks only"
    learns: ClassVar[bool] = False
    continues: ClassVar[bool] = False

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Compose nothing: the network as it came reads the clicks."""
        yield from ()
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return nothing, since nothing is learned."""
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
        """Give the network back as it is."""
        yield from ()
        return AdaptationResult(network, note="weights unchanged")
