"""Training for adaptation: a kernel learned on episodes, judged on areas it has not seen.

    python benchmarks/recipes/episodes.py --data DATA/satellite_landcover \
        --fold NETWORK_OF_1_4.safetensors tile6,tile8 --fold NETWORK_OF_6_8.safetensors tile1,tile4

Each fold is a network and the areas that it has not seen. An episode is a part of 640 x 640 pixels
of such an area with 1, 3, 5 or 10 clicks, DISIR's own, one by one. The residual of
`napari_disca.recipes.function_space` is solved in closed form and differentiated: its scalars
(sharpness, hold, margin), a weight for each channel of the features, and directions that are added
to them are learned by Adam on the soft IoU of all episodes of one fold, and judged on the other.
Printed: points of mean IoU over DISIR with the same clicks after 1 / 3 / 5 / 10 clicks, worst part
in brackets; sampled at every eighth pixel.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_disca.core.threads import limit_spinning

limit_spinning()

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks
from napari_disca.core.tiling import Window
from napari_disca.evaluation.metrics import confusion, mean_iou
from napari_disca.networks import Network, load_network

SIDE, STRIDE, ANCHORS = 640, 8, 200
COUNTS = (1, 3, 5, 10)


@dataclass(frozen=True)
class Episode:
    """A part of an image with some clicks, sampled at stride 8: n = (side / 8)^2 places.

    Attributes
    ----------
    features : (d, n) tensor
        Standardised over the part.
    first, guided : (classes, n) tensor
        Logits without clicks, and with guidance.
    truth : (n,) tensor
        255 where nothing is known.
    cells, labels : (clicks,) tensor
        Where clicks are, and what they say.
    clicked : (clicks, classes) tensor
        Logits without clicks at the very pixels.
    anchors : (200,) tensor
    """

    features: Tensor
    first: Tensor
    guided: Tensor
    truth: Tensor
    cells: Tensor
    labels: Tensor
    clicked: Tensor
    anchors: Tensor


def _sampled(logits: Tensor) -> Tensor:
    return logits[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].flatten(1)


def _standardised(network: Network, features: tuple[Tensor, ...]) -> Tensor:
    found = network.similarity_features(features)[0].float().flatten(1)
    groups = found.split(network.similarity_groups)
    return torch.cat(
        [
            (g - g.mean(1, keepdim=True)) / (g.std(1, keepdim=True) + 1e-6) / math.sqrt(len(g))
            for g in groups
        ]
    )


@torch.no_grad()
def episodes_of(network: Network, picture: NDArray[np.uint8], truth: NDArray[np.uint8]):
    """Episodes with 1, 3, 5 and 10 clicks on one part."""
    shape = truth.shape
    image = torch.from_numpy(picture.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    encoded = network.encode_clickless((image - network.mean) / network.std)
    first = guided = network.decode(encoded)[0]
    features = _standardised(network, encoded)
    rng = np.random.default_rng(3)
    anchors = torch.from_numpy(rng.choice(features.shape[1], ANCHORS, replace=False))
    clicks, made = Clicks(), []
    for _ in range(COUNTS[-1]):
        found = error_clicks(guided.argmax(0).numpy().astype(np.uint8), truth, 1)
        if not found:
            break
        clicks = clicks.added(Click(found[0].row, found[0].col, found[0].label))
        drawn = network.card.guidance.draw(
            clicks, Window(0, 0, *shape), len(network.card.classes), shape
        )
        guided = network.decode(network.guided(encoded, torch.from_numpy(drawn)[None]))[0]
        if len(clicks) in COUNTS:
            rows, cols, labels = torch.tensor([(c.row, c.col, c.label) for c in clicks]).T
            made.append(
                Episode(
                    features,
                    _sampled(first),
                    _sampled(guided),
                    torch.from_numpy(truth[STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].ravel()),
                    rows // STRIDE * (shape[1] // STRIDE) + cols // STRIDE,
                    labels,
                    first[:, rows, cols].T,
                    anchors,
                )
            )
    return made


class Kernel(nn.Module):
    """The recipe's numbers, as far as they are learned."""

    def __init__(self, channels: int, *, weighted: bool = False, directions: int = 0) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(channels), requires_grad=weighted)
        self.sharpness = nn.Parameter(torch.tensor(0.0))
        self.hold = nn.Parameter(torch.tensor(math.log(12.0)))
        self.margin = nn.Parameter(torch.tensor(math.log(2.0)))
        self.directions = nn.Parameter(0.05 * torch.randn(directions, channels))

    def forward(self, seen: Episode) -> Tensor:
        """Logits with the residual, (classes, n)."""
        count, classes = len(seen.labels), seen.first.shape[0]
        beta = self.sharpness.exp() * min(1 + 0.1 * count, 3.0)
        unit = F.normalize(
            torch.cat([
                seen.features * self.weights.exp()[:, None],
                self.directions @ seen.features,
            ]),
            dim=0,
        )  # fmt: skip
        points = torch.cat([unit[:, seen.cells], unit[:, seen.anchors]], dim=1)
        sure = seen.first[:, seen.anchors].softmax(0).amax(0)
        noise = torch.cat(
            [torch.full((count,), 0.01), self.hold.exp() / math.sqrt(count) / sure**4]
        )
        rows = torch.arange(count)
        own = seen.clicked[rows, seen.labels]
        others = seen.clicked.clone()
        others[rows, seen.labels] = -math.inf
        best, rival = others.max(1)
        wrong = best >= own
        lacking = torch.where(wrong, (best - own + self.margin.exp()).clamp(min=0), 0.0)
        lacking = lacking * (1 + 0.5 * max(0, 10 - count) / 9) / 2
        asked = torch.zeros(len(noise), classes)
        asked = asked.index_put((rows, seen.labels), lacking, accumulate=True)
        asked = asked.index_put((rows, rival), -lacking, accumulate=True)
        matrix = torch.exp(beta * (points.T @ points - 1)) + torch.diag(noise)
        alpha = torch.linalg.solve(matrix, asked)
        residual = alpha.T @ torch.exp(beta * (points.T @ unit - 1))
        taught = torch.zeros(classes, classes, dtype=torch.bool)
        taught[rival[wrong], seen.labels[wrong]] = True
        top = seen.first.argmax(0)
        allowed = taught[top].T | F.one_hot(top, classes).T.bool()
        return seen.guided + torch.where(allowed, residual, residual.clamp(max=0))


