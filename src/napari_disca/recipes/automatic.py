"""DISCA as far as the clicks agree: click cross-validation chooses the strength, zero included.

Steps that are too strong correct a shifted image, whose errors are systematic, and spoil one whose
errors are local. Which it is, the clicks tell: the network learns from one half of them, and the
other half is asked whether it was helped. With ``p`` the class probabilities of the pretrained
network theta0 and ``p'`` those after learning, both without guidance, the gain of a held-out click
is ``log p'(class) - log p(class)``. Adapting pays where most held-out clicks gain, and they gain
more than the map moves: a network that changes everywhere helps some click by chance.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from napari_disca.clicks import Clicks
from napari_disca.compute import Compute
from napari_disca.crops import Crop, windows_around
from napari_disca.errors import RecipeError
from napari_disca.events import Job, Progress
from napari_disca.networks import Network, prepared
from napari_disca.recipes.disca import Disca
from napari_disca.recipes.recipe import Adaptation
from napari_disca.tiling import Tiling, Window

#: Parts that the clicks are dealt into; each is held out once.
_FOLDS = 2
#: Fewer clicks say too little about the rest of the image.
_LEAST_CLICKS = 3
#: Strength -> share of the held-out clicks that must gain, and their mean gain (nats). Half the
#: way has most of what there is to win and a third of what there is to lose.
_NEEDED = {0.5: (0.75, 0.25), 1.0: (0.9, 0.75)}
#: Mean gain that must be had per share of the map that moves.
_GAIN_PER_MOVED = 3.0

_STRENGTHS = ("automatic", "none", "half", "full")


@dataclass(frozen=True, slots=True)
class Automatic:
    """Adapt a network to its image as far as held-out clicks agree.

    Raises
    ------
    RecipeError
        If a field is impossible.
    """

    title: ClassVar[str] = "DISCA, as far as clicks agree"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False
    #: What is learned corrects the rest of the map; near the clicks DISIR has the last word.
    holds_near: ClassVar[bool] = True

    strength: Literal["automatic", "none", "half", "full"] = field(
        default="automatic",
        metadata={
            "tooltip": "How far from the pretrained weights to go. Automatic: as far as clicks "
            "that were held out get better; none gives DISIR's map"
        },
    )
    parameters: Literal["batchnorm", "all", "decoder", "decoder batchnorm"] = field(
        default="batchnorm",
        metadata={
            "tooltip": "Which weights learn: BatchNorm scales and shifts, or all; with the decoder "
            "only, the map is redone several times faster after the first time"
        },
    )
    rate: float = field(
        default=7.5e-4, metadata={"min": 0.0, "max": 1.0, "tooltip": "Learning rate"}
    )
    passes: int = field(
        default=8, metadata={"min": 1, "max": 1000, "tooltip": "Passes over the crops"}
    )
    weight: float = field(
        default=1.0, metadata={"min": 0.0, "max": 1e6, "tooltip": "Weight of the regulariser"}
    )
    crop_size: int = field(
        default=256,
        metadata={"min": 64, "max": 1024, "tooltip": "Side of the crops around clicks, pixels"},
    )

    def __post_init__(self) -> None:
        if self.strength not in _STRENGTHS:
            raise RecipeError(
                f"strength = {self.strength!r} is unknown; use {' or '.join(_STRENGTHS)}"
            )
        self._disca()  # refuses the rest

    def _disca(self) -> Disca:
        return Disca(
            parameters=self.parameters,
            rate=self.rate,
            passes=self.passes,
            weight=self.weight,
            crop_size=self.crop_size,
            near="pretrained",
        )

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Windows around the clicks."""
        return windows_around(clicks, self.crop_size, tiling.shape)

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
    ) -> Job[Adaptation]:
        """Choose the strength, then learn from all clicks; see `Recipe.adapt`."""
        began = time.perf_counter()
        clicks = sum(len(crop.labels) for crop in crops)
        if self.strength == "automatic":
            strength, why = yield from self._chosen(network, crops, clicks, compute, seed)
        else:
            strength = {"none": 0.0, "half": 0.5, "full": 1.0}[self.strength]
            why = "as you chose"
        if strength == 0.0:
            return Adaptation(
                network,
                clicks=clicks,
                seconds=time.perf_counter() - began,
                note=f"kept close: {why}; only the surroundings of the clicks are corrected",
            )
        learned: Adaptation = yield from self._disca().adapt(
            network, crops, compute=compute, seed=seed
        )
        assert learned.network is not None
        how, adapted = "fully", learned.network
        if strength < 1.0:
            how, adapted = "half-way", _between(network, learned.network, strength)
        said: list[list[_Answer]] = []
        for one in (network, adapted):
            ready = prepared(one, compute.device, compute.dtype)
            said.append((yield from _asked(ready, crops, compute, Progress("adapting", 1, 1))))
        right = [sum(answer.right for answer in answers) for answers in said]
        moved = _moved(said[0], said[1], crops)
        return replace(
            learned,
            network=adapted,
            right_before=right[0],
            right_after=right[1],
            moved=moved,
            seconds=time.perf_counter() - began,
            note=f"adapted {how}: {why}; {right[1]} of {clicks} clicks learned "
            f"({right[0]} before), {moved:.0%} of the pixels around them changed",
        )

    def _chosen(
        self, network: Network, crops: Sequence[Crop], clicks: int, compute: Compute, seed: int
    ) -> Job[tuple[float, str]]:
        """Strength, 0 to 1, and the reason."""
        if clicks < _LEAST_CLICKS:
            some = "one click says" if clicks == 1 else f"{clicks} clicks say"
            needed = f"click on {_LEAST_CLICKS} mistakes or more"
            return 0.0, f"{some} too little about the rest of the image ({needed})"
        folds = _dealt(crops)
        stage = "trying on clicks that are held out"
        ready = prepared(network, compute.device, compute.dtype)
        before = yield from _asked(ready, crops, compute, Progress(stage, 0, _FOLDS))
        gains: dict[float, list[float]] = {strength: [] for strength in _NEEDED}
        moved: dict[float, list[float]] = {strength: [] for strength in _NEEDED}
        for fold in range(_FOLDS):
            held_out = [of == fold for of in folds]
            taught = [_only(crop, ~held) for crop, held in zip(crops, held_out, strict=True)]
            progress = Progress(stage, fold, _FOLDS)
            with closing(self._disca().adapt(network, taught, compute=compute, seed=seed)) as job:
                learned: Adaptation = yield from _told(job, progress)
            assert learned.network is not None
            for strength in gains:
                there = learned.network
                if strength < 1.0:
                    there = _between(network, there, strength)
                ready = prepared(there, compute.device, compute.dtype)
                after = yield from _asked(ready, crops, compute, progress)
                for old, new, held in zip(before, after, held_out, strict=True):
                    gains[strength] += (new.scores - old.scores)[held].tolist()
                moved[strength].append(_moved(before, after, crops))
        return _decided({s: (np.asarray(gains[s]), float(np.mean(moved[s]))) for s in gains})


