"""What the parts of `layers` ask of it: they know this, and only it knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from napari.layers import Image, Labels, Layer, Points

from napari_disca.gui.viewer.following import Following
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari import Viewer

#: Marks a second view of something in a layer's metadata.
COPY = "copy"


class LayerHost(Protocol):
    """The layers of a session, as their parts see them."""

    viewer: Viewer
    session: Session
    image: Image
    maps: dict[str, Labels]
    following: Following

    @property
    def stale(self) -> Labels | None:
        """The hatching over what is out of date; None once the user has removed it."""

    @property
    def clicks(self) -> list[Points]:
        """The clicks, once in each view."""

    @property
    def comparing(self) -> bool:
        """Whether DISIR and DISCA are side by side."""

    def show(self) -> None:
        """Add the layers that are not there (yet, or any more)."""

    def placement(self) -> dict[str, Any]:
        """Where the image layer lies, for layers on the same grid."""

    def add_clicks(self, name: str) -> Points:
        """Add a layer of the clicks."""

    def adopt(self, layer: Layer) -> None:
        """Put another layer of the session below the clicks."""

    def screen_pixels(self, count: float) -> float:
        """Pixels of the image that so many pixels of the screen show."""

    def sees_all(self) -> bool:
        """Whether the whole image is on screen, but for a margin."""

    def end_comparison(self) -> None:
        """Put the maps back on top of each other."""