def soft_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """One minus the mean soft IoU of the classes that are there."""
    labelled = truth != IGNORE
    share = logits[:, labelled].softmax(0)
    right = F.one_hot(truth[labelled].long(), len(logits)).T.float()
    both = (share * right).sum(1)
    either = (share + right - share * right).sum(1)
    return 1 - (both / either)[right.any(1)].mean()


def percent(logits: Tensor, truth: Tensor) -> float:
    """Mean IoU of the classes that are there."""
    labels = logits.argmax(0).numpy().astype(np.uint8)
    return 100 * mean_iou(confusion(labels, truth.numpy(), len(logits)))


@torch.no_grad()
def judged(kernel: Kernel, episodes: Sequence[Episode]) -> str:
    """Points over DISIR after 1 / 3 / 5 / 10 clicks, worst in brackets."""
    gains: dict[int, list[float]] = {count: [] for count in COUNTS}
    for seen in episodes:
        gain = percent(kernel(seen), seen.truth) - percent(seen.guided, seen.truth)
        gains[len(seen.labels)].append(gain)
    return " / ".join(f"{np.mean(g):+.1f} ({min(g):+.1f})" for g in gains.values() if g)


def learned(kernel: Kernel, episodes: Sequence[Episode], epochs: int) -> Kernel:
    """The kernel after some passes over the episodes, eight at a time."""
    optimiser = torch.optim.Adam([p for p in kernel.parameters() if p.requires_grad], lr=0.02)
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(episodes))
        for start in range(0, len(order), 8):
            batch = [episodes[i] for i in order[start : start + 8]]
            optimiser.zero_grad()
            loss = torch.stack([soft_loss(kernel(seen), seen.truth) for seen in batch]).mean()
            loss.backward()
            optimiser.step()
    return kernel


def _fold(data: Path, network: str, areas: Sequence[str], most: int) -> list[Episode]:
    ready = load_network(network).eval()
    made: list[Episode] = []
    for area in areas:
        for path in sorted((data / "images").glob(f"{area}_part*.jpg"))[:most]:
            picture = np.asarray(Image.open(path).convert("RGB"))
            truth = np.asarray(Image.open(data / "masks" / f"{path.stem}.png"))
            top, left = (max(0, (side - SIDE) // 2) for side in truth.shape)
            height, width = (min(SIDE, side) // 32 * 32 for side in truth.shape)
            box = np.s_[top : top + height, left : left + width]
            if (truth[box] != IGNORE).mean() >= 0.05:
                made += episodes_of(ready, picture[box], truth[box])
    return made


def main() -> int:
    """Print a line for each thing that is learned and each direction."""
    flags = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    flags.add_argument("--data", type=Path, required=True)
    flags.add_argument("--fold", nargs=2, action="append", required=True)
    flags.add_argument("--epochs", type=int, default=15)
    flags.add_argument("--parts", type=int, default=9, help="parts of an area, at most")
    args = flags.parse_args()
    if len(args.fold) != 2:
        flags.error(f"two folds are compared, not {len(args.fold)}")
    folds = [_fold(args.data, net, areas.split(","), args.parts) for net, areas in args.fold]
    channels = folds[0][0].features.shape[0]
    given = Kernel(channels)
    print(f"as given: {judged(given, folds[0])} | {judged(given, folds[1])}", flush=True)
    for name, options in (
        ("scalars", {}),
        ("and channel weights", {"weighted": True}),
        ("and 8 directions", {"weighted": True, "directions": 8}),
    ):
        for other, here in ((0, 1), (1, 0)):
            torch.manual_seed(0)
            kernel = learned(Kernel(channels, **options), folds[other], args.epochs)
            print(
                f"{name}, fold {other + 1}: learned {judged(kernel, folds[other])}, "
                f"other areas {judged(kernel, folds[here])}",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
