"""Interface of `SessionLayers` for its parts, so that they need not import it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from napari.layers import Image, Labels, Layer, Points

from napari_disca.gui.viewer.layers.following import Following
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari import Viewer

#: Key in a layer's metadata that marks the second layer of an image or of clicks.
COPY = "copy"


class LayerHost(Protocol):
    """The layers of a session, as their parts use them."""

    viewer: Viewer
    session: Session
    image: Image
    maps: dict[str, Labels]
    following: Following

    @property
    def stale(self) -> Labels | None:
        """The layer that hatches what is out of date; None once the user has removed it."""

    @property
    def clicks(self) -> list[Points]:
        """The Points layers of the clicks, one in each view."""

    @property
    def comparing(self) -> bool:
        """Whether the two maps are shown side by side."""

    @property
    def redraws_soon(self) -> bool:
        """Whether maps were painted that are not redrawn yet."""

    def show(self) -> None:
        """Add the layers that are missing in the viewer."""

    def placement(self) -> dict[str, Any]:
        """Return where the image layer lies, as keywords of a layer on the same grid."""

    def add_clicks(self, name: str) -> Points:
        """Add a Points layer of the clicks, and return it."""

    def adopt(self, layer: Layer) -> None:
        """Add a layer to the session's, below the clicks."""

    def screen_pixels(self, count: float) -> float:
        """Return how many pixels of the image are so many pixels of the screen."""

    def sees_all(self) -> bool:
        """Whether the whole image is on the screen, except for a margin."""

    def end_comparison(self) -> None:
        """Show the maps on top of each other again."""
