"""Decides which place is outlined: the place of a review, or a region of the ripple."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from napari_disca.core.tiling import Window

#: Row and column of the image.
Pixel: TypeAlias = tuple[int, int]


class PlaceOutline:
    """Shares one outline between review and ripple: the latest request is shown.

    Parameters
    ----------
    show : callable
        Shows the outline of a window of the image, and marks a pixel; of None, nothing.
    """

    def __init__(self, show: Callable[[Window | None, Pixel | None], object]) -> None:
        self._show = show
        self._of: dict[str, tuple[Window, Pixel | None]] = {}

    def review(self, window: Window | None, middle: Pixel | None = None) -> None:
        """Outline the place of a review, and mark the pixel that a verdict clicks."""
        self._ask("review", window, middle)

    def region(self, window: Window | None) -> None:
        """Outline a region of the ripple; with None, no longer."""
        self._ask("region", window, None)

    def _ask(self, who: str, window: Window | None, pixel: Pixel | None) -> None:
        wanted = None if window is None else (window, pixel)
        if self._of.get(who) == wanted:
            return
        self._of.pop(who, None)  # the latest request is the last
        if wanted is not None:
            self._of[who] = wanted
        self._show(*next(reversed(self._of.values()), (None, None)))
