"""Changes how the map covers the image: hide, outline, opacity, one class, uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Labels, Points
from qtpy.QtCore import QTimer

from napari_disca.gui.toolkit.windows import without_rebuilding_overlays
from napari_disca.gui.viewer.colours.class_colormap import class_colormap
from napari_disca.gui.viewer.colours.class_colours import shown_classes
from napari_disca.gui.viewer.layers.layer_host import COPY
from napari_disca.gui.viewer.layers.uncertainty_layer import UncertaintyLayer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event

    from napari_disca.gui.viewer.layers.layer_host import LayerHost

#: Seconds from which on a key that is held only peeks.
_TAP = 0.3
#: First opacity of areas and of outlines, which cover less of the image.
_OPACITY = {"fill": 0.5, "outline": 1.0}
#: Step of the opacity, and its least value.
_STEP, _LEAST = 0.1, 0.1
#: Width of an outline in pixels of the screen, and its largest in pixels of the map.
_OUTLINE, _THICKEST = 2.0, 8
#: Key in a layer's metadata of how it shows the classes.
_SHOWN = "shown"


class SeeThrough:
    """Changes how the maps of a session are shown; their classes stay.

    Parameters
    ----------
    say : callable
        Shows a line in the status bar.

    Attributes
    ----------
    style : "fill" or "outline"
    isolated : int or None
        The class that is shown alone; None if all are shown.
    uncertainty : UncertaintyLayer
        The layer of the uncertainty.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._layers: LayerHost | None = None
        self.style = "fill"
        self.isolated: int | None = None
        self.uncertainty = UncertaintyLayer()
        self._opacity = dict(_OPACITY)
        #: Layers that this has hidden, to be shown again.
        self._hidden: list[Layer] = []
        #: The hatching while it is transparent, and its opacity before.
        self._stale: tuple[Labels, float] | None = None
        self._blank = False

    def set_defaults(self, style: str, opacity: float) -> None:
        """Set style and opacity of areas, for this session and later ones."""
        self.style = style
        self._opacity["fill"] = opacity
        self.apply()

    def attach(self, layers: LayerHost | None) -> None:
        """Use the layers of another session, or none."""
        if self._layers is not None:
            self._layers.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.uncertainty.attach(layers)
        self._hidden, self._blank, self.isolated = [], False, None
        self._stale = None
        self._layers = layers
        if layers is not None:
            layers.viewer.layers.events.inserted.connect(self._on_inserted)
            self.recolour()

    def _on_inserted(self, event: Event) -> None:
        about = event.value.metadata.get("napari_disca", {})
        if isinstance(event.value, Labels) and about.get("map") is not None:
            self._apply_style(event.value)
        elif isinstance(event.value, Points) and COPY in about:
            # Later: the layer gets its features only after this event.
            QTimer.singleShot(0, self.recolour)

    # ------------------------------------------------------------------ hide and peek

    @property
    def hidden(self) -> bool:
        """Whether all maps are hidden."""
        maps = self._maps()
        return self._blank or not any(layer.visible for layer in maps)

    def press_hide(self) -> None:
        """Hide the map, or show it again, when the key is pressed."""
        self.toggle()

    def release_hide(self, seconds: float) -> None:
        """Undo the change when the key is released, if it was held for more than a moment."""
        if seconds > _TAP:
            self.toggle()

    def toggle(self) -> None:
        """Hide the top map, or show it again."""
        if not self._maps():
            self._say("There is no map yet: press Segment")
        elif self.hidden:
            self._show()
        else:
            self._hide()

    def _hide(self) -> None:
        layers = self._attached()
        if layers.comparing:
            # A hidden layer would lose its view in the grid.
            self._blank = True
            self.apply()
            return
        over = [*self._maps(), self.uncertainty.layer]
        self._hidden = [layer for layer in over if layer is not None and layer.visible]
        with without_rebuilding_overlays(layers.viewer):
            for layer in self._hidden:
                layer.visible = False
        # Transparent, not hidden: the user may have hidden it in the list of layers.
        stale = layers.stale
        if stale is not None and self._stale is None:
            self._stale = stale, stale.opacity
            stale.opacity = 0.0

    def _show_stale(self) -> None:
        """Show the hatching again with its opacity."""
        if self._stale is not None:
            layer, opacity = self._stale
            layer.opacity = opacity
            self._stale = None

    def _show(self) -> None:
        layers = self._attached()
        if self._blank:
            self._blank = False
            self.apply()
            return
        hidden = [layer for layer in self._hidden if layer in layers.viewer.layers]
        if not any(layer in self._maps() for layer in hidden):
            hidden.append(layers.maps.get(layers.session.document.corrected) or self._maps()[-1])
        with without_rebuilding_overlays(layers.viewer):
            for layer in hidden:
                layer.visible = True
        self._hidden = []
        self._show_stale()

    # ------------------------------------------------------------------ looks

    def next_style(self) -> None:
        """Change the style: fill, outline, off in turn."""
        if not self._maps():
            self._say("There is no map yet: press Segment")
            return
        if self.hidden:
            self.style = "fill"
            self.apply()
            self._show()
            self._say("Map: filled")
        elif self.style == "fill":
            self.style = "outline"
            self.apply()
            self._say("Map: outlines")
        else:
            self._hide()
            self._say("Map: off")

    def change_opacity(self, steps: int) -> None:
        """Make the map more opaque by steps; negative ones make it less opaque."""
        wanted = self._opacity[self.style] + steps * _STEP
        self._opacity[self.style] = round(min(1.0, max(_LEAST, wanted)), 2)
        self.apply()
        self._say(f"Map: {self._opacity[self.style]:.0%} opaque")

    def isolate(self, label: int) -> None:
        """Show one class only; the same class again shows all."""
        if self._layers is None or not self._maps():
            self._say("There is no map yet: press Segment")
            return
        classes = self._layers.session.document.classes
        if label >= len(classes):
            self._say(f"There are {len(classes)} classes")
            return
        self.isolated = None if self.isolated == label else label
        self.apply()
        self._say(
            "All classes are shown"
            if self.isolated is None
            else f"Only {classes[label].name} is shown"
        )

    def toggle_uncertainty(self) -> None:
        """Show or hide the layer of the uncertainty."""
        self._say(self.uncertainty.toggle())

    def apply(self) -> None:
        """Apply style, opacity and the single class to all maps."""
        for layer in self._maps():
            self._apply_style(layer)

    def recolour(self) -> None:
        """Apply the chosen colours to maps and clicks."""
        self.apply()
        for layer in self._layers.clicks if self._layers is not None else ():
            self._colour_clicks(layer)

    def _colour_clicks(self, layer: Points) -> None:
        classes = shown_classes(self._attached().session)
        layer.face_color_cycle = {land.name: land.color for land in classes}

    def _apply_style(self, layer: Labels) -> None:
        opacity = 0.0 if self._blank else self._opacity[self.style]
        if layer.opacity != opacity:
            layer.opacity = opacity
        thickness = self._thickness(layer) if self.style == "outline" else 0
        if layer.contour != thickness:
            layer.contour = thickness
        # Not by `show_selected_label`, with which napari draws nothing in custom colours.
        about, session = layer.metadata["napari_disca"], self._attached().session
        classes, hidden = shown_classes(session), session.document.class_table.hidden
        wanted = (self.isolated, classes, hidden)
        if about.get(_SHOWN) != wanted:
            about[_SHOWN] = wanted
            layer.colormap = class_colormap(classes, self.isolated, hidden)

    def _thickness(self, layer: Labels) -> int:
        """Return the width of an outline in pixels of the level on screen."""
        per_pixel = self._attached().screen_pixels(_OUTLINE)
        if layer.multiscale:
            per_pixel /= float(layer.downsample_factors[layer.data_level][-1])
        return int(min(_THICKEST, max(1, round(per_pixel))))

    def follow(self) -> None:
        """Keep the width of outlines at every zoom; called several times a second."""
        if self._layers is None:
            return
        if self._blank and not self._layers.comparing:
            # The maps are no longer side by side: now a hidden layer can be hidden.
            self._blank = False
            self.apply()
            self._hide()
        if not self.hidden:
            self._show_stale()  # also if the map was shown in the list of layers
            if self.style == "outline":
                self.apply()
        self.uncertainty.follow()

    def _attached(self) -> LayerHost:
        """Return the layers; called only while a session is open."""
        assert self._layers is not None
        return self._layers

    def _maps(self) -> list[Labels]:
        return list(self._layers.maps.values()) if self._layers is not None else []
