"""Which place is outlined: the one that a review asks about, or a region that was changed."""

from __future__ import annotations

from collections.abc import Callable

from napari_disca.core.tiling import Window


class PlaceOutline:
    """One outline for two who want it; the one who asked last has it.

    Parameters
    ----------
    show : callable
        Shows the outline of a window of the image; of None, nothing.
    """

    def __init__(self, show: Callable[[Window | None], object]) -> None:
        self._show = show
        self._of: dict[str, Window] = {}

    def review(self, window: Window | None) -> None:
        """Outline the place of a review; None: there is none any more."""
        self._ask("review", window)

    def region(self, window: Window | None) -> None:
        """Outline a region of the ripple; None: there is none any more."""
        self._ask("region", window)

    def _ask(self, who: str, window: Window | None) -> None:
        if self._of.get(who) == window:
            return
        self._of.pop(who, None)  # whoever asks last comes last
        if window is not None:
            self._of[who] = window
        self._show(next(reversed(self._of.values()), None))
