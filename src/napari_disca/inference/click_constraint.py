"""A click is obeyed: its pixel gets the class that the user gave it.

A network that reads a click nearly always follows it, but it is not bound to. Where it does not,
the logits of the clicked class are raised by as much as the pixel lacks, less and less around it::

    L'_y(x) = L_y(x) + a * max(0, 1 - |x - c| / r)

for a click at pixel ``c`` of class ``y``, with the least ``a >= 0`` for which ``L'_y(c)`` is above
the other classes by a margin. So neighbours that were nearly as likely of that class follow, and
nothing changes where the class is ahead by the margin without that.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.guidance import cone
from napari_disca.core.tiling import Window

#: How far the clicked class is above the others, so that resampling to the image keeps it there.
_MARGIN = 0.5
#: Raising one click's class may overrule a click beside it.
_ROUNDS = 8


def constrained(logits: Tensor, clicks: Clicks, box: Window, radius: int) -> Tensor:
    """Logits in which every click's class is the likeliest at its pixel.

    Where clicks of several classes lie within `radius` of each other they may overrule each other;
    after some rounds what is reached is taken.

    Parameters
    ----------
    logits : (classes, height, width) tensor
        Left as it was.
    clicks : Clicks
        On the grid of `box`; those outside of it do nothing.
    box : Window
        Where the logits lie.
    radius : int
        The formula's r, pixels.

    Returns
    -------
    (classes, height, width) tensor
        The same one if there is nothing to do.
    """
    # By their places: sums in low precision depend on the order of what is added.
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
    """By how much the class of every click is below the margin over the others.

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
    there = logits[(click.label, *seen.relative_to(box).slices)]
    there += lack * _stamp(radius, logits.device, logits.dtype)[seen.relative_to(around).slices]


@lru_cache(maxsize=8)
def _stamp(radius: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(cone(radius)).to(device, dtype)
