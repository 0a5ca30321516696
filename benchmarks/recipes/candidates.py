"""The recipes of the study by name: presets, fields of DISCA, and ideas from the literature.

What each is, with its formula and source, is told in docs/recipes.md. A candidate that wins moves
into the package; the others stay here, so that what did not work can be measured again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from problem import Objective, Problem, click_loss, distance, margins
from scipy.ndimage import distance_transform_edt
from torch import Tensor, nn
from torch.nn import functional as F

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.errors import NotFiniteError, RecipeError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer
from napari_disca.inference.crops import Crop, windows_around
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.recipes import RECIPES, AdaptationResult, Disca, Recipe
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.examples import Example, between, private, unguided
from napari_disca.recipes.optimiser import Optimiser
from napari_disca.recipes.recipe import NO_CLICKS

#: The plain recipe from which every candidate differs in one thing.
PLAIN = Disca(rate=6e-4, passes=10, tolerance=0.0, near="pretrained")
#: Too strong for many an image: what is to be held back where it does harm.
STRONG = replace(PLAIN, rate=2e-3)


@dataclass(frozen=True)
class Candidate(ABC):
    """What the recipes here have in common.

    Parameters
    ----------
    crop_size : int
        Side of the crops around clicks.
    near : {"adapted", "pretrained"}
        See `Disca.near`.
    """

    title: ClassVar[str] = "a candidate"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    crop_size: int = PLAIN.crop_size
    near: Literal["adapted", "pretrained"] = "pretrained"

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """See `Recipe.composer`."""
        if self.near == "pretrained":
            answer = yield from clicks_by_pretrained(parts)
            return answer
        return NetworkAnswer(parts.adapted)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return windows around the clicks."""
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
        """See `Recipe.adapt`; always from theta0, with all clicks."""
        problem = Problem(network, crops, compute, seed)
        if not problem.clicks:
            return AdaptationResult(network, note=NO_CLICKS)
        yield Progress("adapting", 0, 1)
        adapted, steps, what = yield from self.learned(problem)
        if any(not p.isfinite().all() for p in adapted.parameters()):
            raise NotFiniteError("adapting gave weights that are not finite; they were not adopted")
        return problem.adaptation(adapted, steps, what)

    @abstractmethod
    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Job that returns the adapted network, its steps, and what was decided."""


# ------------------------------------------------------- how far to go along what was learned


@dataclass(frozen=True)
class PartWay(Candidate):
    """Weights on the way from theta0 to what another recipe learned."""

    of: Disca = PLAIN
    strength: float = 0.5

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Adapt, then interpolate."""
        strength, steps, what = yield from self.chosen(problem)
        if strength == 0:
            return private(problem.network, problem.compute), steps, what
        full = yield from _run(self.of, problem, problem.crops)
        return between(problem.network, full.network, strength), steps + full.steps, what

    def chosen(self, problem: Problem) -> Job[tuple[float, int, str]]:
        """How far to go, the steps that it took to find out, and why."""
        yield from ()
        return self.strength, 0, f"strength {self.strength:g}"


@dataclass(frozen=True)
class CrossValidated(PartWay):
    """Adapt on one half of the clicks and ask the others, both ways; as far as that pays.

    A strength is worth its mean gain in the log-likelihood of the clicks held out, less `price`
    times the share of the map that it moves; 0 unless it gains at least `least`.
    """

    of: Disca = STRONG
    strengths: tuple[float, ...] = (0.5, 1.0)
    price: float = 3.0
    least: float = 0.1

    def chosen(self, problem: Problem) -> Job[tuple[float, int, str]]:
        """Compare the strengths on clicks that were not learned from."""
        if problem.clicks < 2:
            return 0.0, 0, "strength 0, for one click cannot be held out"
        before = problem.likelihoods(problem.anchors)
        gains: dict[float, list[float]] = {strength: [] for strength in self.strengths}
        moved: dict[float, list[float]] = {strength: [] for strength in self.strengths}
        half, steps = problem.halves(), 0
        for seen in (half, ~half):
            part = yield from _run(self.of, problem, problem.crops_with(seen))
            steps += part.steps
            for strength in self.strengths:
                logits = problem.logits(between(problem.network, part.network, strength))
                gains[strength] += (problem.likelihoods(logits) - before)[~seen].tolist()
                moved[strength].append(problem.moved(logits))
        worth = {0.0: 0.0}
        for strength in self.strengths:
            gain = float(np.mean(gains[strength]))
            if gain >= self.least:
                worth[strength] = gain - self.price * float(np.mean(moved[strength]))
        best = max(worth, key=worth.__getitem__)
        return best, steps, f"strength {best:g} by the clicks held out"


