"""DISCA: a few gradient passes on the clicked pixels adapt the weights to this image.

Equation 1 of Lenczner et al. (2020), "Interactive learning for semantic segmentation in Earth
observation"::

    L(theta) = mean over clicked pixels of CE(f(x; theta), class)
               + weight * || f(x; theta) - p0 ||_1

with the guidance set to zero while learning, so that the network cannot read the answer from
its input, and with BatchNorm's statistics fixed. What the paper leaves open are fields here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import NotFiniteError, RecipeError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop, tiles_with_clicks, windows_around
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.examples import Example, guided, moved, private, right, unguided
from napari_disca.recipes.optimiser import Optimiser
from napari_disca.recipes.recipe import NO_CLICKS, AdaptationResult, check_fields, setting

#: Which weights learn.
Parameters: TypeAlias = Literal["batchnorm", "all", "decoder", "decoder batchnorm"]

#: Class of pixels that do not count.
_NOTHING = -100
#: Passes that are compared to tell whether there is anything left to learn.
_PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Disca:
    """Adapt a network to its image with the clicks.

    Raises
    ------
    RecipeError
        If a field is impossible.
    """

    title: ClassVar[str] = "by trained weights"
    learns: ClassVar[bool] = True
    #: What is learned counts everywhere.
    likeness: ClassVar[float] = 0.0

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
        """Whether earlier adaptations are its start or its anchor."""
        return self.start == "current" or self.anchor == "guided"

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Whichever network `near` names reads the clicks; see `Recipe.composer`."""
        if self.near == "pretrained":
            answer = yield from clicks_by_pretrained(parts)
            return answer
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Tiles that hold clicks, or smaller windows around them."""
        if self.crops == "tiles":
            # The paper's, whatever the map is drawn with.
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
        """Take `passes` passes over the crops; see `Recipe.adapt`."""
        began = time.perf_counter()
        examples = [
            Example(crop, compute.device)
            for crop in crops
            if crop.labels.size or crop.kept_labels.size
        ]
        total = sum(len(example.labels) for example in examples)
        kept = sum(len(example.kept_labels) for example in examples)
        if not total:
            return AdaptationResult(network, note=NO_CLICKS)
        yield Progress("adapting", 0, self.passes)
        # theta0 may be used by another thread: whatever is moved or changed is a copy.
        began_with = current if self.start == "current" and current else network
        learner = private(began_with, compute)
        most = _most_together(compute)
        anchors, right_before, before = yield from self._anchors(
            network, current, examples, compute
        )
        learned = self._unfreeze(learner)
        _convert_frozen(learner, compute)
        optimiser = Optimiser(self.optimiser, learned, self.rate)
        generator = torch.Generator().manual_seed(seed)
        losses: list[float] = []
        steps = 0
        for done in range(self.passes):
            # The order matters only where every crop is a step; shuffled so that no click is
            # always the last word.
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
                    sure = len(example.kept_labels) / max(1, kept)
                    one = self._objective(logits, example, anchors[index])
                    held = _kept_loss(logits, example)
                    _refuse_not_finite(one + held, done)
                    step = one * share + held * sure if self.batch == "all" else one + held
                    loss = loss + step
                    loss_sum += one.item() * share + held.item() * sure
                loss.backward()  # type: ignore[no-untyped-call]
                if self.batch == "one":
                    optimiser.step()
                    optimiser.zero_grad()
                    steps += 1
                # Also the place where a cancelled job stops, so it comes once per few crops.
                yield Progress("adapting", done, self.passes)
            if self.batch == "all":
                optimiser.step()
                steps += 1
            losses.append(loss_sum)
            yield Progress("adapting", done + 1, self.passes)
            if self._settled(losses):
                break
        for parameter in learned:
            if not torch.isfinite(parameter).all():
                raise NotFiniteError(
                    f"adapting with a rate of {self.rate:g} gave weights that are not finite; "
                    "they were not adopted. Lower the rate"
                )
        adapted = _with_learned(private(began_with, compute), learner)
        right_after, after, last = 0, [], 0.0
        for example, anchor in zip(examples, anchors, strict=True):
            with torch.no_grad():
                (logits,) = unguided(learner, [example], compute)
                loss = self._objective(logits, example, anchor)
                held = _kept_loss(logits, example)
            last += loss.item() * len(example.labels) / total
            last += held.item() * len(example.kept_labels) / max(1, kept)
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
        """p0 of every example; clicks right under theta0; theta0's classes."""
        pretrained = prepared(network, compute.device, compute.dtype)
        latest = pretrained if current is None else prepared(current, compute.device, compute.dtype)
        anchors, learned, classes = [], 0, []
        for example in examples:
            with torch.no_grad():
                (logits,) = unguided(pretrained, [example], compute)
                learned += right(logits, example)
                classes.append(logits.argmax(dim=1))
                if self.anchor == "guided":
                    logits = guided(latest, example, compute)
            anchors.append(logits)
            yield Progress("adapting", 0, self.passes)
        return anchors, learned, classes

    def _settled(self, losses: Sequence[float]) -> bool:
        """Whether the last passes have brought next to nothing."""
        if self.tolerance == 0 or len(losses) <= _PATIENCE:
            return False
        return losses[-1] > (1 - self.tolerance) * losses[-1 - _PATIENCE]

    def _unfreeze(self, network: Network) -> list[nn.Parameter]:
        """Let the chosen parameters learn and no others."""
        if self.parameters.startswith("decoder") and not network.encoder_modules:
            raise RecipeError(
                f"a {network.card.architecture} does not say what its encoder is; choose "
                "parameters = batchnorm or all"
            )
        frozen = network.encoder_modules if self.parameters.startswith("decoder") else ()
        everything = self.parameters in ("all", "decoder")
        for parameter in network.parameters():
            parameter.requires_grad_(False)
        for name, module in network.named_modules():
            if name.partition(".")[0] in frozen:
                continue
            # In TorchScript a layer's class is but a name.
            scripted = getattr(module, "original_name", "") == "BatchNorm2d"
            if everything or scripted or isinstance(module, nn.BatchNorm2d):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(True)
        learned = [p for p in network.parameters() if p.requires_grad]
        if learned:
            return learned
        if not list(network.parameters()):
            raise RecipeError(
                "this network has no weights that can learn (a frozen TorchScript?); choose the "
                "recipe disir, or export it unfrozen"
            )
        what = "decoder" if self.parameters == "decoder" else "BatchNorm layers"
        raise RecipeError(f"this network has no {what} to adapt; choose parameters = all")

    def _objective(self, logits: Tensor, example: Example, anchor: Tensor) -> Tensor:
        """Equation 1 for one crop."""
        clicked = example.clicked(logits)
        # The mean of no clicks, in a crop of checked pixels only, would be no number.
        loss = F.cross_entropy(clicked, example.labels) if len(clicked) else logits.sum() * 0
        if self.regulariser == "none" or self.weight == 0 or not example.pixels:
            return loss
        if self.regulariser == "cross-entropy":
            hard = anchor.argmax(dim=1).masked_fill(~example.valid, _NOTHING)
            return loss + self.weight * F.cross_entropy(logits, hard, ignore_index=_NOTHING)
        now, then = logits, anchor
        if self.norm_on == "probabilities":
            now, then = now.softmax(dim=1), then.softmax(dim=1)
        distance = (now - then).abs()
        if example.pixels < example.valid.numel():
            # Not an index of the valid pixels, whose gradient is slow.
            distance = distance.where(example.valid, 0)
        total = distance.sum()
        if self.reduction == "mean":
            total = total / (example.pixels * logits.shape[1])
        return loss + self.weight * total


