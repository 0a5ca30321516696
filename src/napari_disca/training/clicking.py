"""Places clicks on the crops of a training step, as users do.

Four kinds of clicked crops. *Error-driven* ones are clicked where the network is wrong, in rounds,
as users do. *Confirming* ones are clicked where it is right, up to hundreds of times, so that a
click which tells nothing new changes nothing. *Border* ones are clicked close to the border of two
classes, which the change must not cross. *Contradicting* ones have a region of another crop's
reference, which only the click shows: on images of its training a network's errors are small, on
new images they are whole roofs and fields.

A click shows its own class only. (The authors' training code paints the reference map into the
click's disc, so that their networks learn from more than a user can give.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import Guidance
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks, random_clicks
from napari_disca.core.errors import DataError
from napari_disca.core.tiling import Window

#: Distance from a click, in pixels, in which the loss has a weight of its own.
_NEAR = 56
#: Distance to which an error is followed from a click in it, in pixels.
_FOLLOWED = 112
#: Most clicks in a crop with clicks anywhere.
_ANYWHERE = 40


def _share(tooltip: str) -> dict[str, Any]:
    return {"min": 0.0, "max": 1.0, "tooltip": tooltip}


@dataclass(frozen=True, slots=True)
class Clicking:
    """Settings of the clicks on crops.

    Parameters
    ----------
    unclicked : float
        Share of crops without clicks, so that the first map is good.
    error_driven, confirming, border, contradicting : float
        Shares of the clicked crops; the others have clicks anywhere, as in the paper.
    errors, confirmed : int
        Most clicks in an error-driven crop, and in a confirming one.
    rounds : int
        Most rounds in which the corrected map is predicted before the next clicks.
    """

    unclicked: float = field(default=0.25, metadata=_share("Share of crops without clicks"))
    error_driven: float = field(
        default=0.6,
        metadata=_share("Share of the clicked crops whose clicks lie where the network is wrong"),
    )
    confirming: float = field(
        default=0.15,
        metadata=_share("Share of the clicked crops whose clicks lie where it is right"),
    )
    border: float = field(
        default=0.1,
        metadata=_share("Share of the clicked crops whose clicks lie close to a border"),
    )
    contradicting: float = field(
        default=0.1,
        metadata=_share("Share of the clicked crops whose clicks contradict the image"),
    )
    errors: int = field(
        default=12, metadata={"min": 1, "tooltip": "Most clicks in an error-driven crop"}
    )
    confirmed: int = field(
        default=200, metadata={"min": 1, "tooltip": "Most clicks in a confirming crop"}
    )
    rounds: int = field(
        default=3,
        metadata={"min": 1, "tooltip": "Most looks at the corrected map before the next clicks"},
    )

    def __post_init__(self) -> None:
        shares = {
            "error-driven": self.error_driven,
            "confirming": self.confirming,
            "border": self.border,
            "contradicting": self.contradicting,
        }
        # A sum of decimal fractions may be slightly above 1.
        if sum(shares.values()) > 1 + 1e-9:
            given = ", ".join(f"--{name} {share:g}" for name, share in shares.items())
            raise DataError(f"{given} are shares of the same crops; their sum is at most 1")


@dataclass(frozen=True, slots=True, eq=False)
class ClickedBatch:
    """A batch with clicks.

    Attributes
    ----------
    guidance : (B, classes, H, W) array of float32
    labels : (B, H, W) array of uint8
        Changed where a click contradicts the image.
    focus : (B, H, W) array of bool
        The regions that the clicks correct or confirm, and their surroundings.
    right : (B, H, W) array of bool
        Pixels of clicked crops that were right before any click, and should stay right.
    """

    guidance: NDArray[np.float32]
    labels: NDArray[np.uint8]
    focus: NDArray[np.bool_]
    right: NDArray[np.bool_]


def clicked_batch(
    predict: Callable[[Sequence[int], NDArray[np.float32] | None], NDArray[np.uint8]],
    labels: NDArray[np.uint8],
    classes: int,
    guidance: Guidance,
    clicking: Clicking,
    rng: np.random.Generator,
) -> ClickedBatch:
    """Return a batch with clicks.

    Parameters
    ----------
    predict : callable
        ``predict(indices, guidance)``: the network's present labels of some crops of the batch,
        ``(len(indices), H, W)``, with guidance or, given None, without clicks.
    labels : (B, H, W) array of uint8
    classes : int
    guidance : Guidance
        How clicks are drawn for the network.
    clicking : Clicking
    rng : numpy.random.Generator
    """
    chosen = [i for i in range(len(labels)) if rng.random() >= clicking.unclicked]
    batch = _Batch(labels, classes, guidance, clicking, rng)
    if chosen:
        driven = batch.begin(dict(zip(chosen, predict(chosen, None), strict=True)))
        rounds = int(rng.integers(1, clicking.rounds + 1))
        now = {i: batch.first[i] for i in driven}
        for turn in range(rounds if driven else 0):
            if turn:
                again = list(driven)
                now = dict(zip(again, predict(again, batch.drawn(again)), strict=True))
            batch.click_errors(now, driven, rounds - turn)
    return ClickedBatch(batch.drawn(range(len(labels))), batch.labels, batch.focus, batch.right)


class _Batch:
    """A batch on which clicks are being placed."""

    def __init__(
        self,
        labels: NDArray[np.uint8],
        classes: int,
        guidance: Guidance,
        clicking: Clicking,
        rng: np.random.Generator,
    ) -> None:
        self.labels = labels.copy()
        self.focus = np.zeros(labels.shape, dtype=np.bool_)
        self.right = np.zeros(labels.shape, dtype=np.bool_)
        self.first: dict[int, NDArray[np.uint8]] = {}
        self._clicks = [Clicks() for _ in labels]
        self._window = Window.whole((labels.shape[1], labels.shape[2]))
        self._classes, self._guidance = classes, guidance
        self._clicking, self._rng = clicking, rng

    def drawn(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return the guidance of crops, ``(len(indices), classes, H, W)``."""
        window = self._window
        return np.stack(
            [
                self._guidance.draw(self._clicks[i], window, self._classes, window.shape)
                for i in indices
            ]
        )

    def begin(self, first: dict[int, NDArray[np.uint8]]) -> dict[int, int]:
        """Click all crops but the error-driven ones, given their labels without clicks.

        Returns
        -------
        dict of int to int
            Error-driven crops, and the number of clicks for each.
        """
        self.first = first
        clicking, rng = self._clicking, self._rng
        driven: dict[int, int] = {}
        for i, predicted in first.items():
            self.right[i] = predicted == self.labels[i]
            kind = rng.random()
            if (kind := kind - clicking.error_driven) < 0:
                driven[i] = _number(rng, clicking.errors)
            elif (kind := kind - clicking.confirming) < 0:
                self._click_where(i, self.right[i], _number(rng, clicking.confirmed))
                self.focus[i] |= self.right[i]
            elif (kind := kind - clicking.border) < 0:
                count = _number(rng, 2 * clicking.errors)
                self._click_where(i, _at_border(self.labels[i]), count)
                for click in self._clicks[i]:
                    self.focus[i] |= _near(click, self._window.shape)
            elif (kind := kind - clicking.contradicting) < 0:
                self._contradict(i)
            else:
                count = _number(rng, _ANYWHERE)
                self._clicks[i] = Clicks(tuple(random_clicks(self.labels[i], count, rng)))
        return driven

    def _click_where(self, i: int, where: NDArray[np.bool_], count: int) -> None:
        candidates = np.where(where, self.labels[i], IGNORE).astype(np.uint8)
        self._clicks[i] = Clicks(tuple(random_clicks(candidates, count, self._rng)))

    def _contradict(self, i: int) -> None:
        """Copy regions of other crops' references into this one, and click them."""
        count = _number(self._rng, self._clicking.errors)
        for other in self._rng.integers(len(self.labels), size=1 + count // 4):
            found = _contradict(self.labels[i], self.labels[other], self._rng)
            if found is not None:
                self.focus[i] |= found[0] | _near(found[1], self._window.shape)
                self._clicks[i] = self._clicks[i].added(found[1])
        self.right[i] &= self.first[i] == self.labels[i]

    def click_errors(
        self, now: dict[int, NDArray[np.uint8]], driven: dict[int, int], rounds: int
    ) -> None:
        """Click crops where they are wrong now, with a share of the remaining clicks."""
        for i, count in driven.items():
            labels = self.labels[i]
            wanted = max(0, math.ceil((count - len(self._clicks[i])) / rounds))
            for click in error_clicks(now[i], labels, wanted, rng=self._rng, min_area=16):
                self._clicks[i] = self._clicks[i].added(click)
                wrong = (now[i] != labels) & (labels == click.label)
                region = _around(wrong, click, _FOLLOWED) | _near(click, self._window.shape)
                self.focus[i] |= region


def _number(rng: np.random.Generator, most: int) -> int:
    """Return a random number from 1 to `most`, uniform on a logarithmic scale."""
    return max(1, round(math.exp(rng.uniform(0, math.log(most + 0.49)))))


def _at_border(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the known pixels at most 3 pixels from another class."""
    low = ndimage.minimum_filter(np.where(labels == IGNORE, 254, labels), 7)
    high = ndimage.maximum_filter(np.where(labels == IGNORE, 0, labels), 7)
    border: NDArray[np.bool_] = (low != high) & (labels != IGNORE)
    return border


def _contradict(
    labels: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.bool_], Click] | None:
    """Copy a region of another reference into this one in place; return its pixels and its click.

    Regions keep the typical shape of their class: a click on a road means a narrow strip, one on a
    field a large patch.
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


def _near(click: Click, shape: tuple[int, int], reach: int = _NEAR) -> NDArray[np.bool_]:
    """Return the disc around a click, in which the map must not change too much either."""
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    near: NDArray[np.bool_] = (rows - click.row) ** 2 + (cols - click.col) ** 2 <= reach**2
    return near


def _around(mask: NDArray[np.bool_], click: Click, reach: int) -> NDArray[np.bool_]:
    """Return the connected part of `mask` at a click, up to `reach` pixels away."""
    parts, _ = ndimage.label(mask & _near(click, (mask.shape[0], mask.shape[1]), reach))
    here = parts[click.pixel]
    return (parts == here) if here else np.zeros_like(mask)
