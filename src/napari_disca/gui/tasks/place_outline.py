"""Decides which place is outlined: the place of a review, or a region of the ripple."""

from __future__ import annotations

from collections.abc import Callable

from napari_disca.core.tiling import Window


class PlaceOutline:
    """Shares one outline between review and ripple: the latest request is shown.

    Parameters
    ----------
    show : callable
        Shows the outline of a window of the image; of None, nothing.
    """

    def __init__(self, show: Callable[[Window | None], object]) -> None:
        self._show = show
        self._of: dict[str, Window] = {}

    def review(self, window: Window | None) -> None:
        """Outline the place of a review; with None, no longer."""
        self._ask("review", window)

    def region(self, window: Window | None) -> None:
        """Outline a region of the ripple; with None, no longer."""
        self._ask("region", window)

    def _ask(self, who: str, window: Window | None) -> None:
        if self._of.get(who) == window:
            return
        self._of.pop(who, None)  # the latest request is the last
        if window is not None:
            self._of[who] = window
        self._show(next(reversed(self._of.values()), None))