@dataclass(frozen=True)
class Agreement(PartWay):
    """As far as the gradients of single clicks agree: cross-validation by its first order.

    A step down the gradient of click i changes the loss of click j by minus the product of their
    gradients. The mean cosine of all pairs tells whether a click helps the others.
    """

    of: Disca = STRONG
    half_from: float = 0.02
    full_from: float = 0.1

    def chosen(self, problem: Problem) -> Job[tuple[float, int, str]]:
        """Take one gradient per click at theta0."""
        if problem.clicks < 2:
            return 0.0, 0, "strength 0, for one click has none to agree with"
        learner, learned = problem.learner(self.of.parameters)
        total: Tensor | float = 0.0
        for example in problem.examples:
            (logits,) = unguided(learner, [example], problem.compute)
            losses = F.cross_entropy(example.clicked(logits), example.labels, reduction="none")
            for loss in losses:
                gradients = torch.autograd.grad(loss, learned, retain_graph=True)
                flat = torch.cat([g.flatten() for g in gradients]).double()
                total = total + flat / flat.norm().clamp(min=1e-12)
            yield Progress("adapting", 0, 1)
        count = problem.clicks
        assert isinstance(total, Tensor)
        mean = (float(total.square().sum()) - count) / (count * (count - 1))
        strength = 1.0 if mean >= self.full_from else 0.5 if mean >= self.half_from else 0.0
        return strength, 1, f"strength {strength:g} by gradients that agree to {mean:.2f}"


# ------------------------------------------------------- when to stop, how long the steps are


@dataclass(frozen=True)
class Watched(Candidate):
    """Learning that ends when the clicks are satisfied or the crops have moved more than a budget.

    Parameters
    ----------
    passes : int
    moved : float
        Share of the crops' pixels that may get another class, 0 to 1.
    """

    passes: int = 20
    moved: float = 0.05

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Look at the logits of every pass, which are there anyway."""
        learner, learned = problem.learner()
        objective, step = self.objective(problem), self.stepper(learned)
        last = [p.detach().clone() for p in learned]
        # Once more than there are steps: the last one is looked at, too.
        for done in range(self.passes + 1):
            yield Progress("adapting", done, self.passes)
            _, logits = problem.gradient(learner, objective)
            if problem.moved(logits) > self.moved:
                with torch.no_grad():
                    for parameter, value in zip(learned, last, strict=True):
                        parameter.copy_(value)
                return learner, done, f"stopped before {self.moved:.0%} of the crops had moved"
            lacking = self.lacking(problem, logits)
            if lacking == 0:
                return learner, done, "stopped with every click satisfied"
            if done == self.passes:
                break
            last = [p.detach().clone() for p in learned]
            step(lacking)
        return learner, self.passes, "took all passes"

    @abstractmethod
    def objective(self, problem: Problem) -> Objective:
        """What is descended."""

    @abstractmethod
    def lacking(self, problem: Problem, logits: Sequence[Tensor]) -> float:
        """What the clicks still lack; 0 where all are satisfied."""

    @abstractmethod
    def stepper(self, learned: Sequence[nn.Parameter]) -> Callable[[float], None]:
        """Step with the gradients that there are; it is told what is lacking."""


@dataclass(frozen=True)
class Budget(Watched):
    """Stop when every click is right, as f-BRS does, or at a budget."""

    rate: float = 1e-3

    def objective(self, problem: Problem) -> Objective:
        """Equation 1."""
        return _equation_1(problem)

    def lacking(self, problem: Problem, logits: Sequence[Tensor]) -> float:
        """Clicks that are wrong."""
        return problem.clicks - problem.right(logits)

    def stepper(self, learned: Sequence[nn.Parameter]) -> Callable[[float], None]:
        """Adam."""
        optimiser = Optimiser("adam", learned, self.rate)
        return lambda _: optimiser.step()


@dataclass(frozen=True)
class Polyak(Watched):
    """Steps as long as the function asks for (Polyak 1969): no rate.

    With the hinge ``h = mean(max(0, margin - m_i))`` over the clicks' margins, a step of
    ``h / |g|^2`` along its gradient would bring it to zero, were the network linear; `relaxed`
    is the part of it that is taken.
    """

    passes: int = 10
    moved: float = 0.1
    margin: float = 1.0
    relaxed: float = 0.5
    weight: float = 1.0

    def objective(self, problem: Problem) -> Objective:
        """Hinge on the margins, and equation 1's distance to the anchor."""

        def loss(index: int, logits: Tensor) -> Tensor:
            example = problem.examples[index]
            hinge = F.relu(self.margin - margins(logits, example)).mean()
            away = distance(logits, problem.anchors[index], example).sum() / example.pixels
            return hinge + self.weight * away

        return loss

    def lacking(self, problem: Problem, logits: Sequence[Tensor]) -> float:
        """Mean hinge of the clicks."""
        hinges = [
            F.relu(self.margin - margins(v, e))
            for v, e in zip(logits, problem.examples, strict=True)
        ]
        return float(torch.cat(hinges).mean())

    def stepper(self, learned: Sequence[nn.Parameter]) -> Callable[[float], None]:
        """Polyak's step."""

        @torch.no_grad()
        def step(lacking: float) -> None:
            moving = [(p, p.grad) for p in learned if p.grad is not None]
            square = sum(float(gradient.square().sum()) for _, gradient in moving)
            for parameter, gradient in moving if square else ():
                parameter -= self.relaxed * lacking / square * gradient

        return step


