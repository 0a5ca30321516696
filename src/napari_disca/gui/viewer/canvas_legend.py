"""Legend on the canvas: colours and keys of the classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from napari.components.overlays import TextOverlay

from napari_disca.gui.viewer.colour_vision import lab, rgb_of

if TYPE_CHECKING:
    from napari import Viewer

_NAME = "napari_disca_legend_"
#: More lines would cover the image.
_MOST = 20
#: Lightness (CIELAB) from which on black letters are easier to read than white ones.
_LIGHT = 55


class CanvasLegend:
    """Shows a line of text on its colour for each class, in a corner of the canvas.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        self._overlays = viewer.canvas.overlays
        viewer.canvas.overlay_tiling.bottom_left = "vertical"
        #: The arguments of the last `show`.
        self._listed: tuple[Any, ...] = ()
        self.visible = True

    def show(
        self,
        classes: Sequence[Any],
        alone: int | None = None,
        order: Sequence[int] | None = None,
        hidden: Collection[int] = (),
    ) -> None:
        """List classes in the legend.

        Parameters
        ----------
        classes : sequence of LandClass
        alone : int, optional
            The only class that the map shows.
        order : sequence of int, optional
            Order of the lines and their keys; as `classes` by default.
        hidden : collection of int
            Classes that the map does not show.
        """
        order = tuple(range(len(classes))) if order is None else tuple(order)
        listed = (tuple(classes), alone, order, frozenset(hidden))
        if listed == self._listed:
            return
        self.clear()
        self._listed = listed
        # The overlay that is added first is the lowest.
        for i, label in reversed(list(enumerate(order[:_MOST]))):
            land = classes[label]
            seen = alone == label or (alone is None and label not in hidden)
            key = f"{i + 1}  " if i < 9 else "    "
            light = lab(rgb_of(land.color))[0] > _LIGHT
            self._overlays[f"{_NAME}{i:02}"] = TextOverlay(
                text=f"{key}{land.name}",
                position="bottom_left",
                box=True,
                box_color=land.color,
                color="black" if light else "white",
                font_size=9,
                opacity=1.0 if seen else 0.35,
                visible=self.visible,
            )

    def toggle(self) -> None:
        """Show the legend if it is hidden, else hide it."""
        self.set_visible(not self.visible)

    def set_visible(self, visible: bool) -> None:
        """Show or hide the legend, now and for later classes."""
        self.visible = visible
        for name in self._names():
            self._overlays[name].visible = self.visible

    def clear(self) -> None:
        """Remove the legend from the canvas."""
        for name in self._names():
            del self._overlays[name]
        self._listed = ()

    def _names(self) -> list[str]:
        return [name for name in self._overlays if name.startswith(_NAME)]
