"""How a map is composed from what a recipe has learned: `composer_of`."""

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
from napari_disca.inference.correction import Correction
from napari_disca.inference.crops import Crop
from napari_disca.inference.feature_similarity import FeatureSimilarity, learned_similarity
from napari_disca.networks.compute import Compute

T = TypeVar("T")


class Once(Protocol):
    """Runs a job at most once for an adaptation, and remembers its result."""

    def __call__(self, name: str, job: Callable[[Compute], Job[Any]]) -> Job[Any]:
        """Return a job that returns the result.

        Parameters
        ----------
        name : str
            Name of the result, unique within the recipe.
        job : callable
            ``job(compute)`` returns the job; it is called again with the CPU if the device's
            memory is full.
        """


@dataclass(frozen=True, slots=True, eq=False)
class AnswerParts:
    """The parts from which `Recipe.composer` composes an answer.

    Attributes
    ----------
    pretrained, adapted : Source
        The pretrained and the adapted network.
    crops : callable
        ``crops()`` returns a job that returns the crops that `Recipe.adapt` was given.
    once : Once
        For computations that take time and have small results.
    tensors : mapping of str to Tensor
        `AdaptationResult.tensors` of the adaptation.
    correction : Correction or None
        `AdaptationResult.correction` of the adaptation.
    """

    pretrained: Source
    adapted: Source
    crops: Callable[[], Job[Sequence[Crop]]]
    once: Once
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    correction: Correction | None = None


def composer_of(recipe: object, parts: AnswerParts) -> Job[AnswerComposer]:
    """Return a job that returns how the answer of an adaptation is composed.

    Parameters
    ----------
    recipe : Recipe
        If it has no `composer`, the answer is that of the adapted network, which reads the image
        and the clicks.
    parts : AnswerParts

    Returns
    -------
    Job of AnswerComposer
    """
    own = getattr(recipe, "composer", None)
    if own is None:
        return NetworkAnswer(parts.adapted)
    answer: AnswerComposer = yield from own(parts)
    return answer


def clicks_by_pretrained(parts: AnswerParts, least: float = 0.0) -> Job[AnswerComposer]:
    """Return a job that returns a composer with DISIR's map near the clicks.

    The pretrained network reads the clicks; the adapted one is used for the rest of the image.

    Parameters
    ----------
    parts : AnswerParts
    least : float
        The adapted network is used only at pixels whose features have at least this cosine
        similarity to those of a click; 0 uses it everywhere. See
        `napari_disca.inference.feature_similarity`.

    Returns
    -------
    Job of AnswerComposer
    """
    if least == 0:
        return ClicksByPretrained(parts.adapted, parts.pretrained)

    def similarity_of(compute: Compute) -> Job[FeatureSimilarity]:
        crops = yield from parts.crops()
        found = yield from learned_similarity(parts.adapted.network, crops, least, compute)
        return found

    similarity = yield from parts.once("similarity", similarity_of)
    return ClicksByPretrained(parts.adapted, parts.pretrained, similarity)