@dataclass(frozen=True)
class Lbfgs(Candidate):
    """BatchNorm's scales and shifts by L-BFGS, as f-BRS learns its scales and biases."""

    steps: int = 10
    evaluations: int = 15

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Minimise equation 1 with a line search."""
        learner, learned = problem.learner()
        objective = _equation_1(problem)
        optimiser = torch.optim.LBFGS(
            learned,
            max_iter=self.steps,
            max_eval=self.evaluations,
            line_search_fn="strong_wolfe",
        )
        yield Progress("adapting", 0, 1)
        optimiser.step(lambda: problem.gradient(learner, objective)[0])
        taken = int(optimiser.state[learned[0]].get("n_iter", 0))
        return learner, taken, f"{taken} steps of L-BFGS"


# ------------------------------------------------------- what is learned


@dataclass(frozen=True)
class RidgeHead(Candidate):
    """The last layer in closed form: each click asks for a change of its logits.

    With the features ``f`` before the last transposed convolution, brought to the pixels by its
    bilinear kernel and extended by 1, ``W`` minimises::

        mean over clicks |W f - r|^2 + weight * mean over pixels |W f|^2

    ``r`` raises the clicked class and lowers the likeliest other one until they are `margin`
    apart. Added to the kernel as ``W`` times the bilinear one, this is exact.
    """

    margin: float = 2.0
    weight: float = 1.0

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Solve for the change of the last layer."""
        adapted = private(problem.network, problem.compute)
        last = [m for m in adapted.modules() if isinstance(m, nn.ConvTranspose2d)][-1:]
        if not last or (last[0].kernel_size, last[0].stride) != ((4, 4), (2, 2)):
            raise RecipeError("this network does not end in a transposed convolution of 4 x 4")
        head = last[0]
        seen: list[Tensor] = []
        hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        kernel = torch.outer(line, line).to(problem.compute.device)
        channels = head.in_channels
        moments = torch.zeros(channels + 1, channels + 1, dtype=torch.float64)
        rows, wanted, pixels = [], [], 0
        for example, anchor in zip(problem.examples, problem.anchors, strict=True):
            yield Progress("adapting", 0, 1)
            with torch.no_grad():
                unguided(adapted, [example], problem.compute)
                features = F.conv_transpose2d(
                    seen.pop().float(),
                    kernel.expand(channels, 1, 4, 4),
                    stride=2,
                    padding=1,
                    groups=channels,
                )[0, :, : example.valid.shape[0], : example.valid.shape[1]]
            features = torch.cat([features, torch.ones_like(features[:1])])
            here = features[:, example.valid].double().cpu()
            moments += here @ here.T
            pixels += here.shape[1]
            rows.append(features[:, example.rows, example.cols].T.double().cpu())
            wanted.append(self._wanted(anchor, example).double().cpu())
        hook.remove()
        at, change = torch.cat(rows), torch.cat(wanted)
        count = len(at)
        matrix = at.T @ at / count + self.weight * moments / max(1, pixels)
        # A feature that is zero everywhere has nothing to say.
        matrix += 1e-6 * matrix.diagonal().mean() * torch.eye(channels + 1, dtype=torch.float64)
        solved = torch.linalg.solve(matrix, at.T @ change / count).float().to(kernel.device)
        with torch.no_grad():
            head.weight += solved[:-1, :, None, None] * kernel
            head.bias += solved[-1]
        return adapted, 1, "last layer in closed form"

    def _wanted(self, logits: Tensor, example: Example) -> Tensor:
        """Change of the logits, ``(clicks, classes)``, that every click asks for."""
        values = example.clicked(logits)
        own = F.one_hot(example.labels, values.shape[1])
        rival = values.masked_fill(own.bool(), -torch.inf).argmax(dim=1)
        lacking = F.relu(self.margin - margins(logits, example))[:, None]
        return lacking / 2 * (own - F.one_hot(rival, values.shape[1]))


