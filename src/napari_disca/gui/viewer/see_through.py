"""How much of the image is seen through the map: hide, outline, opacity, one class, uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points
from qtpy.QtCore import QTimer

from napari_disca.gui.viewer.class_colormap import class_colormap
from napari_disca.gui.viewer.class_colours import shown_classes
from napari_disca.gui.viewer.heat import Heat
from napari_disca.gui.viewer.host import COPY
from napari_disca.gui.viewer.windows import scene_kept

if TYPE_CHECKING:
    from napari_disca.gui.viewer.host import LayerHost

#: A key that is held longer than this only peeks, in seconds.
_TAP = 0.3
#: Opacity at first: of areas, which cover the image, and of outlines, which hardly do.
_OPACITY = {"fill": 0.5, "outline": 1.0}
#: Opacity lost or gained with a key, and the least: what is less is hidden by its own key.
_STEP, _LEAST = 0.1, 0.1
#: Width of an outline in pixels of the screen, and the most in pixels of the map.
_OUTLINE, _THICKEST = 2.0, 8
#: How a layer shows the classes, in its metadata.
_SHOWN = "shown"


class SeeThrough:
    """Changes how the maps of a session look; the maps stay what they are.

    Parameters
    ----------
    say : callable
        Told the one line that the user should read.

    Attributes
    ----------
    style : "fill" or "outline"
    isolated : int or None
        The class that is shown alone.
    heat : Heat
        The uncertainty.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._layers: LayerHost | None = None
        self.style = "fill"
        self.isolated: int | None = None
        self.heat = Heat()
        self._opacity = dict(_OPACITY)
        #: What was hidden by us, to be shown again.
        self._hidden: list[Any] = []
        #: The layer of what is out of date while it is transparent, and how opaque it was.
        self._stale: tuple[Labels, float] | None = None
        self._blank = False

    def begin_with(self, style: str, opacity: float) -> None:
        """Show maps so, now and when another image is opened: areas so opaque, or outlines."""
        self.style = style
        self._opacity["fill"] = opacity
        self.apply()

    def attach(self, layers: LayerHost | None) -> None:
        """Work on the layers of another session, or on none."""
        if self._layers is not None:
            self._layers.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.heat.attach(layers)
        self._hidden, self._blank, self.isolated = [], False, None
        self._stale = None
        self._layers = layers
        if layers is not None:
            layers.viewer.layers.events.inserted.connect(self._on_inserted)
            self.recolour()

    def _on_inserted(self, event: Any) -> None:
        about = event.value.metadata.get("napari_disca", {})
        if isinstance(event.value, Labels) and about.get("map") is not None:
            self._dress(event.value)
        elif isinstance(event.value, Points) and COPY in about:
            # It is among the session's clicks, and has its features, only after this event.
            QTimer.singleShot(0, self.recolour)

    # ------------------------------------------------------------------ hide and peek

    @property
    def hidden(self) -> bool:
        """Whether no map is to be seen."""
        maps = self._maps()
        return self._blank or not any(layer.visible for layer in maps)

    def press_hide(self) -> None:
        """The key goes down: the map goes, or comes back, at once."""
        self.toggle()

    def release_hide(self, held: float) -> None:
        """The key comes up after so many seconds: if it was held, all is as it was before."""
        if held > _TAP:
            self.toggle()

    def toggle(self) -> None:
        """Hide the map on top, or show it again."""
        if not self._maps():
            self._say("There is no map yet: press Segment")
        elif self.hidden:
            self._show()
        else:
            self._hide()

    def _hide(self) -> None:
        layers = self._attached()
        if layers.comparing:
            # A hidden layer would lose its place in the grid.
            self._blank = True
            self.apply()
            return
        over = [*self._maps(), self.heat.layer]
        self._hidden = [layer for layer in over if layer is not None and layer.visible]
        with scene_kept(layers.viewer):
            for layer in self._hidden:
                layer.visible = False
        # Not hidden: that is for the user to do, in the list of layers.
        stale = layers.stale
        if stale is not None and self._stale is None:
            self._stale = stale, stale.opacity
            stale.opacity = 0.0

    def _show_stale(self) -> None:
        """Show what is out of date again, as it was."""
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
        there = [layer for layer in self._hidden if layer in layers.viewer.layers]
        if not any(layer in self._maps() for layer in there):
            there.append(layers.maps.get(layers.session.corrected) or self._maps()[-1])
        with scene_kept(layers.viewer):
            for layer in there:
                layer.visible = True
        self._hidden = []
        self._show_stale()

    # ------------------------------------------------------------------ looks

    def next_style(self) -> None:
        """Fill, then outline, then off."""
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
        """Make the map more opaque by so many steps, or less."""
        wanted = self._opacity[self.style] + steps * _STEP
        self._opacity[self.style] = round(min(1.0, max(_LEAST, wanted)), 2)
        self.apply()
        self._say(f"Map: {self._opacity[self.style]:.0%} opaque")

    def isolate(self, label: int) -> None:
        """Show one class only, or all again."""
        if self._layers is None or not self._maps():
            self._say("There is no map yet: press Segment")
            return
        classes = self._layers.session.classes
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

    def toggle_heat(self) -> None:
        """Show or hide the uncertainty."""
        self._say(self.heat.toggle())

    def apply(self) -> None:
        """Make all maps look as is chosen."""
        for layer in self._maps():
            self._dress(layer)

    def recolour(self) -> None:
        """Show maps and clicks in the colours that are chosen."""
        self.apply()
        for layer in self._layers.clicks if self._layers is not None else ():
            self._dress_clicks(layer)

    def _dress_clicks(self, layer: Points) -> None:
        classes = shown_classes(self._attached().session)
        layer.face_color_cycle = {land.name: land.color for land in classes}

    def _dress(self, layer: Labels) -> None:
        opacity = 0.0 if self._blank else self._opacity[self.style]
        if layer.opacity != opacity:
            layer.opacity = opacity
        thickness = self._thickness(layer) if self.style == "outline" else 0
        if layer.contour != thickness:
            layer.contour = thickness
        # Not `show_selected_label`: with colours of its own, napari then draws nothing at all.
        about, session = layer.metadata["napari_disca"], self._attached().session
        classes, hidden = shown_classes(session), session.class_table.hidden
        wanted = (self.isolated, classes, hidden)
        if about.get(_SHOWN) != wanted:
            about[_SHOWN] = wanted
            layer.colormap = class_colormap(classes, self.isolated, hidden)

    def _thickness(self, layer: Labels) -> int:
        """Pixels of the level on screen that are as thick as an outline."""
        per_pixel = self._attached().screen_pixels(_OUTLINE)
        if layer.multiscale:
            per_pixel /= float(layer.downsample_factors[layer.data_level][-1])
        return int(min(_THICKEST, max(1, round(per_pixel))))

    def follow(self) -> None:
        """Keep outlines as thick as they are; to be called several times a second."""
        if self._layers is None:
            return
        if self._blank and not self._layers.comparing:
            # Side by side has ended: from now on hidden is hidden.
            self._blank = False
            self.apply()
            self._hide()
        if not self.hidden:
            self._show_stale()  # also if somebody else has shown the map
            if self.style == "outline":
                self.apply()
        self.heat.follow()

    def _attached(self) -> LayerHost:
        """The layers; to be called where there are some."""
        assert self._layers is not None
        return self._layers

    def _maps(self) -> list[Labels]:
        return list(self._layers.maps.values()) if self._layers is not None else []
