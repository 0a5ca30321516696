"""The training loop, as a job that can be resumed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.core.events import Event, Job, Progress
from napari_disca.networks import Card, Network, build_network
from napari_disca.training.checkpoint import TrainingInputs, restore_checkpoint, save_checkpoint
from napari_disca.training.clicking import clicked_batch
from napari_disca.training.loss import class_weights, segmentation_loss
from napari_disca.training.plan import LabelledImage, TrainingPlan
from napari_disca.training.sampling import CropSampler, EncodedBatch

#: Largest norm of a step's gradient.
_LONGEST = 5.0
#: Steps over which the rate rises, at most, and their share of all steps.
_WARM, _WARM_SHARE = 300, 10


@dataclass(frozen=True, slots=True)
class TrainingStep(Event):
    """Event of `train`: the mean loss since the last one, and seconds per step."""

    step: int
    loss: float
    rate: float
    seconds: float


def train(
    images: Sequence[LabelledImage],
    card: Card,
    plan: TrainingPlan,
    *,
    reading: Mapping[str, str] | None = None,
    start: Network | None = None,
    device: torch.device | None = None,
    checkpoint: Path | None = None,
    save_every: int = 200,
    report_every: int = 50,
) -> Job[Network]:
    """Job that trains a network, from scratch or from the weights of another.

    Parameters
    ----------
    images : sequence of LabelledImage
    card : Card
    plan : TrainingPlan
    reading : mapping of str to str, optional
        Flags of how images are read; a checkpoint is continued only with the same.
    start : Network, optional
        Network with the initial weights, not changed; random weights by default.
    device : torch.device, optional
        CPU by default.
    checkpoint : Path, optional
        A safetensors file that is written every `save_every` steps; if it exists at the start,
        training continues from it.
    save_every, report_every : int
        Steps between checkpoints, and between `TrainingStep` events.

    Yields
    ------
    Progress and TrainingStep

    Returns
    -------
    Network
        The network with the averaged weights, in evaluation mode, on the CPU.

    Raises
    ------
    DataError
        If there are no images, or the checkpoint is of another training.
    """
    _refuse_unlabelled(images)
    run = _Run(images, card, plan, TrainingInputs.of(images, card, plan, reading), start, device)
    first = run.restore(checkpoint) if checkpoint else 0
    yield Progress("training", first, plan.steps)
    losses, since = list[float](), time.perf_counter()
    for done, loss in run.steps(CropSampler(images, card, plan), first):
        losses.append(loss)
        yield Progress("training", done, plan.steps)
        if done % report_every == 0 or done == plan.steps:
            seconds = (time.perf_counter() - since) / len(losses)
            yield TrainingStep(done, float(np.mean(losses)), _rate(done - 1, plan), seconds)
            losses, since = [], time.perf_counter()
        if checkpoint and (done % save_every == 0 or done == plan.steps):
            run.save(checkpoint, done)
    return run.result()


def _refuse_unlabelled(images: Sequence[LabelledImage]) -> None:
    if not images or not any((item.labels != IGNORE).any() for item in images):
        raise DataError("there is not one labelled pixel to learn from; check the masks folder")


class _Run:
    """The state of a training: network, average and optimiser."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        card: Card,
        plan: TrainingPlan,
        inputs: TrainingInputs,
        start: Network | None,
        device: torch.device | None,
    ) -> None:
        device = device or torch.device("cpu")
        self._plan, self._device = plan, device
        self._inputs = inputs
        torch.manual_seed(plan.seed)
        network = build_network(card)
        if start is not None:
            network.load_state_dict(start.state_dict())
        self._network: Network = network.to(
            device,
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        self._learned = [p for p in network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learned, lr=plan.rate, weight_decay=plan.decay)
        self._average = averaged(self._network, plan.average)
        self._weights = class_weights(images, len(card.classes)).to(device)

    def restore(self, checkpoint: Path) -> int:
        """Restore a checkpoint if there is one; return the step to continue from."""
        return restore_checkpoint(
            checkpoint, self._network, self._average, self._optimiser, self._inputs
        )

    def save(self, checkpoint: Path, step: int) -> None:
        save_checkpoint(
            checkpoint, self._network, self._average, self._optimiser, self._inputs, step
        )

    def steps(self, sampler: CropSampler, first: int) -> Iterator[tuple[int, float]]:
        """Train step after step; yield the number of steps done, and the loss of the last."""
        # A thread prepares the next batch during the step of this one.
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(sampler.batch, first)
            for step in range(first, self._plan.steps):
                pixels, labels = upcoming.result()
                upcoming = pool.submit(sampler.batch, step + 1)
                yield step + 1, self._learn(step, pixels, labels)

    def _learn(self, step: int, pixels: NDArray[np.float32], labels: NDArray[np.uint8]) -> float:
        """Take an optimiser step on a batch; return its loss."""
        network, plan = self._network, self._plan
        for group in self._optimiser.param_groups:
            group["lr"] = _rate(step, plan)
        image = torch.from_numpy(pixels).to(self._device, memory_format=torch.channels_last)
        network.eval()
        batch = EncodedBatch(network, image, bfloat16=plan.bfloat16)
        clicked = clicked_batch(
            batch.predict,
            labels,
            len(network.card.classes),
            network.card.guidance,
            plan.clicking,
            np.random.default_rng([plan.seed, step, 1]),
        )
        target, focus, right = (
            torch.from_numpy(array).to(self._device)
            for array in (clicked.labels, clicked.focus, clicked.right)
        )
        network.train()
        logits = batch.logits(torch.from_numpy(clicked.guidance))
        loss = segmentation_loss(logits.float(), target.long(), self._weights, focus, right)
        if not torch.isfinite(loss):
            raise DataError(
                f"the loss is not finite at step {step}; train with a lower rate than {plan.rate:g}"
            )
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._learned, _LONGEST)
        self._optimiser.step()
        self._average.update_parameters(network)
        return loss.item()

    def result(self) -> Network:
        network = self._average.module
        assert isinstance(network, Network)
        return network.cpu().eval()


def averaged(network: Network, decay: float) -> AveragedModel:
    """Return a running average of a network's weights and BatchNorm statistics.

    Parameters
    ----------
    network : Network
        Its first `update_parameters` is copied.
    decay : float
        Decay of the average; less in the first steps, whose weights are poor.
    """

    def average(
        averages: Sequence[Tensor | None], now: Sequence[Tensor | None], count: Tensor | int
    ) -> None:
        weight = 1 - min(decay, (int(count) + 1) / (int(count) + 10))
        for before, after in zip(averages, now, strict=True):
            assert before is not None
            assert after is not None
            if before.is_floating_point():
                before.lerp_(after, weight)
            else:
                before.copy_(after)

    return AveragedModel(network, multi_avg_fn=torch.no_grad()(average), use_buffers=True)


def _rate(step: int, plan: TrainingPlan) -> float:
    warm = min(1.0, (step + 1) / max(1, min(_WARM, plan.steps // _WARM_SHARE)))
    return plan.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / plan.steps)))