@dataclass(frozen=True)
class Recalibrated(Candidate):
    """BatchNorm's statistics mixed with those of the image, without labels.

    Of several shares of the image's statistics the one that the clicks find likeliest, priced as
    in `CrossValidated`; with one share there is no choice. `then` goes on from there.
    """

    shares: tuple[float, ...] = (0.1,)
    by_clicks: bool = False
    price: float = 3.0
    least: float = 0.1
    then: Disca | None = None

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Recalibrate, choose, and go on."""
        best, chosen, share = 0.0, private(problem.network, problem.compute), 0.0
        before = problem.likelihoods(problem.anchors)
        for offered in self.shares:
            yield Progress("adapting", 0, 1)
            network = recalibrated(problem, offered)
            worth = np.inf
            if self.by_clicks:
                logits = problem.logits(network)
                gain = float(np.mean(problem.likelihoods(logits) - before))
                worth = gain - self.price * problem.moved(logits) if gain >= self.least else 0.0
            if worth > best:
                best, chosen, share = worth, network, offered
        what, steps = f"{share:.0%} of the image's statistics", int(share > 0)
        if self.then is not None:
            full = yield from self.then.adapt(
                chosen, problem.crops, compute=problem.compute, seed=problem.seed
            )
            chosen, steps = full.network, steps + full.steps
        return chosen, steps, what


def recalibrated(problem: Problem, share: float) -> Network:
    """Theta0 whose BatchNorm knows the image: ``(1 - share)`` its statistics, `share` the crops'.

    Written as a change of scales and shifts: with statistics m, s and m', s' (deviations) the
    scale becomes ``w s / s'`` and the shift ``b + w (m - m') / s'``. A layer's input has already
    passed the recalibrated layers before it.
    """
    network = private(problem.network, problem.compute)

    def rescale(layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        here = inputs[0].float()
        mean = torch.lerp(layer.running_mean, here.mean((0, 2, 3)), share)
        variance = torch.lerp(layer.running_var, here.var((0, 2, 3), unbiased=False), share)
        deviation = (variance + layer.eps).sqrt()
        layer.bias += layer.weight * (layer.running_mean - mean) / deviation
        layer.weight *= (layer.running_var + layer.eps).sqrt() / deviation

    layers = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if not layers:
        raise RecipeError("this network has no BatchNorm layers to recalibrate")
    hooks = [layer.register_forward_pre_hook(rescale) for layer in layers]
    largest = max((e.image.shape for e in problem.examples), key=lambda s: s[-2] * s[-1])
    with torch.no_grad():
        # Together: a layer is rescaled once, for what all crops are like.
        alike = [e for e in problem.examples if e.image.shape == largest]
        unguided(network, alike, problem.compute)
    for hook in hooks:
        hook.remove()
    return network


@dataclass(frozen=True)
class Dial(Candidate):
    """DIAL's changes to DISCA: clicks seen while learning, a regulariser that fades near them.

    The guidance is kept and left out of a crop with probability `drop`; the distance to the
    anchor is weighted with the distance to the nearest click, from 0 to 1 within a crop. With a
    `drop` of 1 the clicks are hidden as in DISCA.
    """

    near: Literal["adapted", "pretrained"] = "adapted"
    drop: float = 0.2
    by_distance: bool = True
    rate: float = PLAIN.rate
    passes: int = PLAIN.passes

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Descend with crops whose clicks are shown or not by chance."""
        learner, learned = problem.learner()
        shares = [
            _distances(e) if self.by_distance else torch.ones_like(e.valid, dtype=torch.float32)
            for e in problem.examples
        ]
        rng = np.random.default_rng(problem.seed)
        anchors = {False: problem.anchors, True: problem.logits(problem.network, guided=True)}
        shown: list[bool] = []

        def guided() -> list[bool]:
            shown[:] = (rng.random(len(problem.examples)) >= self.drop).tolist()
            return shown

        def objective(index: int, logits: Tensor) -> Tensor:
            example = problem.examples[index]
            away = distance(logits, anchors[shown[index]][index], example)
            return click_loss(logits, example) + (shares[index] * away).sum() / example.pixels

        yield from problem.descend(
            learner, learned, objective, rate=self.rate, passes=self.passes, guided=guided
        )
        return learner, self.passes, "clicks dropped by chance"


