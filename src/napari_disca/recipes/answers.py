"""How the answer of a run is composed from what its recipe has learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from torch import Tensor

from napari_disca.core.events import Job
from napari_disca.inference.composition import (
    AnswerComposer,
    ClicksByPretrained,
    NetworkAnswer,
    Source,
)
from napari_disca.inference.crops import Crop
from napari_disca.inference.feature_similarity import FeatureSimilarity, learned_similarity
from napari_disca.networks.compute import Compute

T = TypeVar("T")


class Once(Protocol):
    """Runs a job once for a run of a recipe, and remembers its result."""

    def __call__(self, name: str, job: Callable[[Compute], Job[Any]]) -> Job[Any]:
        """Job that returns the result.

        Parameters
        ----------
        name : str
            What the result is called, within the recipe.
        job : callable
            ``job(compute)``; asked again for the CPU where the device's memory is full.
        """


@dataclass(frozen=True, slots=True, eq=False)
class AnswerParts:
    """What `Recipe.composer` may use.

    Attributes
    ----------
    pretrained, adapted : Source
        The network as it came, and as the run has left it.
    crops : callable
        ``crops()`` is a job that cuts the run's clicks again, as `Recipe.adapt` got them.
    once : Once
        For what takes time; small results only.
    tensors : mapping of str to Tensor
        What the recipe has handed back as `AdaptationResult.tensors`.
    """

    pretrained: Source
    adapted: Source
    crops: Callable[[], Job[Sequence[Crop]]]
    once: Once
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


def composer_of(recipe: object, parts: AnswerParts) -> Job[AnswerComposer]:
    """Job that returns how the answer of a recipe's run is composed.

    A recipe without `composer` has the adapted network read the image and the clicks.
    """
    own = getattr(recipe, "composer", None)
    if own is None:
        return NetworkAnswer(parts.adapted)
    answer: AnswerComposer = yield from own(parts)
    return answer


def clicks_by_pretrained(parts: AnswerParts, least: float = 0.0) -> Job[AnswerComposer]:
    """Job: near the clicks the map stays what the pretrained network makes of them.

    Parameters
    ----------
    parts : AnswerParts
    least : float
        Least likeness to a click for what was learned to count at a pixel, a cosine; 0:
        everywhere. See `napari_disca.inference.feature_similarity`.
    """
    if least == 0:
        return ClicksByPretrained(parts.adapted, parts.pretrained)

    def look(compute: Compute) -> Job[FeatureSimilarity]:
        crops = yield from parts.crops()
        seen = yield from learned_similarity(parts.adapted.network, crops, least, compute)
        return seen

    similarity = yield from parts.once("similarity", look)
    return ClicksByPretrained(parts.adapted, parts.pretrained, similarity)
