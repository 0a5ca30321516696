"""Shows in the viewer the bands that the image panel says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_disca.core.errors import DiscaError
from napari_disca.gui.tasks.telling import tell_error
from napari_disca.gui.viewer.composite import Composite

if TYPE_CHECKING:
    from napari import Viewer

    from napari_disca.gui.panels.image_panel import ImagePanel
    from napari_disca.gui.tasks.image_choice import ImageChoice


class ShownBands:
    """Keeps the composite in the viewer as it is chosen in the panel.

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
        """Show the bands that were chosen now; what cannot be shown is told, once."""
        self._composite.clear()
        try:
            self._show()
        except Exception as error:
            tell_error(error)

    def follow(self) -> None:
        """Show the chosen bands of the image that is chosen now, or nothing."""
        try:
            self._show()
        except DiscaError:
            self._composite.clear()

    def end(self) -> None:
        """Hear no more of the viewer."""
        self._composite.end()

    def _show(self) -> None:
        bands = self._image_panel.bands
        image = None if bands.is_as_opened() else self._image_panel.image()
        self._composite.show(image, self._choice.view, bands.bands_on_screen())