def _convert_frozen(network: Network, compute: Compute) -> None:
    """Have the weights that do not learn in the precision that autocast wants every time."""
    if compute.dtype != torch.float32:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not any(
                parameter.requires_grad for parameter in module.parameters()
            ):
                module.to(compute.dtype)


def _with_learned(network: Network, learner: Network) -> Network:
    """Network with those weights of the learner that have learned."""
    weights = dict(network.named_parameters())
    with torch.no_grad():
        for name, parameter in learner.named_parameters():
            if parameter.requires_grad:
                weights[name].copy_(parameter)
    network.requires_grad_(False)
    return network


def _most_together(compute: Compute) -> int:
    """Pixels of crops in a pass: a CPU is busy with few, and a cancel waits for one pass."""
    return (16 if compute.device.type == "cuda" else 1) * 512 * 512


def _together(order: Sequence[int], examples: Sequence[Example], most: int) -> Iterator[list[int]]:
    """Cut an order into runs of crops of one size that fit into a pass."""
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


def _kept_loss(logits: Tensor, example: Example) -> Tensor:
    """Mean cross-entropy on checked pixels, beside equation 1: these must not change."""
    if not len(example.kept_labels):
        return logits.new_zeros(())
    checked = logits[0, :, example.kept_rows, example.kept_cols].T
    return F.cross_entropy(checked, example.kept_labels)


def _refuse_not_finite(loss: Tensor, done: int) -> None:
    if not torch.isfinite(loss).all():
        raise NotFiniteError(
            f"the loss is not finite after {done} passes; nothing was adopted. Lower the rate"
        )
