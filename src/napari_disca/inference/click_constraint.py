"""Logits are raised around clicks until every clicked pixel has the class of its click.

A network that reads a click nearly always predicts its class there, but not always. Where it does
not, the logits of the clicked class are raised, most at the click and less with the distance::

    L'_y(x) = L_y(x) + a * max(0, 1 - |x - c| / r)

for a click at pixel ``c`` of class ``y``, with the least ``a >= 0`` for which ``L'_y(c)`` exceeds
the other classes' logits by a margin. Neighbours that were nearly as likely of that class change
with it. Nothing changes where the class already has the margin.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import cone
from napari_disca.core.tiling import Window

#: Margin in logits, enough for the class to stay the likeliest after resampling to the image.
_MARGIN = 0.5
#: Most rounds over all clicks: raising the class of one click may undo a click beside it.
_ROUNDS = 8


def constrained(logits: Tensor, clicks: Clicks, box: Window, radius: int) -> Tensor:
    """Return logits in which every click's class is the likeliest at its pixel.

    Clicks of several classes within `radius` of each other may undo each other; the result is
    then what eight rounds over all clicks have reached.

    Parameters
    ----------
    logits : (classes, height, width) tensor
        Not changed.
    clicks : Clicks
        In pixels of the network's grid; those outside `box` have no effect.
    box : Window
        The window of the logits.
    radius : int
        The formula's r, pixels.

    Returns
    -------
    (classes, height, width) tensor
        The same object if nothing has to change.
    """
    # Sorted, because sums in low precision depend on the order of their terms.
    seen = Clicks(tuple(sorted(clicks.inside(box), key=lambda click: click.pixel)))
    if not seen:
        return logits
    rows, cols, labels = (torch.from_numpy(a).to(logits.device) for a in seen.arrays())
    rows, cols = rows - box.top, cols - box.left
    result = logits
    for _ in range(_ROUNDS):
        lacking = _lacking(result[:, rows, cols].T, labels).tolist()
        if max(lacking) <= 0:
            break
        if result is logits:
            result = logits.clone()
        for click, lack in zip(seen, lacking, strict=True):
            if lack > 0:
                _raise(result, click, lack, box, radius)
    return result


def _lacking(clicked: Tensor, labels: Tensor) -> Tensor:
    """Return by how much the logit of each click's class lacks the margin over the others.

    Parameters
    ----------
    clicked : (clicks, classes) tensor
    labels : (clicks,) tensor
    """
    own = clicked.gather(1, labels[:, None])[:, 0]
    others = clicked.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return (others + _MARGIN - own).float()


def _raise(logits: Tensor, click: Click, lack: float, box: Window, radius: int) -> None:
    around = Window(click.row, click.col, 1, 1).grown(radius)
    seen = around & box
    disc = logits[(click.label, *seen.relative_to(box).slices)]
    disc += lack * _stamp(radius, logits.device, logits.dtype)[seen.relative_to(around).slices]


@lru_cache(maxsize=8)
def _stamp(radius: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(cone(radius)).to(device, dtype)