def _decided(found: dict[float, tuple[NDArray[np.float64], float]]) -> tuple[float, str]:
    """Strength that helps held-out clicks most, if it helps enough of them.

    Parameters
    ----------
    found : dict
        Strength -> gains of the held-out clicks, and the share of the pixels that moved.
    """
    best, most = 0.0, 0.0
    for strength, (gains, moved) in found.items():
        agreeing, least = _NEEDED[strength]
        worth = gains.mean() - _GAIN_PER_MOVED * moved
        if (gains > 0).mean() >= agreeing and gains.mean() >= least and worth > most:
            best, most = strength, float(worth)
    gains, moved = found[best or min(found)]
    right = int((gains > 0).sum())
    agree = f"{right} of {len(gains)} held-out clicks agree"
    if best:
        return best, agree
    agreeing, least = _NEEDED[min(found)]
    if right < agreeing * len(gains):
        return best, f"errors look local ({agree})"
    if gains.mean() < least:
        return best, f"there is little to gain ({agree}, but hardly get better)"
    return best, f"{moved:.0%} of the map would change for little ({agree})"


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What a network without guidance says of a crop."""

    #: Log-probability of each click's class.
    scores: NDArray[np.float64]
    #: Class of every pixel.
    classes: NDArray[np.uint8]
    #: Number of clicks whose class it says.
    right: int


def _told(job: Job[Adaptation], progress: Progress) -> Job[Adaptation]:
    """Run a job that is a part of another one: each step tells how far that one is."""
    while True:
        try:
            next(job)
        except StopIteration as end:
            result: Adaptation = end.value
            return result
        yield progress


def _asked(
    network: Network, crops: Sequence[Crop], compute: Compute, progress: Progress
) -> Job[list[_Answer]]:
    answers = []
    for crop in crops:
        box = Window.whole(crop.valid.shape)
        with torch.inference_mode(), compute.autocast():
            image = torch.from_numpy(crop.image)[None].to(
                compute.device, memory_format=torch.channels_last
            )
            logits = network.decode_window(network.features(image, None, box), box)[0].float()
            clicked = logits[:, crop.rows, crop.cols].log_softmax(dim=0)
            scores = clicked[crop.labels, range(len(crop.labels))]
            classes = logits.argmax(dim=0).to(torch.uint8)
            right = int((clicked.argmax(dim=0).cpu() == torch.from_numpy(crop.labels)).sum())
        answers.append(_Answer(scores.double().cpu().numpy(), classes.cpu().numpy(), right))
        yield progress
    return answers


def _moved(before: Sequence[_Answer], after: Sequence[_Answer], crops: Sequence[Crop]) -> float:
    """Share of the pixels with data that get another class."""
    changed = sum(
        int(((old.classes != new.classes) & crop.valid).sum())
        for old, new, crop in zip(before, after, crops, strict=True)
    )
    return changed / max(1, sum(int(crop.valid.sum()) for crop in crops))


def _dealt(crops: Sequence[Crop]) -> list[NDArray[np.intp]]:
    """Fold of every click, by crop.

    Dealt class by class, so that no fold lacks one, in the order of their places, which does not
    depend on when they were made.
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


def _only(crop: Crop, chosen: NDArray[np.bool_]) -> Crop:
    """Crop with some of its clicks."""
    return replace(crop, rows=crop.rows[chosen], cols=crop.cols[chosen], labels=crop.labels[chosen])


def _between(start: Network, end: Network, strength: float) -> Network:
    """Network on the line from `start` to `end`."""
    between: Network = deepcopy(end)
    first = dict(start.named_parameters())
    with torch.no_grad():
        for name, parameter in between.named_parameters():
            parameter.lerp_(first[name].to(parameter.device), 1.0 - strength)
    return between
