"""The colours that classes are shown in: the network's, or safer ones where those look alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_disca.gui.viewer.colour_vision import alike, safer

if TYPE_CHECKING:
    from napari_disca.networks.card import LandClass


class ClassColours:
    """Chooses colours for display; what is saved keeps the network's.

    Attributes
    ----------
    wanted : bool or None
        Whether the user wants the safer colours; None until somebody has chosen: then they are
        shown where the network's look alike.
    """

    def __init__(self) -> None:
        self.wanted: bool | None = None

    def safe(self, classes: Sequence[LandClass]) -> bool:
        """Whether these classes are shown in the safer colours."""
        return self.wanted if self.wanted is not None else bool(_alike(classes))

    def shown(self, classes: Sequence[LandClass]) -> tuple[LandClass, ...]:
        """The classes with the colours that they are shown in."""
        if not self.safe(classes):
            return tuple(classes)
        colours = safer([land.color for land in classes])
        return tuple(
            replace(land, color=colour) for land, colour in zip(classes, colours, strict=True)
        )

    def toggle(self, classes: Sequence[LandClass]) -> str:
        """Show the other colours; what to tell the user."""
        self.wanted = not self.safe(classes)
        which = "safer colours" if self.wanted else "the network's colours"
        return f"Classes are shown in {which}; files keep the network's"

    def warning(self, classes: Sequence[LandClass]) -> str:
        """What to tell about colours that look alike; empty where none do."""
        pairs = _alike(classes)
        if not pairs:
            return ""
        first, second, _ = pairs[0]
        names = f"{classes[first].name} and {classes[second].name}"
        names = names[:1].upper() + names[1:]
        more = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
        if _alike(self.shown(classes)):
            return f"{names}{more} look alike to some eyes"
        return f"{names}{more} would look alike to some eyes: safer colours"


def _alike(classes: Sequence[LandClass]) -> list[tuple[int, int, float]]:
    return alike([land.color for land in classes])
