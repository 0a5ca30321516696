"""DISCA in function space: equation 1 solved in closed form for the function, not for the weights.

The residual r that corrects the logits (`napari_disca.inference.correction`) is modelled as a
Gaussian process on encoder features. Its observations are

- *clicks*: r raises the clicked class above the best other one by a margin; half of it raises the
  one, half lowers the other. The noise sigma_c^2 is small. At a click that confirms the map, r = 0;
- *checked pixels* (locked areas, rejected regions): the same with a larger noise, because whole
  areas are judged at a glance;
- *anchors*, some hundred places spread over the image: r = 0 with the noise sigma_a^2 / p^4, where
  p is the pretrained network's confidence. Clicks only show errors; without anchors the process
  would assume errors everywhere.

With K the kernel between all observations and R their targets::

    alpha = (K + diag(sigma^2))^-1 R

This system has a few hundred rows, is solved in milliseconds, and depends on neither a step size
nor the order of the clicks. Four rules set its numbers. They were chosen on images that the network
had not been trained on (docs/recipes.md):

- anchors: sigma_a^2 = hold / sqrt(clicks), because equation 1 takes the mean over the clicks; it is
  multiplied by the side of the image / 900 pixels (limited to 1 to 5), because in a larger image
  each click represents more errors;
- kernel: beta = sharpness * (1 + clicks / 10), so that with more clicks places must resemble them
  more;
- kernel: beta is also multiplied by up to 1.5 if the network is confident about the image, which
  then has few errors; altogether beta is at most three times the sharpness;
- margin: multiplied by 1.5 for a single click, and by a factor that falls to 1 at ten clicks.

The *leave-one-out* residual of each click, predicted from all others, is computed from the inverse
(Rasmussen & Williams 2006, eq. 5.12)::

    r_-j = R_j - alpha_j / [(K + diag(sigma^2))^-1]_jj
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.composition import AnswerComposer
from napari_disca.inference.correction import (
    CorrectedAnswer,
    Correction,
    FeatureSpace,
    kernel,
)
from napari_disca.inference.crops import Crop, tiles_with_clicks
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.automatic import Automatic
from napari_disca.recipes.feature_points import (
    CropView,
    FeaturePoints,
    ImageFacts,
    joined,
    thinned,
    unit_features,
)
from napari_disca.recipes.learned_weights import usual_parameters
from napari_disca.recipes.recipe import NO_CLICKS, AdaptationResult, check_fields, setting

#: Tiles from which anchors are taken, at most; the encoder is applied to each of them once.
ANCHOR_TILES = 8
#: Places of a tile that are sampled to standardise the features, at most.
_CELLS = 1024
#: Noise of a click, and of a pixel in a checked area.
_CLICK_NOISE, _CHECKED_NOISE = 0.01, 0.3
#: Power of the confidence by which the noise of anchors is divided.
_CONFIDENCE = 4
#: Increase of the sharpness with each click, and the largest factor of the sharpness.
_SHARPENING, _SHARPEST = 0.1, 3.0
#: Mean 1 - p of the anchors up to which the sharpness grows, and its largest factor: if the network
#: is confident about an image, most places that resemble an error are right.
_USUAL_DOUBT, _SURER = 0.14, 1.5
#: Increase of the margin for a single click, and the number of clicks without increase. Otherwise
#: the anchors outweigh a few clicks.
_BOLDER, _MANY = 0.5, 10
#: Pixels of an image on the network's grid up to which `hold` applies as given, and the largest
#: factor for larger ones, which grows with the side: there each click represents more errors.
_USUAL_PIXELS, _LOOSEST = 900 * 900, 5.0

#: Why weights are learned instead.
_NO_FEATURES = "this network does not name its encoder's features, so weights were learned"


@dataclass(frozen=True, slots=True)
class FunctionSpace:
    """Correct the whole image from the clicks by a Gaussian process on the encoder's features.

    Raises
    ------
    RecipeError
        If the value of a field is not allowed.
    """

    title: ClassVar[str] = "by similar features"
    learns: ClassVar[bool] = True
    continues: ClassVar[bool] = False

    strength: float = setting(
        1.0,
        "Strength",
        "How strongly clicks count at places that look like them. More changes more of the map, "
        "less changes less; 0 gives the map near clicks (DISIR)",
        limits=(0.0, 3.0),
    )
    hold: float = setting(
        12.0,
        "Change allowed elsewhere",
        "How far clicks may change the rest of the map. More lets them change more of it; less "
        "keeps more of the network's map. It is the noise of the anchors for one click, divided "
        "by the square root of the number of clicks",
        limits=(0.1, 1000.0),
    )
    sharpness: float = setting(
        1.0,
        "Similarity needed",
        "How much a place must look like a click to follow it. More: only what looks just like it"
        " changes; less: also what looks a little like it. It grows by a tenth with every click, "
        "and where the network is sure of the image",
        limits=(0.1, 20.0),
    )
    margin: float = setting(
        2.0,
        "Lead of the clicked class",
        "By how many logits the clicked class leads the best other one. More: a click reaches "
        "further, also to places that look less like it; less: fewer places follow it",
        limits=(0.1, 20.0),
    )
    anchors: int = setting(
        200,
        "Anchors",
        "Places spread over the image that hold it to the network's map. More hold it more firmly"
        " and take longer; fewer let clicks change more of it; 0 holds nothing",
        limits=(0, 1000),
    )

    def __post_init__(self) -> None:
        check_fields(self)

    def composer(self, parts: AnswerParts) -> Job[AnswerComposer]:
        """Return a job that returns the composer; see `Recipe.composer`."""
        if parts.correction is None:  # weights were learned instead
            learned: AnswerComposer = yield from clicks_by_pretrained(parts, Automatic().similarity)
            return learned
        correction = parts.correction.with_strength(self.strength)
        return CorrectedAnswer(parts.adapted, parts.pretrained, correction)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Return the tiles with clicks; see `Recipe.windows`."""
        return tiles_with_clicks(clicks, tiling)

    @property
    def facts_key(self) -> tuple[object, ...]:
        """See `UsesImageFacts`."""
        return "function-space", self.anchors

    def anchor_windows(self, tiling: Tiling) -> list[Window]:
        """Return the tiles from which anchors are taken; they depend on the tiling only."""
        rng = np.random.default_rng(len(tiling))
        chosen = rng.permutation(len(tiling))[:ANCHOR_TILES]
        return [tiling[int(index)].read for index in sorted(chosen)]

    def image_facts(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        compute: Compute,
        pixels: int | None = None,
        seed: int = 0,
    ) -> Job[ImageFacts]:
        """Return a job that returns the facts about an image; see `UsesImageFacts.image_facts`."""
        ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
        per_crop = -(-self.anchors // max(1, len(crops)))
        anchors: list[FeaturePoints] = []
        samples: list[Tensor] = []
        for done, crop in enumerate(crops):
            yield Progress("computing features", done, len(crops))
            view = CropView.of(ready, crop, compute)
            inside = np.zeros_like(crop.valid)
            inside[view.box.slices] = crop.valid[view.box.slices]
            valid = np.flatnonzero(inside)
            if not len(valid):
                continue
            # A seed for each tile, so that its sample is the same in every session.
            rng = np.random.default_rng([seed, crop.window.top, crop.window.left])
            chosen = rng.choice(valid, min(_CELLS, len(valid)), replace=False)
            sampled = view.points(*np.unravel_index(chosen, crop.valid.shape), noise=1.0)
            samples.append(sampled.features)
            anchors.append(sampled.chosen(torch.arange(min(per_crop, len(sampled.labels)))))
        if pixels is None:
            pixels = sum(crop.window.height * crop.window.width for crop in crops)
        return ImageFacts(joined(anchors), torch.cat(samples), pixels)

    def adapt(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        current: Network | None = None,
        compute: Compute,
        seed: int = 0,
        facts: ImageFacts | None = None,
    ) -> Job[AdaptationResult]:
        """Return a job that solves for the residual; the weights stay. See `Recipe.adapt`.

        Parameters
        ----------
        network, crops, current, compute, seed
            As in `Recipe.adapt`.
        facts : ImageFacts, optional
            The result of `image_facts` for this image; by default that for the crops.
        """
        began = time.perf_counter()
        count = sum(len(crop.labels) for crop in crops)
        if not count:
            return AdaptationResult(network, note=NO_CLICKS)
        if not network.encoder_modules:
            # For instance a TorchScript network.
            learned = Automatic(parameters=usual_parameters(network))
            result = yield from learned.adapt(network, crops, compute=compute, seed=seed)
            return replace(result, note=f"{_NO_FEATURES}: {result.note}")
        if facts is None:
            facts = yield from self.image_facts(network, crops, compute=compute, seed=seed)
        ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
        observed: list[FeaturePoints] = []
        for done, crop in enumerate(crops):
            yield Progress("comparing features", done, len(crops))
            view = CropView.of(ready, crop, compute)
            observed.append(view.points(crop.rows, crop.cols, crop.labels, noise=_CLICK_NOISE))
            checked = crop.checked_rows, crop.checked_cols, crop.checked_labels
            observed.append(view.points(*checked, noise=_CHECKED_NOISE))
        solved = self._solved(joined(observed), facts, network)
        return AdaptationResult(
            network,
            correction=solved.correction,
            right_before=solved.right_before,
            right_after=solved.right_after,
            clicks=count,
            seconds=time.perf_counter() - began,
            note=solved.note,
        )

    def _solved(self, observed: FeaturePoints, facts: ImageFacts, network: Network) -> _Solved:
        """Return the correction, and how many clicks have their class before and after.

        Parameters
        ----------
        observed : FeaturePoints
            Clicks and checked pixels.
        facts : ImageFacts
        network : Network
            The pretrained network.
        """
        space = FeatureSpace.of(facts.sample, network.similarity_groups)
        observed = thinned(observed, space)
        classes = observed.logits.shape[1]
        is_click = observed.noise <= _CLICK_NOISE
        count = max(1, int(is_click.sum()))
        bolder = 1 + _BOLDER * max(0, _MANY - count) / (_MANY - 1)
        targets, transitions = _targets(observed, self.margin)
        targets *= bolder
        confidence = facts.anchors.logits.softmax(dim=1).amax(dim=1)
        sharpness = self.sharpness * _sharpening(count, confidence)
        looser = min(math.sqrt(max(1.0, facts.pixels / _USUAL_PIXELS)), _LOOSEST)
        anchor_noise = self.hold * looser / math.sqrt(count) / confidence**_CONFIDENCE
        points = torch.cat(
            [unit_features(observed.features, space), unit_features(facts.anchors.features, space)]
        )
        noise = torch.cat([observed.noise, anchor_noise]).double()
        # The targets R of all observations; those of the anchors are 0.
        wanted = torch.cat([targets, targets.new_zeros(len(anchor_noise), classes)]).double()
        matrix = kernel(points, points, sharpness).double() + torch.diag(noise)
        factor = torch.linalg.cholesky(matrix)
        alpha = torch.cholesky_solve(wanted, factor)
        inverse = torch.cholesky_inverse(factor)
        correction = Correction(space, points, alpha.float(), sharpness, transitions, self.strength)
        own = torch.arange(len(observed.labels))[is_click]
        left_out = (wanted - alpha / inverse.diagonal()[:, None])[own].float()
        labels, logits = observed.labels[own], observed.logits[own]
        before = logits.argmax(dim=1) == labels
        # Whether the other clicks alone would have given each click its class.
        after = (logits + self.strength * left_out).argmax(dim=1) == labels
        note = _note(correction, before, after, network)
        return _Solved(correction, int(before.sum()), int(after.sum()), note)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    correction: Correction
    right_before: int
    right_after: int
    note: str


def _sharpening(clicks: int, confidence: Tensor) -> float:
    """Return the factor of the sharpness, 1 to 3, for a number of clicks.

    Parameters
    ----------
    clicks : int
    confidence : (anchors,) tensor
        Largest class probability of each anchor.
    """
    doubt = float((1 - confidence).mean()) if len(confidence) else _USUAL_DOUBT
    surer = min(max(_USUAL_DOUBT / max(doubt, 1e-6), 1.0), _SURER)
    return min((1 + _SHARPENING * clicks) * surer, _SHARPEST)


def _targets(observed: FeaturePoints, margin: float) -> tuple[Tensor, Tensor]:
    """Return the residuals that places call for, and the class changes that they stand for.

    Parameters
    ----------
    observed : FeaturePoints
        Clicks and checked pixels.
    margin : float
        Logits.

    Returns
    -------
    targets : (n, classes) tensor
    transitions : (classes, classes) tensor of bool
        Whether some place is to change from the first class to the second.
    """
    rows = torch.arange(len(observed.labels))
    own = observed.logits[rows, observed.labels]
    others = observed.logits.clone()
    others[rows, observed.labels] = -math.inf
    best, rival = others.max(dim=1)
    lacking = (best - own + margin).clamp(min=0)
    # Where the map is right the target is 0, even if the lead is less than the margin.
    lacking = torch.where(best < own, 0.0, lacking)
    targets = torch.zeros_like(observed.logits)
    targets[rows, observed.labels] = lacking / 2
    targets[rows, rival] -= lacking / 2
    classes = observed.logits.shape[1]
    transitions = torch.zeros(classes, classes, dtype=torch.bool)
    wrong = best >= own
    transitions[rival[wrong], observed.labels[wrong]] = True
    return targets, transitions


def _note(correction: Correction, before: Tensor, after: Tensor, network: Network) -> str:
    """Return one line for the user: which classes change at other places.

    Parameters
    ----------
    correction : Correction
    before, after : (clicks,) tensors of bool
        Whether the map without the clicks, and that with all other clicks, is right at each click.
    network : Network
    """
    count = len(before)
    if correction.empty:
        return f"nothing changes elsewhere: all {count} clicks confirm the network's map"
    names = [c.name for c in network.card.classes]
    pairs = [f"{names[u]} to {names[v]}" for u, v in correction.transitions.nonzero().tolist()]
    listed = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    wrong = int((~before).sum())
    predicted = int((after & ~before).sum())
    share = f"; {predicted} of {wrong} corrections follow from the other clicks" * bool(predicted)
    return f"similar places elsewhere change too: {listed}{share}"
