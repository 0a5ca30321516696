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
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_disca.clicks import Clicks
from napari_disca.compute import Compute
from napari_disca.crops import Crop, windows_around
from napari_disca.events import Job, Progress
from napari_disca.networks import Network, prepared
from napari_disca.recipes.disca import Disca, Parameters
from napari_disca.recipes.examples import (
    Example,
    between,
    log_likelihoods,
    moved,
    unguided,
    with_clicks,
)
from napari_disca.recipes.recipe import Adaptation, check_fields
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

#: What is asked of the user: the same as there.
_OF_DISCA = {f.name: f.metadata for f in fields(Disca)}
_STRENGTHS = {"none": 0.0, "half": 0.5, "full": 1.0}


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
    parameters: Parameters = field(default="batchnorm", metadata=_OF_DISCA["parameters"])
    rate: float = field(default=7.5e-4, metadata=_OF_DISCA["rate"])
    passes: int = field(default=8, metadata=_OF_DISCA["passes"])
    weight: float = field(default=1.0, metadata=_OF_DISCA["weight"])
    crop_size: int = field(default=256, metadata=_OF_DISCA["crop_size"])

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
            strength, why = _STRENGTHS[self.strength], "as you chose"
        if strength == 0.0:
            return Adaptation(
                network,
                clicks=clicks,
                seconds=time.perf_counter() - began,
                note=f"kept close: {why}; only the surroundings of the clicks are corrected",
            )
        learned: Adaptation = yield from self._disca().part_way(
            strength, network, crops, compute=compute, seed=seed
        )
        how = "fully" if strength == 1.0 else "half-way"
        return replace(
            learned,
            seconds=time.perf_counter() - began,
            note=f"adapted {how}: {why}; {learned.note}",
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
        examples = [Example(crop, compute.device) for crop in crops]
        stage = "trying on clicks that are held out"
        before = yield from _asked(network, examples, compute, Progress(stage, 0, _FOLDS))
        gains: dict[float, list[float]] = {strength: [] for strength in _NEEDED}
        shares: dict[float, list[float]] = {strength: [] for strength in _NEEDED}
        for fold in range(_FOLDS):
            held_out = [of == fold for of in folds]
            taught = [with_clicks(crop, ~held) for crop, held in zip(crops, held_out, strict=True)]
            progress = Progress(stage, fold, _FOLDS)
            job = self._disca().adapt(network, taught, compute=compute, seed=seed)
            learned = yield from _told(job, progress)
            assert learned.network is not None
            for strength in _NEEDED:
                there = learned.network
                if strength < 1.0:
                    there = between(network, there, strength)
                after = yield from _asked(there, examples, compute, progress)
                for old, new, held in zip(before.scores, after.scores, held_out, strict=True):
                    gains[strength] += (new - old)[held].tolist()
                shares[strength].append(moved(before.classes, after.classes, examples))
        return _decided({s: (np.asarray(gains[s]), float(np.mean(shares[s]))) for s in _NEEDED})


def _decided(found: dict[float, tuple[NDArray[np.float64], float]]) -> tuple[float, str]:
    """Strength that helps held-out clicks most, if it helps enough of them.

    Parameters
    ----------
    found : dict
        Strength -> gains of the held-out clicks, and the share of the pixels that moved.
    """
    best, most = 0.0, 0.0
    for strength, (gains, share) in found.items():
        agreeing, least = _NEEDED[strength]
        worth = gains.mean() - _GAIN_PER_MOVED * share
        if (gains > 0).mean() >= agreeing and gains.mean() >= least and worth > most:
            best, most = strength, float(worth)
    gains, share = found[best or min(found)]
    agreed = int((gains > 0).sum())
    agree = f"{agreed} of {len(gains)} held-out clicks agree"
    if best:
        return best, agree
    agreeing, least = _NEEDED[min(found)]
    if agreed < agreeing * len(gains):
        return best, f"errors look local ({agree})"
    if gains.mean() < least:
        return best, f"there is little to gain ({agree}, but hardly get better)"
    return best, f"{share:.0%} of the map would change for little ({agree})"


class _Answers(NamedTuple):
    """What a network without guidance says of some examples."""

    #: Log-likelihoods of the clicks.
    scores: list[NDArray[np.float64]]
    #: Class of every pixel.
    classes: list[Tensor]


def _told(job: Job[Adaptation], progress: Progress) -> Job[Adaptation]:
    """Run a job that is a part of another one: each step tells how far that one is."""
    with closing(job):
        while True:
            try:
                next(job)
            except StopIteration as end:
                result: Adaptation = end.value
                return result
            yield progress


def _asked(
    network: Network, examples: Sequence[Example], compute: Compute, progress: Progress
) -> Job[_Answers]:
    ready = prepared(network, compute.device, compute.dtype)
    answers = _Answers([], [])
    for example in examples:
        with torch.inference_mode():
            (logits,) = unguided(ready, [example], compute)
            answers.scores.append(log_likelihoods(logits, example))
            answers.classes.append(logits.argmax(dim=1).to(torch.uint8))
        yield progress
    return answers


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
