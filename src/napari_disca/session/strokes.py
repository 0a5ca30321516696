"""Strokes: pixels that a user has given a class by hand, whatever a network says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.pixel_sets import PixelSet
from napari_disca.annotations.strokes import Tool
from napari_disca.core.tiling import Window
from napari_disca.storage.label_pyramid import NO_DATA


@dataclass(frozen=True, slots=True)
class Stroke:
    """Pixels that were drawn in one go.

    They have their class in both guided maps, over whatever is clicked and adapted later. Of
    strokes that meet the later one counts; an area that was locked before is left as it is.

    Attributes
    ----------
    number : int
        Its name in the session; strokes and locks are counted together.
    area : PixelSet
    label : int or None
        Class id; None takes away what was drawn there before.
    tool : str
        What it was made with.
    teaches : bool
        Whether adaptations learn from its pixels.
    only : tuple of int
        Classes that were drawn over, while others were left; empty for all.
    digest : str
    """

    number: int
    area: PixelSet
    label: int | None
    tool: Tool
    teaches: bool = True
    only: tuple[int, ...] = ()
    digest: str = field(init=False, repr=False)
    kind: ClassVar[Literal["drawn"]] = "drawn"

    def __post_init__(self) -> None:
        facts = repr(("drawn", self.area.digest, self.label))
        digest = hashlib.blake2b(facts.encode(), digest_size=8).hexdigest()
        object.__setattr__(self, "digest", digest)


def last_strokes(held: tuple[object, ...]) -> Iterator[tuple[Stroke, ...]]:
    """Yield the last stroke of a sequence, the last two, ..., while all have a class."""
    strokes: tuple[Stroke, ...] = ()
    for last in reversed(held):
        if not isinstance(last, Stroke) or last.label is None:
            return
        strokes = (last, *strokes)
        yield strokes


def draw_over(
    strokes: Iterable[Stroke],
    labels: NDArray[np.uint8],
    window: Window,
    allowed: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Write the classes of strokes over the labels of a window.

    Parameters
    ----------
    strokes : iterable of Stroke
        Oldest first.
    labels : (height, width) array of uint8
        Of the window; changed in place.
    window : Window
    allowed : (height, width) array of bool
        Where there is data, and nothing is locked.

    Returns
    -------
    (height, width) array of bool
        Which pixels are drawn.
    """
    drawn = np.full(window.shape, NO_DATA, dtype=np.uint8)
    for stroke in strokes:
        cut = stroke.area.window & window
        if cut:
            part = drawn[cut.relative_to(window).slices]
            part[stroke.area.mask(cut)] = NO_DATA if stroke.label is None else stroke.label
    held: NDArray[np.bool_] = (drawn != NO_DATA) & allowed
    labels[held] = drawn[held]
    return held
