"""The training loop: crops, clicks where the network is wrong, and a job that can be resumed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks, random_clicks
from napari_disca.core.errors import DataError, brief, out_of_memory
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Window
from napari_disca.networks import Card, Network, build_network, write_tensors
from napari_disca.training.augment import Augmentation, random_crop


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """An image to learn from.

    Attributes
    ----------
    image : (height, width, bands) array of uint8
        Scaled values times 255.
    labels : (height, width) array of uint8
        Class ids, 255 where nothing is known.
    weight : float
        Chance to be drawn relative to the others, per pixel.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """How to train.

    Parameters
    ----------
    steps, batch, size : int
        Optimiser steps, crops per step, side of a crop in pixels.
    rate, decay : float
        Peak learning rate and weight decay of AdamW; the rate warms up and falls to zero as a
        cosine.
    unclicked : float
        Share of crops shown without clicks, so that the first map is good.
    error_driven, counterfactual : float
        Shares of the clicked crops whose clicks lie where the network is wrong, and whose clicks
        contradict the image; the others have clicks anywhere, as in the paper.
    clicks : int
        Largest number of clicks in a crop.
    average : float
        Decay of the running average of the weights that is what the training returns.
    bfloat16 : bool
        Use bfloat16 autocast for the forward pass.
    seed : int
    """

    steps: int = 4000
    batch: int = 8
    size: int = 256
    rate: float = 1e-3
    decay: float = 1e-4
    unclicked: float = 0.3
    error_driven: float = 0.8
    counterfactual: float = 0.1
    clicks: int = 6
    average: float = 0.998
    bfloat16: bool = True
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """An event of `train`: the mean loss since the last one, and seconds per step."""

    step: int
    loss: float
    rate: float
    seconds: float