@dataclass(frozen=True)
class Distilled(Candidate):
    """The guided map teaches the unguided network around the clicks.

    Within a Gaussian around each click (the largest where they overlap) the target is what theta0
    makes of the image with the clicks; elsewhere the network is held to theta0.
    """

    sigma: float = 28.0
    rate: float = PLAIN.rate
    passes: int = PLAIN.passes

    def learned(self, problem: Problem) -> Job[tuple[Network, int, str]]:
        """Descend towards the guided map."""
        learner, learned = problem.learner()
        targets = [v.softmax(dim=1) for v in problem.logits(problem.network, guided=True)]
        windows = [
            torch.exp(-_distances(e, scaled=False).square() / (2 * self.sigma**2)).where(e.valid, 0)
            for e in problem.examples
        ]

        def objective(index: int, logits: Tensor) -> Tensor:
            example, close = problem.examples[index], windows[index]
            teaching = F.cross_entropy(logits, targets[index], reduction="none")[0]
            away = distance(logits, problem.anchors[index], example)
            return (
                click_loss(logits, example)
                + (close * teaching).sum() / close.sum()
                + ((1 - close) * away).sum() / example.pixels
            )

        yield from problem.descend(learner, learned, objective, rate=self.rate, passes=self.passes)
        return learner, self.passes, "taught by the guided map"


def _run(recipe: Disca, problem: Problem, crops: Sequence[Crop]) -> Job[AdaptationResult]:
    adaptation: AdaptationResult = yield from recipe.adapt(
        problem.network, crops, compute=problem.compute, seed=problem.seed
    )
    return adaptation


def _equation_1(problem: Problem) -> Objective:
    return lambda index, logits: PLAIN._objective(
        logits, problem.examples[index], problem.anchors[index]
    )


def _distances(example: Example, *, scaled: bool = True) -> Tensor:
    """Distance of every pixel to the nearest click; scaled to 1 at the farthest."""
    free = np.ones(tuple(example.valid.shape), dtype=np.bool_)
    free[example.rows.cpu().numpy(), example.cols.cpu().numpy()] = False
    far = torch.from_numpy(distance_transform_edt(free)).float().to(example.valid.device)
    return far / far.max().clamp(min=1) if scaled else far


#: Every recipe of the study. The presets are whatever the program has under these names.
CANDIDATES: dict[str, Recipe] = {
    **{name: RECIPES[name] for name in ("disir", "paper", "authors-plugin", "default")},
    "everywhere": replace(RECIPES["held-out"], similarity=0.0),
    "always": replace(RECIPES["held-out"], adopt="full"),
    "always-everywhere": replace(RECIPES["held-out"], adopt="full", similarity=0.0),
    "all-1e-5": replace(PLAIN, parameters="all", rate=1e-5),
    "all-1e-5-near-adapted": replace(PLAIN, parameters="all", rate=1e-5, near="adapted"),
    "all-1e-4": replace(PLAIN, parameters="all", rate=1e-4),
    "all-1e-4-half": PartWay(of=replace(PLAIN, parameters="all", rate=1e-4)),
    "bn-3e-4": replace(PLAIN, rate=3e-4),
    "bn": PLAIN,
    "bn-near-adapted": replace(PLAIN, near="adapted"),
    "bn-2e-3": STRONG,
    "bn-2e-3-half": PartWay(of=STRONG),
    "decoder": replace(PLAIN, parameters="decoder", rate=3e-5),
    "decoder-bn": replace(PLAIN, parameters="decoder batchnorm", rate=2e-3),
    "lbfgs": Lbfgs(),
    "polyak": Polyak(),
    "budget": Budget(),
    "cross-validated": CrossValidated(),
    "agreement": Agreement(),
    "ridge-head": RidgeHead(),
    "recalibrated": Recalibrated(near="adapted"),
    "recalibrated-by-clicks": Recalibrated(
        near="adapted", shares=(0.05, 0.1, 0.2, 0.35), by_clicks=True
    ),
    "recalibrated-bn": Recalibrated(then=PLAIN),
    "dial": Dial(),
    "dropout": Dial(near="pretrained", by_distance=False),
    "fading": Dial(near="pretrained", drop=1.0),
    "distilled": Distilled(),
}
