"""DISCA with a strength that is chosen by cross-validation on the clicks, and may be zero.

The clicks are divided into two folds. The network learns from each fold separately, and each click
is tested with the network that has not learned from it. Let ``p`` be the class probabilities of the
pretrained network theta0 and ``p'`` those after learning, both without guidance. A held-out click
agrees if ``log p'(class) - log p(class)`` is positive, and larger at the click than at most pixels
around it that had another class before. Without the second condition, a network that has become
less certain of everything would agree with every click. The result is the mean of the two
networks::

    theta = theta0 + strength * ((theta_A + theta_B) / 2 - theta0)

Each click is in one fold, so this costs little more than learning once. The adapted network is used
at pixels that look like a click; see `napari_disca.inference.feature_similarity`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.crops import Crop, windows_around
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.examples import (
    Example,
    between,
    moved,
    right,
    unguided,
    with_clicks,
)
from napari_disca.recipes.learned_weights import Parameters
from napari_disca.recipes.recipe import NO_CLICKS, AdaptationResult, check_fields, setting

#: Number of folds; each is held out once.
_FOLDS = 2
#: More than this share of the held-out clicks must agree; half of them agree by chance. A larger
#: share costs more than it saves, because the adapted network is used only at pixels that look like
#: a click (docs/recipes.md).
_BY_CHANCE = 0.5

#: Fields that both recipes have get the same metadata.
_OF_DISCA = {f.name: f.metadata for f in fields(Disca)}
_STRENGTHS = {"half": 0.5, "full": 1.0}


@dataclass(frozen=True, slots=True)
class Automatic:
    """Adapt a network to its image as far as held-out clicks agree.

    Raises
    ------
    RecipeError
        If the value of a field is not allowed.
    """

    title: ClassVar[str] = "by weights that held-out clicks confirm"
    #: Names that fields have in journals of earlier versions.
    former_names: ClassVar[Mapping[str, str]] = {"strength": "adopt", "likeness": "similarity"}
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    adopt: Literal["automatic", "none", "half", "full"] = setting(
        "automatic",
        "Adopt what was learned",
        "How much of what was learned is adopted: full is all, half is between the pretrained "
        "weights and the learned ones, none gives the map near clicks (DISIR); automatic takes as"
        " much as makes held-out clicks better",
    )
    parameters: Parameters = field(default="batchnorm", metadata=_OF_DISCA["parameters"])
    rate: float = field(default=1e-3, metadata=_OF_DISCA["rate"])
    passes: int = field(default=6, metadata=_OF_DISCA["passes"])
    weight: float = field(default=1.0, metadata=_OF_DISCA["weight"])
    crop_size: int = field(default=256, metadata=_OF_DISCA["crop_size"])
    similarity: float = setting(
        0.85,
        "Similarity needed",
        "How much a pixel must look like a click of its new class to change: least cosine of the "
        "last features. More: fewer pixels change; less: more do; 0: all may",
        limits=(0.0, 1.0),
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def _disca(self) -> Disca:
        return Disca(
            parameters=self.parameters,
            rate=self.rate,
            passes=self.passes,
            weight=self.weight,
            crop_size=self.crop_size,
            near="pretrained",
        )

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Return a job that returns a composer; near the clicks it gives DISIR's map."""
        answer = yield from clicks_by_pretrained(parts, self.similarity)
        return answer

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return windows around the clicks; see `Recipe.windows`."""
        return windows_around(clicks, self.crop_size, tiling.shape)

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
    ) -> Job[AdaptationResult]:
        """Return a job that learns from each fold and chooses the strength; see `Recipe.adapt`."""
        began = time.perf_counter()
        clicks = sum(len(crop.labels) for crop in crops)
        if not clicks:
            return AdaptationResult(network, note=NO_CLICKS)
        if self.adopt == "none":
            return _unchanged(network, clicks, began, "as you chose")
        examples = [Example(crop, compute.device) for crop in crops]
        before = yield from _logits(network, examples, compute, Progress("adapting", 0, 1))
        folds, rounds = _folds(crops), min(_FOLDS, clicks)
        results: list[AdaptationResult] = []
        adapted = network
        agreed: list[bool] = []
        for fold in range(rounds):
            own = [with_clicks(crop, of == fold) for crop, of in zip(crops, folds, strict=True)]
            job = self._disca().adapt(network, own, compute=compute, seed=seed)
            learned = yield from _as_share(job, fold, rounds)
            assert learned.network is not None
            results.append(learned)
            # The mean of the folds up to this one.
            adapted = between(adapted, learned.network, 1 / (fold + 1)) if fold else learned.network
            tested = [i for i, of in enumerate(folds) if (of != fold).any()]
            some = [examples[i] for i in tested]
            after = yield from _logits(learned.network, some, compute, _TESTING)
            for i, logits in zip(tested, after, strict=True):
                agreed += _agrees(before[i], logits, examples[i])[folds[i] != fold].tolist()
        if self.adopt == "automatic":
            strength, why = _strength(agreed)
        else:
            strength, why = _STRENGTHS[self.adopt], "as you chose"
        if strength == 0.0:
            return _unchanged(network, clicks, began, why)
        if strength < 1.0:
            adapted = between(network, adapted, strength)
        after = yield from _logits(adapted, examples, compute, _TESTING)
        share = moved(_classes(before), _classes(after), examples)
        right_before, right_after = (
            sum(right(logits, example) for logits, example in zip(answers, examples, strict=True))
            for answers in (before, after)
        )
        how = "fully" if strength == 1.0 else "half-way"
        return AdaptationResult(
            adapted,
            steps=sum(learned.steps for learned in results),
            losses=tuple(loss for learned in results for loss in learned.losses),
            right_before=right_before,
            right_after=right_after,
            clicks=clicks,
            moved=share,
            seconds=time.perf_counter() - began,
            note=(
                f"adapted {how}: {why}; {right_after} of {clicks} clicks learned "
                f"({right_before} before), {share:.0%} of the pixels around them changed"
            ),
        )


#: Event while held-out clicks are tested.
_TESTING = Progress("testing held-out clicks", 0, 1)


def _unchanged(network: Network, clicks: int, began: float, why: str) -> AdaptationResult:
    return AdaptationResult(
        network,
        clicks=clicks,
        seconds=time.perf_counter() - began,
        note=f"not adapted: {why}; the map is corrected near the clicks only",
    )


def _strength(agreed: Sequence[bool]) -> tuple[float, str]:
    """Return the strength, 0 to 1, and the reason in a few words.

    Parameters
    ----------
    agreed : sequence of bool
        For each held-out click.
    """
    if not agreed:
        return 0.5, "one click cannot be held out"
    share = sum(agreed) / len(agreed)
    agree = f"{sum(agreed)} of {len(agreed)} held-out clicks agree"
    if share <= _BY_CHANCE:
        return 0.0, f"the errors look local ({agree})"
    return 1.0, agree


def _agrees(before: Tensor, after: Tensor, example: Example) -> NDArray[np.bool_]:
    """Return, for each click of an example, whether it agrees with what was learned.

    Parameters
    ----------
    before, after : (1, classes, h, w) tensors
        Logits.
    example : Example

    Returns
    -------
    (clicks,) array of bool
    """
    gained = (after.log_softmax(dim=1) - before.log_softmax(dim=1))[0]
    best = before[0].argmax(dim=0)
    agrees = []
    for row, col, label in zip(example.rows, example.cols, example.labels, strict=True):
        # Pixels that had the class before are left out: they have nothing to gain.
        others = example.valid & (best != label)
        usual = float(gained[label][others].median()) if others.any() else 0.0
        agrees.append(float(gained[label, row, col]) > max(0.0, usual))
    return np.array(agrees, dtype=np.bool_)


def _as_share(job: Job[AdaptationResult], done: int, total: int) -> Job[AdaptationResult]:
    """Run one of several similar jobs, and yield the progress of all of them.

    Parameters
    ----------
    job : Job
    done, total : int
        Number of jobs before this one, and of all.
    """
    with closing(job):
        while True:
            try:
                step = next(job)
            except StopIteration as end:
                result: AdaptationResult = end.value
                return result
            if isinstance(step, Progress):
                step = Progress(step.stage, done * step.total + step.done, total * step.total)
            yield step


def _logits(
    network: Network, examples: Sequence[Example], compute: Compute, progress: Progress
) -> Job[list[Tensor]]:
    """Return a job that returns the logits of each example without guidance."""
    ready = prepared(network, compute.device, compute.dtype)
    answers: list[Tensor] = []
    for example in examples:
        with torch.inference_mode():
            answers += unguided(ready, [example], compute)
        yield progress
    return answers


def _classes(logits: Sequence[Tensor]) -> list[Tensor]:
    return [of_one.argmax(dim=1) for of_one in logits]


def _folds(crops: Sequence[Crop]) -> list[NDArray[np.intp]]:
    """Return the fold of every click, for each crop.

    Clicks are divided class by class, so that each fold has all classes if possible, and in the
    order of their positions, so that the folds do not depend on the order of clicking.
    """
    places = [
        (int(label), crop.window.top + int(row), crop.window.left + int(col), i, j)
        for i, crop in enumerate(crops)
        for j, (label, row, col) in enumerate(zip(crop.labels, crop.rows, crop.cols, strict=True))
    ]
    folds = [np.zeros(len(crop.labels), dtype=np.intp) for crop in crops]
    for turn, (*_, i, j) in enumerate(sorted(places)):
        folds[i][j] = turn % _FOLDS
    return folds
