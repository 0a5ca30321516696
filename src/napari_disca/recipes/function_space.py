"""DISCA in function space: Eq. 1 solved in closed form for the function, not for the weights.

The residual r that corrects the map (`napari_disca.inference.correction`) is a Gaussian process
on encoder features. Its observations are

- *clicks*: r lifts the clicked class over the best other one by a margin, half up and half down;
  noise sigma_c^2, small. A click that confirms the map asks for r = 0;
- *checked pixels* (locked areas, rejected regions): the same with a larger noise, since a whole
  area was judged at a glance;
- *anchors*, some hundred places spread over the image: r = 0 with the noise sigma_a^2 / p^4, where
  p is the pretrained network's confidence. Clicks tell of errors only; without anchors the process
  would believe that everything is one.

With K the kernel between all of them and R what they ask for::

    alpha = (K + diag(sigma^2))^-1 R

a few hundred rows: milliseconds, no step size, no order, nothing to drift. Four rules set numbers,
chosen on images that the network in use had not seen (docs/recipes.md):

- anchors: sigma_a^2 = hold / sqrt(clicks), as Eq. 1 takes the mean over the clicks; times the side
  of the image / 900 pixels, from 1 to 5, as in a large image a click stands for more errors;
- kernel: beta = sharpness * (1 + clicks / 10), so that more clicks need places more like them;
- kernel, too: beta grows up to 1.5 times where the network is sure of the image, which has few
  errors then; in all, beta is at most three times the sharpness;
- margin: one click asks for half as much again, ten for the margin itself.

Every click's answer from the others, the *leave-one-out* residual, comes with the inverse
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
from napari_disca.inference.correction import Correction, FeatureSpace, kernel
from napari_disca.inference.crops import Crop, tiles_with_clicks
from napari_disca.networks import Network, prepared
from napari_disca.networks.compute import Compute
from napari_disca.recipes.answers import AnswerParts, clicks_by_pretrained
from napari_disca.recipes.automatic import Automatic
from napari_disca.recipes.places import CropView, ImageFacts, Places, joined, thinned, unit_features
from napari_disca.recipes.recipe import NO_CLICKS, AdaptationResult, check_fields, setting

#: Tiles from which anchors are taken, at most; each costs a pass of the encoder, once.
ANCHOR_TILES = 8
#: Cells of a tile that its features are standardised with, at most.
_CELLS = 1024
#: Noise of what the user said: a click, and a pixel of an area that was judged as a whole.
_CLICK_NOISE, _CHECKED_NOISE = 0.01, 0.3
#: Power of the confidence that anchors are held with.
_CONFIDENCE = 4
#: Share by which the kernel sharpens with every click, and its largest value.
_SHARPENING, _SHARPEST = 0.1, 3.0
#: Mean 1 - p of the anchors at which the sharpness is as given, and by how much it grows at most
#: where the network is surer. In an image it knows, most of what resembles an error is right.
_USUAL_DOUBT, _SURER = 0.14, 1.5
#: By how much a margin grows where there is one click; with `_MANY` clicks it is as given. Few
#: clicks are carried too timidly otherwise: they are held down by all anchors together.
_BOLDER, _MANY = 0.5, 10
#: Pixels of an image, on the network's grid, for which `hold` is as given. In a larger one it grows
#: with the side, at most so many times: each click stands for more errors.
_USUAL_PIXELS, _LOOSEST = 900 * 900, 5.0


#: Why weights are learned after all.
_NO_FEATURES = "this network names no features to compare places by, so weights were learned"


@dataclass(frozen=True, slots=True)
class FunctionSpace:
    """Correct the whole image from the clicks by a Gaussian process on the encoder's features.

    Raises
    ------
    RecipeError
        If a field is impossible.
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
        """See `Recipe.composer`; asked only where weights were learned after all."""
        return clicks_by_pretrained(parts, Automatic().likeness)

    def windows(self, clicks: Clicks, tiling: Tiling) -> list[Window]:
        """Tiles that hold clicks; see `Recipe.windows`."""
        return tiles_with_clicks(clicks, tiling)

    @property
    def look_key(self) -> tuple[object, ...]:
        """See `LooksOnce`."""
        return "function-space", self.anchors

    def anchor_windows(self, tiling: Tiling) -> list[Window]:
        """Tiles that anchors are taken from, the same for an image, whatever was clicked."""
        rng = np.random.default_rng(len(tiling))
        chosen = rng.permutation(len(tiling))[:ANCHOR_TILES]
        return [tiling[int(index)].read for index in sorted(chosen)]

    def look(
        self,
        network: Network,
        crops: Sequence[Crop],
        *,
        compute: Compute,
        pixels: int | None = None,
        seed: int = 0,
    ) -> Job[ImageFacts]:
        """Job that returns what is asked of an image once; see `LooksOnce.look`."""
        ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
        per_crop = -(-self.anchors // max(1, len(crops)))
        held: list[Places] = []
        samples: list[Tensor] = []
        for done, crop in enumerate(crops):
            yield Progress("looking at the image", done, len(crops))
            view = CropView.of(ready, crop, compute)
            inside = np.zeros_like(crop.valid)
            inside[view.box.slices] = crop.valid[view.box.slices]
            valid = np.flatnonzero(inside)
            if not len(valid):
                continue
            # A tile's own numbers: the same in every session.
            rng = np.random.default_rng([seed, crop.window.top, crop.window.left])
            chosen = rng.choice(valid, min(_CELLS, len(valid)), replace=False)
            seen = view.places(*np.unravel_index(chosen, crop.valid.shape), noise=1.0)
            samples.append(seen.features)
            held.append(seen.chosen(torch.arange(min(per_crop, len(seen.labels)))))
        if pixels is None:
            pixels = sum(crop.window.height * crop.window.width for crop in crops)
        return ImageFacts(joined(held), torch.cat(samples), pixels)

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
        """Solve for the residual; see `Recipe.adapt`. The network stays the pretrained one.

        Parameters
        ----------
        facts : ImageFacts, optional
            What `look` has given for this image; without them the crops are the image.
        """
        began = time.perf_counter()
        count = sum(len(crop.labels) for crop in crops)
        if not count:
            return AdaptationResult(network, note=NO_CLICKS)
        if not network.encoder_modules:
            # Its program does not say where an encoder ends, so there are no features to compare.
            result = yield from Automatic().adapt(network, crops, compute=compute, seed=seed)
            return replace(result, note=f"{_NO_FEATURES}: {result.note}")
        if facts is None:
            facts = yield from self.look(network, crops, compute=compute, seed=seed)
        ready = prepared(network, compute.device, compute.dtype, folded=compute.folded)
        told: list[Places] = []
        for done, crop in enumerate(crops):
            yield Progress("looking at the clicks", done, len(crops))
            view = CropView.of(ready, crop, compute)
            told.append(view.places(crop.rows, crop.cols, crop.labels, noise=_CLICK_NOISE))
            checked = crop.kept_rows, crop.kept_cols, crop.kept_labels
            told.append(view.places(*checked, noise=_CHECKED_NOISE))
        solved = self._solved(joined(told), facts, network)
        return AdaptationResult(
            network,
            correction=solved.correction,
            right_before=solved.right_before,
            right_after=solved.right_after,
            clicks=count,
            seconds=time.perf_counter() - began,
            note=solved.note,
        )

    def _solved(self, told: Places, facts: ImageFacts, network: Network) -> _Solved:
        """Kernel, targets, alpha, and what the clicks say of each other."""
        space = FeatureSpace.of(facts.sample, network.similarity_groups)
        told = thinned(told, space)
        classes = told.logits.shape[1]
        is_click = told.noise <= _CLICK_NOISE
        count = max(1, int(is_click.sum()))
        bolder = 1 + _BOLDER * max(0, _MANY - count) / (_MANY - 1)
        targets, transitions = _targets(told, self.margin)
        targets *= bolder
        confidence = facts.anchors.logits.softmax(dim=1).amax(dim=1)
        sharpness = self.sharpness * _sharpening(count, confidence)
        looser = min(math.sqrt(max(1.0, facts.pixels / _USUAL_PIXELS)), _LOOSEST)
        held = self.hold * looser / math.sqrt(count) / confidence**_CONFIDENCE
        points = torch.cat(
            [unit_features(told.features, space), unit_features(facts.anchors.features, space)]
        )
        noise = torch.cat([told.noise, held]).double()
        asked = torch.cat([targets, targets.new_zeros(len(held), classes)]).double()
        matrix = kernel(points, points, sharpness).double() + torch.diag(noise)
        factor = torch.linalg.cholesky(matrix)
        alpha = torch.cholesky_solve(asked, factor)
        inverse = torch.cholesky_inverse(factor)
        correction = Correction(space, points, alpha.float(), sharpness, transitions, self.strength)
        own = torch.arange(len(told.labels))[is_click]
        left_out = (asked - alpha / inverse.diagonal()[:, None])[own].float()
        before = told.logits[own].argmax(dim=1) == told.labels[own]
        # What the other clicks would have made of each click.
        after = (told.logits[own] + self.strength * left_out).argmax(dim=1) == told.labels[own]
        note = _note(correction, before, after, network)
        return _Solved(correction, int(before.sum()), int(after.sum()), note)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved:
    correction: Correction
    right_before: int
    right_after: int
    note: str


def _sharpening(clicks: int, confidence: Tensor) -> float:
    """Factor of the sharpness for some clicks on an image with anchors that sure, 1 to 3."""
    doubt = float((1 - confidence).mean()) if len(confidence) else _USUAL_DOUBT
    surer = min(max(_USUAL_DOUBT / max(doubt, 1e-6), 1.0), _SURER)
    return min((1 + _SHARPENING * clicks) * surer, _SHARPEST)


def _targets(told: Places, margin: float) -> tuple[Tensor, Tensor]:
    """What each place asks of the residual, (n, classes), and the transitions that were told."""
    rows = torch.arange(len(told.labels))
    own = told.logits[rows, told.labels]
    others = told.logits.clone()
    others[rows, told.labels] = -math.inf
    best, rival = others.max(dim=1)
    lacking = (best - own + margin).clamp(min=0)
    # The map is right there: nothing is asked, whatever the margin.
    lacking = torch.where(best < own, 0.0, lacking)
    targets = torch.zeros_like(told.logits)
    targets[rows, told.labels] = lacking / 2
    targets[rows, rival] -= lacking / 2
    classes = told.logits.shape[1]
    transitions = torch.zeros(classes, classes, dtype=torch.bool)
    wrong = best >= own
    transitions[rival[wrong], told.labels[wrong]] = True
    return targets, transitions


def _note(correction: Correction, before: Tensor, after: Tensor, network: Network) -> str:
    """One line for the user: what was carried where, and what the clicks say of each other."""
    count = len(before)
    if correction.empty:
        return f"nothing to carry to other places: all {count} clicks confirm the network's map"
    names = [c.name for c in network.card.classes]
    pairs = [f"{names[u]} to {names[v]}" for u, v in correction.transitions.nonzero().tolist()]
    listed = ", ".join(pairs[:3]) + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
    wrong = int((~before).sum())
    foretold = int((after & ~before).sum())
    told = f"; {foretold} of {wrong} corrected clicks follow from the others" if foretold else ""
    return f"carried to places that look like the clicks: {listed}{told}"
