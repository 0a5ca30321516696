"""DISCA: a few gradient passes on the clicked pixels adapt the weights to this image.

Equation 1 of Lenczner et al. (2020), "Interactive learning for semantic segmentation in Earth
observation"::

    L(theta) = mean over clicked pixels of CE(f(x; theta), class)
               + weight * || f(x; theta) - p0 ||_1

While learning, the guidance is zero, so that the network cannot read the answer from its input, and
BatchNorm's statistics are fixed. Choices that the paper leaves open are fields of the recipe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import NotFiniteError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop, tiles_with_clicks, windows_around
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.examples import Example, guided, moved, private, right, unguided
from napari_disca.recipes.learned_weights import (
    Parameters,
    convert_fixed,
    unfreeze,
    with_learned,
)
from napari_disca.recipes.optimiser import Optimiser
from napari_disca.recipes.recipe import NO_CLICKS, AdaptationResult, check_fields, setting

#: Class of pixels that the cross-entropy leaves out.
_IGNORED = -100
#: The loss is compared with that of this many passes earlier.
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Disca:
    """Adapt a network to its image with the clicks.

    Raises
    ------
    RecipeError
        If the value of a field is not allowed.
    """

    title: ClassVar[str] = "by trained weights"
    learns: ClassVar[bool] = True

    parameters: Parameters = setting(
        "batchnorm",
        "Weights that learn",
        "Which weights learn: BatchNorm scales and shifts, or all; with the decoder only, the map"
        " is redone several times faster after the first time",
    )
    optimiser: Literal["adam", "sgd"] = setting(
        "adam", "Optimiser", "Adam adapts the step of each weight; SGD has no momentum"
    )
    rate: float = setting(
        3e-4,
        "Learning rate",
        "Step size. More changes more of the map, and may spoil it; less changes less",
        limits=(0.0, 1.0),
    )
    passes: int = setting(
        20,
        "Passes",
        "Passes over the crops. More learn the clicks better and take longer; fewer change less",
        limits=(1, 1000),
    )
    tolerance: float = setting(
        1e-3,
        "Stop below",
        "Learning stops when three passes have lowered the loss by less than this share. More "
        "stops earlier; less learns longer; 0 takes all passes",
        limits=(0.0, 1.0),
    )
    batch: Literal["one", "all"] = setting(
        "all", "Crops in a step", "A step after every crop, or one step a pass for all of them"
    )
    crops: Literal["tiles", "around clicks"] = setting(
        "around clicks",
        "Learn from",
        "Learn from the whole tiles that hold clicks, or from crops around clicks",
    )
    crop_size: int = setting(
        256,
        "Size of crops",
        "Side of the crops around clicks, pixels. More holds more of the map around a click to "
        "the anchor, and takes longer; less holds less of it",
        limits=(64, 1024),
    )
    regulariser: Literal["l1", "cross-entropy", "none"] = setting(
        "l1",
        "Distance to the anchor",
        "How the distance of the map to the anchor is measured: L1 norm; cross-entropy, to the "
        "anchor's classes; or not at all",
    )
    norm_on: Literal["logits", "probabilities"] = setting(
        "logits", "L1 norm compares", "What the L1 norm compares"
    )
    reduction: Literal["mean", "sum"] = setting(
        "mean", "L1 norm is", "The L1 norm per value (the authors' code) or summed (the formula)"
    )
    weight: float = setting(
        1.0,
        "Weight of the anchor",
        "Weight of the distance to the anchor in the loss. More keeps more of the network's map; "
        "less lets clicks change more of it",
        limits=(0.0, 1e6),
    )
    start: Literal["theta0", "current"] = setting(
        "theta0",
        "Start from",
        "Start from the pretrained weights (theta0), or from the adapted ones",
    )
    anchor: Literal["theta0", "guided"] = setting(
        "theta0",
        "Anchor",
        "What the map is held to: the answer of the pretrained network without clicks (theta0), "
        "or the latest map with clicks",
    )
    near: Literal["adapted", "pretrained"] = setting(
        "adapted",
        "Clicks are read by",
        "Which network reads the clicks: the adapted one, which has learned from them already, or "
        "the pretrained one, so that the map near clicks is DISIR's",
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def continues(self) -> bool:
        """Whether it starts from, or is anchored to, an earlier adaptation."""
        return self.start == "current" or self.anchor == "guided"

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Return a job that returns a composer in which the network `near` reads the clicks."""
        if self.near == "pretrained":
            answer = yield from clicks_by_pretrained(parts)
            return answer
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return tiles with clicks, or windows around the clicks; see `Recipe.windows`."""
        if self.crops == "tiles":
            # The paper's tiles, which need not be those that the map is computed with.
            return tiles_with_clicks(clicks, Tiling(tiling.shape))
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
        """Return a job that learns in `passes` passes over the crops; see `Recipe.adapt`."""
        began = time.perf_counter()
        examples = [
            Example(crop, compute.device)
            for crop in crops
            if crop.labels.size or crop.checked_labels.size
        ]
        total = sum(len(example.labels) for example in examples)
        checked_total = sum(len(example.checked_labels) for example in examples)
        if not total:
            return AdaptationResult(network, note=NO_CLICKS)
        yield Progress("adapting", 0, self.passes)
        # Another thread may use theta0, so only a copy is moved and changed.
        initial = current if self.start == "current" and current else network
        learner = private(initial, compute)
        most = _most_together(compute)
        anchors, right_before, before = yield from self._anchors(
            network, current, examples, compute
        )
        learned = unfreeze(learner, self.parameters)
        convert_fixed(learner, compute)
        optimiser = Optimiser(self.optimiser, learned, self.rate)
        generator = torch.Generator().manual_seed(seed)
        losses: list[float] = []
        steps = 0
        for done in range(self.passes):
            # Shuffled, because with a step after each crop the last one has the most influence.
            order = torch.randperm(len(examples), generator=generator).tolist()
            loss_sum = 0.0
            optimiser.zero_grad()
            for part in _together(order, examples, 1 if self.batch == "one" else most):
                loss = torch.zeros((), device=compute.device)
                for index, logits in zip(
                    part, unguided(learner, [examples[i] for i in part], compute), strict=True
                ):
                    example = examples[index]
                    share = len(example.labels) / total
                    checked_share = len(example.checked_labels) / max(1, checked_total)
                    one = self._objective(logits, example, anchors[index])
                    checked = _checked_loss(logits, example)
                    _refuse_not_finite(one + checked, done)
                    weighted = one * share + checked * checked_share
                    loss = loss + (weighted if self.batch == "all" else one + checked)
                    loss_sum += one.item() * share + checked.item() * checked_share
                loss.backward()  # type: ignore[no-untyped-call]
                if self.batch == "one":
                    optimiser.step()
                    optimiser.zero_grad()
                    steps += 1
                # A cancelled job stops here, so the event comes after every few crops.
                yield Progress("adapting", done, self.passes)
            if self.batch == "all":
                optimiser.step()
                steps += 1
            losses.append(loss_sum)
            yield Progress("adapting", done + 1, self.passes)
            if self._converged(losses):
                break
        for parameter in learned:
            if not torch.isfinite(parameter).all():
                raise NotFiniteError(
                    f"adapting with a rate of {self.rate:g} gave weights that are not finite, so "
                    "they were not adopted; lower the rate"
                )
        adapted = with_learned(private(initial, compute), learner)
        right_after, after, last = 0, [], 0.0
        for example, anchor in zip(examples, anchors, strict=True):
            with torch.no_grad():
                (logits,) = unguided(learner, [example], compute)
                loss = self._objective(logits, example, anchor)
                checked = _checked_loss(logits, example)
            last += loss.item() * len(example.labels) / total
            last += checked.item() * len(example.checked_labels) / max(1, checked_total)
            after.append(logits.argmax(dim=1))
            right_after += right(logits, example)
            yield Progress("adapting", len(losses), len(losses))
        _refuse_not_finite(torch.tensor(last), self.passes)
        share_moved = moved(before, after, examples)
        return AdaptationResult(
            network=adapted,
            steps=steps,
            losses=(*losses, last),
            right_before=right_before,
            right_after=right_after,
            clicks=total,
            moved=share_moved,
            seconds=time.perf_counter() - began,
            note=(
                f"{right_after} of {total} clicks learned ({right_before} before), "
                f"{share_moved:.0%} of the pixels around them changed"
            ),
        )

    def _anchors(
        self,
        network: Network,
        current: Network | None,
        examples: Sequence[Example],
        compute: Compute,
    ) -> Job[tuple[list[Tensor], int, list[Tensor]]]:
        """Return a job that applies the pretrained network theta0 to the examples.

        Returns
        -------
        anchors : list of (1, classes, h, w) tensor
            p0 of each example.
        right_before : int
            Clicks whose class theta0 predicts.
        classes : list of (1, h, w) tensor
            Classes of each example by theta0.
        """
        pretrained = prepared(network, compute.device, compute.dtype)
        latest = pretrained if current is None else prepared(current, compute.device, compute.dtype)
        anchors, right_before, classes = [], 0, []
        for example in examples:
            with torch.no_grad():
                (logits,) = unguided(pretrained, [example], compute)
                right_before += right(logits, example)
                classes.append(logits.argmax(dim=1))
                if self.anchor == "guided":
                    logits = guided(latest, example, compute)
            anchors.append(logits)
            yield Progress("adapting", 0, self.passes)
        return anchors, right_before, classes

    def _converged(self, losses: Sequence[float]) -> bool:
        """Return whether the last passes have lowered the loss by less than the tolerance."""
        if self.tolerance == 0 or len(losses) <= _PATIENCE:
            return False
        return losses[-1] > (1 - self.tolerance) * losses[-1 - _PATIENCE]

    def _objective(self, logits: Tensor, example: Example, anchor: Tensor) -> Tensor:
        """Return the loss of equation 1 for one crop."""
        clicked = example.clicked(logits)
        # A crop may have checked pixels only, and the mean over no clicks is NaN.
        loss = F.cross_entropy(clicked, example.labels) if len(clicked) else logits.sum() * 0
        if self.regulariser == "none" or self.weight == 0 or not example.pixels:
            return loss
        if self.regulariser == "cross-entropy":
            hard = anchor.argmax(dim=1).masked_fill(~example.valid, _IGNORED)
            return loss + self.weight * F.cross_entropy(logits, hard, ignore_index=_IGNORED)
        now, then = logits, anchor
        if self.norm_on == "probabilities":
            now, then = now.softmax(dim=1), then.softmax(dim=1)
        distance = (now - then).abs()
        if example.pixels < example.valid.numel():
            # Not by indexing with `valid`, because its gradient is slow.
            distance = distance.where(example.valid, 0)
        total = distance.sum()
        if self.reduction == "mean":
            total = total / (example.pixels * logits.shape[1])
        return loss + self.weight * total


def _most_together(compute: Compute) -> int:
    """Return how many pixels of crops are learned at once, at most.

    Few on a CPU, which they keep busy, because a cancelled job ends after they are done.
    """
    return (16 if compute.device.type == "cuda" else 1) * 512 * 512


def _together(order: Sequence[int], examples: Sequence[Example], most: int) -> Iterator[list[int]]:
    """Yield groups of consecutive crops of one size, of at most `most` pixels."""
    part: list[int] = []
    for index in order:
        shape = examples[index].image.shape
        full = (len(part) + 1) * shape[-2] * shape[-1] > most
        if part and (full or shape != examples[part[0]].image.shape):
            yield part
            part = []
        part.append(index)
    if part:
        yield part


def _checked_loss(logits: Tensor, example: Example) -> Tensor:
    """Return the mean cross-entropy at checked pixels, which is added to equation 1.

    The user has checked that the map is right there.
    """
    if not len(example.checked_labels):
        return logits.new_zeros(())
    checked = logits[0, :, example.checked_rows, example.checked_cols].T
    return F.cross_entropy(checked, example.checked_labels)


def _refuse_not_finite(loss: Tensor, done: int) -> None:
    """Raise NotFiniteError if a loss is not finite after `done` passes."""
    if not torch.isfinite(loss).all():
        raise NotFiniteError(
            f"the loss is not finite after {done} passes, so nothing was adopted; lower the rate"
        )
