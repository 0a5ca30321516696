"""Strokes: pixels to which the user has given a class by hand."""

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
    """Pixels that were drawn in one step.

    They have their class in both maps that clicks change, over later clicks and adaptations. Where
    strokes overlap the later one counts; areas that were locked before stay.

    Attributes
    ----------
    number : int
        Its number in the session, in one sequence with locks.
    area : PixelSet
    label : int or None
        Class id; None erases what was drawn there before.
    tool : str
        The tool that drew it.
    teaches : bool
        Whether adaptations learn from its pixels.
    only : tuple of int
        Classes that were drawn over; empty for all.
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


def last_strokes(locks: tuple[object, ...]) -> Iterator[tuple[Stroke, ...]]:
    """Yield the last stroke of a sequence, the last two, and so on, while all have a class."""
    strokes: tuple[Stroke, ...] = ()
    for last in reversed(locks):
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
        Labels of the window; changed in place.
    window : Window
    allowed : (height, width) array of bool
        Pixels with data that are not locked.

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
    painted: NDArray[np.bool_] = (drawn != NO_DATA) & allowed
    labels[painted] = drawn[painted]
    return painted
