"""Shows a session in the viewer, and touches no other layers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels, Layer, Points
from qtpy.QtCore import QObject, QTimer

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Patch
from napari_disca.core.tiling import Window
from napari_disca.gui.toolkit.windows import (
    leave_out_empty_text,
    redraw_labels,
    without_rebuilding_overlays,
)
from napari_disca.gui.viewer.canvas.camera import camera_of, view_size
from napari_disca.gui.viewer.colours.class_colormap import class_colormap, class_features
from napari_disca.gui.viewer.layers.click_layers import ClickLayers
from napari_disca.gui.viewer.layers.comparison import Comparison
from napari_disca.gui.viewer.layers.following import Following, pixel_size
from napari_disca.gui.viewer.layers.locked_areas import LockedAreas
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.gui.viewer.layers.stale_layer import StaleLayer
from napari_disca.session.session import Session

if TYPE_CHECKING:
    from napari import Viewer
    from napari.utils.events import Event

CLICKS = "Clicks"
#: Milliseconds between two redraws of a map that is being painted.
_REDRAW = 60
#: Most pixels of the screen for a pixel of the image when the program moves the camera.
_CLOSEST = 8
#: Diameter of a click in pixels of the screen.
_MARKER = 15


class SessionLayers(QObject):
    """Shows maps, clicks and areas of a session on top of its image layer.

    Parameters
    ----------
    viewer : napari.Viewer
    session : Session
    image : napari.layers.Image
    report : callable
        Shows why an edit of the layers was refused, in one line.

    Attributes
    ----------
    maps : dict of str to Labels
        The layers of maps in the viewer, by the map's name.
    click_layers : ClickLayers
        The Points layers of the clicks.
    following : Following
        Keeps the session's layers where the image lies.
    stale_layer : StaleLayer
        The layer that hatches what is out of date.
    """

    def __init__(
        self,
        viewer: Viewer,
        session: Session,
        image: Image,
        report: Callable[[str], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session = session
        self.image = image
        self.maps: dict[str, Labels] = {}
        self.click_layers = ClickLayers(session, report)
        self.following = Following(image, report)
        self.stale_layer = StaleLayer(self, self)
        self.locked: LockedAreas | None = None
        self._report = report
        self._comparison: Comparison | None = None
        self._dirty: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(_REDRAW)
        self._timer.timeout.connect(self.redraw)
        session.painted.connect(self._on_painted)
        session.document.clicks_changed.connect(self._on_session_clicks)
        viewer.layers.events.removed.connect(self._on_removed)

    # ------------------------------------------------------------------ layers

    def show(self) -> None:
        """Add the layers that are missing in the viewer."""
        for name in TITLES:
            if name not in self.maps:
                self.maps[name] = self._add_map(name)
        if self.locked is not None:
            self.locked.show()
        # Now, not when a tile is first out of date: adding a layer stalls the window.
        self.stale_layer.show()
        self._show_clicks()

    def placement(self) -> dict[str, Any]:
        """Return where the image layer lies, as keywords of a layer on the same grid."""
        return self.following.placement()

    def _add_map(self, name: str) -> Labels:
        levels = list(self.session.maps[name].levels)
        classes = self.session.document.classes
        shown = "disca" if self.session.document.adapted is not None else "disir"
        layer = Labels(
            levels if len(levels) > 1 else levels[0],
            name=TITLES[name],
            multiscale=len(levels) > 1,
            opacity=0.5,
            visible=name == shown,
            colormap=class_colormap(classes),
            features=class_features(classes),
            metadata={"napari_disca": {"map": name, "session": self.session}},
            **self.placement(),
        )
        layer.editable = False
        self.viewer.add_layer(layer)
        self.following.add(layer)
        if self.clicks and self.clicks[0] in self.viewer.layers:
            # Clicks stay on top of a map that is added again.
            layers = self.viewer.layers
            layers.move(layers.index(layer), layers.index(self.clicks[0]))
        return layer

    def _show_clicks(self) -> None:
        if not self.clicks:
            self.add_clicks(CLICKS)

    def add_clicks(self, name: str) -> Points:
        """Add a Points layer of the clicks, and return it."""
        layer = self.click_layers.make(name, self._click_size(), self.placement())
        self.viewer.add_layer(layer)
        leave_out_empty_text(self.viewer, layer)
        self.following.add(layer)
        self.click_layers.begin(layer)
        return layer

    @property
    def stale(self) -> Labels | None:
        """The layer that hatches what is out of date; None once the user has removed it."""
        return self.stale_layer.layer

    @property
    def clicks(self) -> list[Points]:
        """The Points layers of the clicks, one in each view."""
        return self.click_layers.layers

    @property
    def label(self) -> int:
        """Class of the next click."""
        return self.click_layers.label

    # ------------------------------------------------------------------ clicks

    def arm(self, label: int) -> None:
        """Choose the class of the next click, and make the Points layer active for adding."""
        self._show_clicks()
        self.click_layers.arm(label)
        active = self.viewer.layers.selection.active
        target = active if active in self.clicks else self.clicks[0]  # two when side by side
        self.viewer.layers.selection.active = target
        target.mode = "add"

    def _on_session_clicks(self, _clicks: Clicks) -> None:
        self.click_layers.show()

    # ------------------------------------------------------------------ painting

    def _on_painted(self, patch: Patch) -> None:
        if patch.map in self.maps:
            self._dirty.add(patch.map)
            if not self._timer.isActive():
                self._timer.start()

    def redraw(self) -> None:
        """Redraw the maps that were painted; called by a timer, so that patches do not queue up."""
        if not self._dirty:
            self._timer.stop()
            return
        for name in self._dirty & self.maps.keys():
            redraw_labels(self.maps[name])  # a hidden one is drawn again when it is shown
        self._dirty.clear()
        self.stale_layer.follow_map()

    @property
    def redraws_soon(self) -> bool:
        """Whether maps were painted that are not redrawn yet."""
        return bool(self._dirty)

    def settle(self) -> None:
        """Redraw everything, thumbnails too, when a task has ended."""
        self.stale_layer.redraw()
        self._timer.stop()
        self._dirty.clear()
        for layer in self.maps.values():
            layer.refresh(extent=False, highlight=False)

    def screen_pixels(self, count: float) -> float:
        """Return how many pixels of the image are so many pixels of the screen."""
        zoom = camera_of(self.viewer).zoom * pixel_size(self.image)
        return count / max(float(zoom), 1e-6)

    def _click_size(self) -> float:
        # napari's own constant sizes on screen draw borders half as wide as discs.
        return self.screen_pixels(_MARKER)

    def follow_view(self) -> None:
        """Pass the view to the session, take over edits, and keep the size of clicks on screen."""
        self.click_layers.take_over_edits()
        self.session.viewport.window = self.view()
        size = self._click_size()
        for layer in self.clicks:
            if not 0.95 < layer.current_size / size < 1.05:
                layer.size = layer.current_size = size
        if self.locked is not None:
            self.locked.follow_zoom()

    def view(self) -> Window | None:
        """Return the part of the image in view, in its pixels; None if the image is not in view."""
        corners = np.asarray(self.image.corner_pixels, dtype=float)[:, -2:]
        if self.image.multiscale:
            # napari counts them in pixels of the level on screen.
            corners = corners * self.image.downsample_factors[self.image.data_level][:2]
        (top, left), (bottom, right) = corners
        window = Window.from_bounds(int(top), int(left), int(bottom) + 1, int(right) + 1)
        return window & Window.whole(self.session.raster.shape) or None

    def go_to(self, window: Window, part: float = 1 / 3) -> None:
        """Move the camera so that a window of the image fills a share of the view."""
        camera = camera_of(self.viewer)
        sides = zip(view_size(self.viewer), window.shape, strict=True)
        zoom = min(_CLOSEST, *(part * screen / pixels for screen, pixels in sides))
        middle = np.zeros(self.image.ndim)
        middle[-2:] = window.centre
        camera.center = tuple(self.image.data_to_world(middle)[-2:])
        camera.zoom = zoom * self.screen_pixels(1) * camera.zoom

    def sees_all(self) -> bool:
        """Whether the whole image is on the screen, except for a margin."""
        view, (height, width) = self.view(), self.session.raster.shape
        return view is None or (view.height > 0.9 * height and view.width > 0.9 * width)

    # ------------------------------------------------------------------ parts

    def adopt(self, layer: Layer) -> None:
        """Add a layer to the session's, below the clicks; it follows the image."""
        self.following.add(layer)
        layers = self.viewer.layers
        if self.clicks and self.clicks[0] in layers:
            layers.move(layers.index(layer), layers.index(self.clicks[0]))

    def _own(self) -> list[Layer]:
        """Return all layers of the session without the image."""
        areas = self.locked.layer if self.locked is not None else None
        extra = [layer for layer in (self.stale, areas) if layer is not None]
        return [*self.maps.values(), *extra, *self.clicks]

    # ------------------------------------------------------------------ comparing

    def show_adapted(self, adapted: bool) -> None:
        """Show DISCA's map, or DISIR's, unless both are side by side."""
        if not self.comparing and {"disir", "disca"} <= self.maps.keys():
            with without_rebuilding_overlays(self.viewer):
                self.maps["disca"].visible = adapted
                self.maps["disir"].visible = not adapted

    @property
    def comparing(self) -> bool:
        """Whether the two maps are shown side by side."""
        return self._comparison is not None

    def compare(self, on: bool) -> None:
        """Show the two maps side by side in linked views, or on top of each other."""
        if on and self._comparison is None:
            self._comparison = Comparison(self)
            self.viewer.layers.selection.active = self.clicks[0]
            self.arm(self.label)
        elif not on and self._comparison is not None:
            comparison, self._comparison = self._comparison, None
            comparison.end()
            self.arm(self.label)

    def end_comparison(self) -> None:
        """Show the maps on top of each other again."""
        self.compare(False)

    # ------------------------------------------------------------------ removal

    def _on_removed(self, event: Event) -> None:
        layer = event.value
        self.maps = {name: other for name, other in self.maps.items() if other is not layer}
        self.click_layers.forget(layer)
        self.following.forget(layer)
        self.stale_layer.forget(layer)
        if self.locked is not None and self.locked.layer is layer:
            self.locked.removed()
        if self._comparison is not None:
            self._comparison.on_removed(layer)

    def detach(self) -> None:
        """Disconnect from the viewer; the layers stay in it as they are."""
        with suppress(RuntimeError):  # Qt has deleted it where the window is closed
            self._timer.stop()
        self.stale_layer.end()
        self.session.painted.disconnect(self._on_painted)
        self.session.document.clicks_changed.disconnect(self._on_session_clicks)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.click_layers.detach()
        self.following.end()
        if self.locked is not None:
            self.locked.detach()

    def close(self) -> None:
        """Disconnect from the viewer, and remove the layers of the session; the image stays."""
        if self._comparison is not None:
            comparison, self._comparison = self._comparison, None
            comparison.end()
        self.detach()
        # Together, because napari takes a quarter of a second after each removal.
        with self.viewer.layers.batched_update():
            for layer in self._own():
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
