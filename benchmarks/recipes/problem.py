"""What the candidates need of an image: its crops as tensors, and how a network does on them.

They learn as `napari_disca.recipes.Disca` does and share its parts; what is tried here does not
belong into the package before it has won.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.core.events import Job, Progress
from napari_disca.inference.crops import Crop
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes import AdaptationResult, examples
from napari_disca.recipes.examples import (
    Example,
    private,
    right,
    unguided,
    with_clicks,
)
from napari_disca.recipes.learned_weights import Parameters, unfreeze
from napari_disca.recipes.optimiser import Optimiser

#: Loss of one crop: its number and the logits ``(1, classes, h, w)`` of the learner.
Objective = Callable[[int, Tensor], Tensor]


def log_likelihoods(logits: Tensor, example: Example) -> NDArray[np.float64]:
    """Log-probability of every click's class."""
    found = -F.cross_entropy(example.clicked(logits), example.labels, reduction="none")
    likelihoods: NDArray[np.float64] = found.double().cpu().numpy()
    return likelihoods


class Problem:
    """The crops of one image, with theta0's answer to them.

    Parameters
    ----------
    network : Network
        theta0; left as it was.
    crops : sequence of Crop
        Those without clicks are left out.
    compute : Compute
    seed : int
    """

    def __init__(
        self, network: Network, crops: Sequence[Crop], compute: Compute, seed: int
    ) -> None:
        self._began = time.perf_counter()
        self.network, self.compute, self.seed = network, compute, seed
        self.crops = [crop for crop in crops if crop.labels.size]
        self.examples = [Example(crop, compute.device) for crop in self.crops]
        self.clicks = sum(len(example.labels) for example in self.examples)
        self.anchors = self.logits(network) if self.clicks else []

    def learner(self, parameters: Parameters = "batchnorm") -> tuple[Network, list[nn.Parameter]]:
        """Copy of theta0 whose chosen parameters learn."""
        copy = private(self.network, self.compute)
        return copy, unfreeze(copy, parameters)

    def logits(self, network: Network, *, guided: bool = False) -> list[Tensor]:
        """A network's logits on every crop, with its clicks as guidance or without."""
        ready = prepared(network, self.compute.device, self.compute.dtype)
        with torch.no_grad():
            if guided:
                return [examples.guided(ready, e, self.compute) for e in self.examples]
            return [unguided(ready, [e], self.compute)[0] for e in self.examples]

    def likelihoods(self, logits: Sequence[Tensor]) -> NDArray[np.float64]:
        """Log-likelihood of every click's class."""
        return np.concatenate(
            [log_likelihoods(values, e) for values, e in zip(logits, self.examples, strict=True)]
        )

    def right(self, logits: Sequence[Tensor]) -> int:
        """Clicks whose class is the likeliest."""
        return sum(right(v, e) for v, e in zip(logits, self.examples, strict=True))

    def moved(self, logits: Sequence[Tensor]) -> float:
        """Share of the crops' pixels whose class is not theta0's."""
        then, now = ([v.argmax(dim=1) for v in values] for values in (self.anchors, logits))
        return examples.moved(then, now, self.examples)

    def halves(self) -> NDArray[np.bool_]:
        """One half of the clicks: every other one from top to bottom.

        It depends on where the clicks are, not on the order in which they were made.
        """
        places = [
            (crop.window.top + row, crop.window.left + col)
            for crop in self.crops
            for row, col in zip(crop.rows.tolist(), crop.cols.tolist(), strict=True)
        ]
        half = np.zeros(len(places), dtype=np.bool_)
        half[sorted(range(len(places)), key=places.__getitem__)[::2]] = True
        return half

    def crops_with(self, chosen: NDArray[np.bool_]) -> list[Crop]:
        """The crops with some of their clicks only."""
        ends = np.cumsum([len(crop.labels) for crop in self.crops])[:-1]
        return [
            with_clicks(crop, own)
            for crop, own in zip(self.crops, np.split(chosen, ends), strict=True)
        ]

    def gradient(
        self, learner: Network, objective: Objective, *, guided: Sequence[bool] | None = None
    ) -> tuple[float, list[Tensor]]:
        """Leave the gradient of a pass in the learner's parameters.

        The loss is the mean of the crops', weighted by their numbers of clicks.

        Returns
        -------
        float and list of Tensor
            The loss, and the logits of every crop.
        """
        learner.zero_grad()
        loss_sum, logits = 0.0, []
        for index, example in enumerate(self.examples):
            if guided is not None and guided[index]:
                values = examples.guided(learner, example, self.compute)
            else:
                (values,) = unguided(learner, [example], self.compute)
            loss = objective(index, values) * (len(example.labels) / self.clicks)
            loss.backward()
            loss_sum += loss.item()
            logits.append(values.detach())
        return loss_sum, logits

    def descend(
        self,
        learner: Network,
        learned: Sequence[nn.Parameter],
        objective: Objective,
        *,
        rate: float,
        passes: int,
        guided: Callable[[], Sequence[bool]] | None = None,
    ) -> Job[None]:
        """Take Adam's steps, one a pass."""
        optimiser = Optimiser("adam", learned, rate)
        for done in range(passes):
            yield Progress("adapting", done, passes)
            self.gradient(learner, objective, guided=guided and guided())
            optimiser.step()

    def adaptation(self, network: Network, steps: int, what: str) -> AdaptationResult:
        """What is given back; `what` says in a few words what was decided."""
        network.eval().requires_grad_(False)
        after = self.logits(network)
        before, right, moved = self.right(self.anchors), self.right(after), self.moved(after)
        return AdaptationResult(
            network=network,
            steps=steps,
            right_before=before,
            right_after=right,
            clicks=self.clicks,
            moved=moved,
            seconds=time.perf_counter() - self._began,
            note=f"{what}: {right} of {self.clicks} clicks learned ({before} before), "
            f"{moved:.0%} of the pixels around them changed",
        )


def click_loss(logits: Tensor, example: Example) -> Tensor:
    """Mean cross-entropy of a crop's clicks."""
    return F.cross_entropy(example.clicked(logits), example.labels)


def margins(logits: Tensor, example: Example) -> Tensor:
    """How far each click's logit is above the largest other one."""
    values = example.clicked(logits)
    own = F.one_hot(example.labels, values.shape[1]).bool()
    return values[own] - values.masked_fill(own, -torch.inf).amax(dim=1)


def distance(logits: Tensor, anchor: Tensor, example: Example) -> Tensor:
    """Mean absolute difference of logits at every pixel, ``(h, w)``, 0 where there is no data."""
    return (logits - anchor).abs().mean(dim=1)[0].where(example.valid, 0)
