"""Shows the bands in the viewer that are chosen in the image panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_disca.core.errors import DiscaError
from napari_disca.gui.toolkit.error_messages import tell_error
from napari_disca.gui.viewer.layers.composite import Composite

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.panels.image.image_panel import ImagePanel
    from napari_disca.gui.tasks.opening.image_choice import ImageChoice


class ShownBands:
    """Keeps the layer of other bands as it is chosen in the panel.

    Parameters
    ----------
    viewer : napari.Viewer
    image_panel : ImagePanel
    choice : ImageChoice
    """

    def __init__(self, viewer: Viewer, image_panel: ImagePanel, choice: ImageChoice) -> None:
        self._composite = Composite(viewer)
        self._image_panel, self._choice = image_panel, choice

    def choose(self) -> None:
        """Show the bands that were just chosen; a message says what cannot be shown."""
        self._composite.clear()
        try:
            self._show()
        except Exception as error:
            tell_error(error)

    def follow(self) -> None:
        """Show the chosen bands of the chosen image; nothing if they cannot be shown."""
        try:
            self._show()
        except DiscaError:
            self._composite.clear()

    def end(self) -> None:
        """Disconnect from the viewer's events."""
        self._composite.end()

    def _show(self) -> None:
        bands = self._image_panel.bands
        image = None if bands.is_as_opened() else self._image_panel.image()
        self._composite.show(image, self._choice.view, bands.bands_on_screen())