def train(
    images: Sequence[LabelledImage],
    card: Card,
    plan: TrainingPlan,
    *,
    start: Network | None = None,
    device: torch.device | None = None,
    checkpoint: Path | None = None,
    save_every: int = 200,
    report_every: int = 50,
) -> Job[Network]:
    """Train a network, from scratch or from the weights of another.

    Parameters
    ----------
    images : sequence of LabelledImage
    card : Card
        What to build.
    plan : TrainingPlan
    start : Network, optional
        First weights, of a network with the same tensors; random ones by default. Left as it was.
    device : torch.device, optional
        CPU by default.
    checkpoint : Path, optional
        A safetensors file that is written every `save_every` steps, and read at the start if it
        is there: training then goes on where it stopped.
    save_every : int
        Steps between checkpoints.
    report_every : int
        Steps between `TrainingStep` events.

    Yields
    ------
    Progress and TrainingStep

    Returns
    -------
    Network
        With the averaged weights, in evaluation mode, on the CPU.

    Raises
    ------
    DataError
        If there is nothing to learn from.
    """
    if not images or not any((item.labels != IGNORE).any() for item in images):
        raise DataError("there is not one labelled pixel to learn from; check the masks folder")
    classes = len(card.classes)
    device = device or torch.device("cpu")
    torch.manual_seed(plan.seed)
    network = build_network(card)
    if start is not None:
        network.load_state_dict(start.state_dict())
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    first = _restored(checkpoint, network, average, optimiser, plan) if checkpoint else 0
    weights = _class_weights(images, classes).to(device)
    sampler = _Sampler(images, card, plan)

    losses: list[float] = []
    since = time.perf_counter()
    yield Progress("training", first, plan.steps)
    # One thread prepares the next batch while this one is learned.
    with ThreadPoolExecutor(1) as pool:
        upcoming = pool.submit(sampler.batch, first)
        for step in range(first, plan.steps):
            pixels, labels = upcoming.result()
            upcoming = pool.submit(sampler.batch, step + 1)
            rate = _rate(step, plan)
            for group in optimiser.param_groups:
                group["lr"] = rate
            image = torch.from_numpy(pixels).to(device, memory_format=torch.channels_last)
            clicked = _clicked(network, image, labels, plan, step)
            target = torch.from_numpy(clicked.labels).to(device)
            focus = torch.from_numpy(clicked.focus).to(device)
            network.train()
            with torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16):
                logits = network(image, torch.from_numpy(clicked.guidance).to(device))
            loss = segmentation_loss(logits.float(), target.long(), weights, focus)
            if not torch.isfinite(loss):
                raise DataError(
                    f"the loss is not finite at step {step}; train with a lower rate than "
                    f"{plan.rate:g}"
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            _average(average, network, min(plan.average, (step + 1) / (step + 10)))
            losses.append(loss.item())
            done = step + 1
            yield Progress("training", done, plan.steps)
            if done % report_every == 0 or done == plan.steps:
                seconds = (time.perf_counter() - since) / len(losses)
                yield TrainingStep(done, float(np.mean(losses)), rate, seconds)
                losses, since = [], time.perf_counter()
            if checkpoint and (done % save_every == 0 or done == plan.steps):
                _save(checkpoint, network, average, optimiser, plan, done)
    result: Network = average.cpu().eval()
    return result


def segmentation_loss(
    logits: Tensor, target: Tensor, weights: Tensor, focus: Tensor | None = None
) -> Tensor:
    """Weighted cross-entropy plus soft Dice over the classes present, ignoring 255.

    Parameters
    ----------
    logits : (B, classes, H, W) tensor
    target : (B, H, W) tensor of int64
    weights : (classes,) tensor
    focus : (B, H, W) tensor of bool, optional
        Regions that the clicks are about; their own mean cross-entropy is added, since they
        are small and would not weigh otherwise.
    """
    known = target != IGNORE
    if not known.any():
        return logits.sum() * 0.0
    entropy = F.cross_entropy(logits, target, weights, ignore_index=IGNORE)
    probability = logits.softmax(dim=1) * known[:, None]
    truth = F.one_hot(torch.where(known, target, 0), logits.shape[1]).permute(0, 3, 1, 2)
    truth = truth * known[:, None]
    both = (probability * truth).sum(dim=(0, 2, 3))
    total = (probability + truth).sum(dim=(0, 2, 3))
    dice = 1 - (2 * both + 1) / (total + 1)
    present = truth.sum(dim=(0, 2, 3)) > 0
    loss = entropy + dice[present].mean()
    if focus is not None and (focus := focus & known).any():
        pixels = logits.permute(0, 2, 3, 1)[focus]
        loss = loss + F.cross_entropy(pixels, target[focus])
    return loss


class _Sampler:
    """Draws the crops of a step; the same crops for the same step and seed."""

    def __init__(self, images: Sequence[LabelledImage], card: Card, plan: TrainingPlan) -> None:
        self._images = images
        self._plan = plan
        self._mean = np.array(card.mean, dtype=np.float32)
        # Large images are drawn more often, but not in full proportion: places vary more
        # between images than within one.
        weights = np.array([item.weight * math.sqrt(item.labels.size) for item in images])
        self._chance = weights / weights.sum()

    def batch(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        rng = np.random.default_rng([self._plan.seed, step])
        crops = [self._crop(rng) for _ in range(self._plan.batch)]
        return np.stack([c[0] for c in crops]), np.stack([c[1] for c in crops])

    def _crop(self, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        for _ in range(10):
            item = self._images[rng.choice(len(self._images), p=self._chance)]
            crop = random_crop(
                item.image, item.labels, self._plan.size, rng, self._plan.augmentation, self._mean
            )
            if (crop[1] != IGNORE).mean() > 0.1:
                break
        return crop


@dataclass(frozen=True, slots=True, eq=False)
class _Clicked:
    """A batch with clicks on it.

    `guidance` (B, classes, H, W); `labels` (B, H, W), changed where a click contradicts the image;
    `focus` (B, H, W) bool: the regions that the clicks are about, and what lies close to them.
    """

    guidance: NDArray[np.float32]
    labels: NDArray[np.uint8]
    focus: NDArray[np.bool_]


def _clicked(
    network: Network, image: Tensor, labels: NDArray[np.uint8], plan: TrainingPlan, step: int
) -> _Clicked:
    """Place clicks on a batch: none, anywhere, against the image, or where the network is wrong.

    A click shows its own class only. (The authors' training code paints the reference map into
    the click's disc, so their networks learn to trust what no user can give.)

    On images it has learned, a network's errors are small; on new images they are whole roofs and
    fields. So that clicks weigh, some crops are given *counterfactual* regions: a piece of another
    crop's reference is copied into theirs and clicked, and only the click can tell.
    """
    rng = np.random.default_rng([plan.seed, step, 1])
    classes, window = len(network.card.classes), Window.whole(labels.shape[1:])
    labels = labels.copy()
    focus = np.zeros(labels.shape, dtype=np.bool_)
    clicks = [Clicks() for _ in labels]
    driven: dict[int, int] = {}  # index in the batch -> clicks wanted
    for i in range(len(labels)):
        if rng.random() < plan.unclicked:
            continue
        count, kind = int(rng.integers(1, plan.clicks + 1)), rng.random()
        if kind < plan.error_driven:
            driven[i] = count
        elif kind < plan.error_driven + plan.counterfactual:
            for other in rng.integers(len(labels), size=1 + count // 3):
                found = _contradict(labels[i], labels[other], rng)
                if found is not None:
                    focus[i] |= found[0] | _near(found[1], window.shape)
                    clicks[i] = clicks[i].added(found[1])
        else:
            clicks[i] = Clicks(tuple(random_clicks(labels[i], count, rng)))

    def drawn(indices: Sequence[int]) -> NDArray[np.float32]:
        draw = network.card.guidance.draw
        return np.stack([draw(clicks[i], window, classes, window.shape) for i in indices])

    # A second round answers what was still wrong after the first, as users do.
    rounds = 2 if rng.random() < 0.35 else 1
    for turn in range(rounds if driven else 0):
        network.eval()
        device = image.device
        with (
            torch.no_grad(),
            torch.autocast(device.type, torch.bfloat16, enabled=plan.bfloat16),
        ):
            logits = network(image[list(driven)], torch.from_numpy(drawn([*driven])).to(device))
        predicted = logits.argmax(dim=1).byte().cpu().numpy()
        for (i, count), now in zip(driven.items(), predicted, strict=True):
            wanted = count if rounds == 1 else math.ceil((count - turn) / 2)
            for click in error_clicks(now, labels[i], wanted, rng=rng, min_area=16):
                clicks[i] = clicks[i].added(click)
                wrong = (now != labels[i]) & (labels[i] == click.label)
                focus[i] |= _around(wrong, click, reach=112) | _near(click, window.shape)
    return _Clicked(drawn(range(len(labels))), labels, focus)


def _contradict(
    labels: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Click] | None:
    """Copy a region of another reference into this one, in place; where it is, and its click.

    Regions keep the shape that their class has in nature: a click on a road then means a narrow
    strip, one on a field a large patch.
    """
    seeds = random_clicks(other, 1, rng)
    if not seeds:
        return None
    region = _around(other == seeds[0].label, seeds[0], reach=int(rng.integers(16, 96)))
    region &= labels != IGNORE
    if region.sum() < 100:
        return None
    labels[region] = seeds[0].label
    wrong = np.where(region, seeds[0].label, IGNORE).astype(np.uint8)
    return region, error_clicks(np.full_like(wrong, IGNORE), wrong, 1, rng=rng)[0]


def _near(click: Click, shape: tuple[int, int], reach: int = 56) -> NDArray[np.bool_]:
    """Disc around a click: where too much must not change either."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    near: NDArray[np.bool_] = (rows - click.row) ** 2 + (cols - click.col) ** 2 <= reach**2
    return near


def _around(mask: NDArray[np.bool_], click: Click, reach: int) -> NDArray[np.bool_]:
    """Connected part of `mask` under a click, up to `reach` pixels away."""
    parts, _ = ndimage.label(mask & _near(click, (mask.shape[0], mask.shape[1]), reach))
    here = parts[click.pixel]
    return (parts == here) if here else np.zeros_like(mask)


def _class_weights(images: Sequence[LabelledImage], classes: int) -> Tensor:
    """Inverse square root of each class's share, mean 1, at most 4 times the smallest."""
    counts = np.zeros(classes)
    for item in images:
        found = np.bincount(item.labels.ravel(), minlength=256)
        unknown = [int(v) for v in np.flatnonzero(found[classes:IGNORE]) + classes]
        if unknown:
            raise DataError(
                f"the masks hold value {unknown[0]}, but the classes are 0 to {classes - 1} "
                "and 255 (ignore); map the values or name more classes"
            )
        counts += found[:classes] * item.weight
    weights = 1 / np.sqrt(np.maximum(counts / counts.sum(), 1e-3))
    weights = np.minimum(weights, 4 * weights.min())
    return torch.from_numpy(weights / weights.mean()).float()


def _rate(step: int, plan: TrainingPlan) -> float:
    warm = min(1.0, (step + 1) / max(1, min(300, plan.steps // 10)))
    return plan.rate * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, step / plan.steps)))


@torch.no_grad()
def _average(average: Network, network: Network, decay: float) -> None:
    for kept, now in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(now, 1 - decay)
        else:
            kept.copy_(now)


def _save(
    path: Path,
    network: Network,
    average: Network,
    optimiser: torch.optim.AdamW,
    plan: TrainingPlan,
    step: int,
) -> None:
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    about = {"step": str(step), "plan": str(asdict(plan)), "card": network.card.to_json()}
    write_tensors(tensors, path, about)


def _restored(
    path: Path,
    network: Network,
    average: Network,
    optimiser: torch.optim.AdamW,
    plan: TrainingPlan,
) -> int:
    """Load a checkpoint if there is one; the step to go on from."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(
            f"{path.name} cannot be read: {brief(error)}; remove it to start anew"
        ) from error
    same_card = header.get("card") == network.card.to_json()
    if header.get("plan") != str(asdict(plan)) or not same_card:
        raise DataError(
            f"{path.name} was trained with other options; repeat them, or choose another "
            "output file"
        )
    try:
        tensors = load_file(path)
        network.load_state_dict(_under("network.", tensors))
        average.load_state_dict(_under("average.", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _under("optimiser.", tensors).items():
            index, name = key.split(".", 1)
            state.setdefault(int(index), {})[name] = value
        optimiser.load_state_dict(
            {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
        )
        return int(header["step"])
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise DataError(
            f"{path.name} is no checkpoint of this training; remove it to start anew"
        ) from error


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def checkpoint_path(output: str | os.PathLike[str]) -> Path:
    """Where the training of `output` keeps its checkpoint: beside it."""
    path = Path(output)
    return path.with_name(f"{path.stem}.checkpoint.safetensors")
