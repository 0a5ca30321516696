"""The session in the viewer: its layers, and nothing else of the viewer's layers.

The only module that touches ``viewer.layers``, and the only one that converts between napari's
positions (floats, an integer is a pixel's centre) and the engine's (integer pixel indices).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Layer, Points
from napari.utils.colormaps import DirectLabelColormap
from qtpy.QtCore import QObject, QTimer

from napari_disca.clicks import Click, Clicks
from napari_disca.errors import DiscaError
from napari_disca.events import Patch
from napari_disca.session import Session
from napari_disca.tiling import Window

TITLES = {"initial": "Initial map", "disir": "DISIR", "disca": "DISCA"}
CLICKS = "Clicks"
#: Milliseconds between two redraws of a map that is being painted.
_REDRAW = 60


class SessionLayers(QObject):
    """Shows a session on top of its image layer.

    Parameters
    ----------
    viewer : napari.Viewer
    session : Session
    image : napari.layers.Image
    report : callable
        Told the one line of a refused click.
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        image: Image,
        report: Callable[[str], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.session = session
        self.image = image
        self.label = 0
        self._report = report
        self._maps: dict[str, Labels] = {}
        self._clicks: list[Points] = []
        self._copies: list[Layer] = []
        self._dirty: set[str] = set()
        self._echo = False
        self._keys: dict[str, Callable[[Any], None]] = {}
        self._timer = QTimer(self)
        self._timer.setInterval(_REDRAW)
        self._timer.timeout.connect(self._redraw)
        session.painted.connect(self._on_painted)
        session.clicks_changed.connect(self._on_session_clicks)
        viewer.layers.events.removed.connect(self._on_removed)

    # ------------------------------------------------------------------ layers

    def show(self) -> None:
        """Add the layers that are not there (yet, or any more)."""
        for name in ("initial", "disir", "disca"):
            if name not in self._maps:
                self._maps[name] = self._add_map(name)
        if not self._clicks:
            self._clicks.append(self._add_clicks(CLICKS))
            self.arm(self.label)

    def placement(self) -> dict[str, Any]:
        """Where the image layer lies, for layers on the same grid."""
        return {
            "scale": self.image.scale[-2:],
            "translate": self.image.translate[-2:],
            "rotate": self.image.rotate[-2:, -2:],
            "shear": self.image.shear[-1:] if len(self.image.shear) else [0.0],
            "affine": self.image.affine.set_slice([self.image.ndim - 2, self.image.ndim - 1]),
        }

    def _add_map(self, name: str) -> Labels:
        canvas = self.session.maps[name]
        levels = list(canvas.levels)
        classes = self.session.classes
        colours: dict[int | None, str] = {i + 1: c.color for i, c in enumerate(classes)}
        layer = Labels(
            levels if len(levels) > 1 else levels[0],
            name=TITLES[name],
            multiscale=len(levels) > 1,
            opacity=0.55,
            visible=name == "disir",
            colormap=DirectLabelColormap(
                color_dict={0: "transparent", None: "transparent", **colours}
            ),
            features=pd.DataFrame(
                {"index": range(len(classes) + 1), "class": ["", *(c.name for c in classes)]}
            ),
            metadata={"napari_disca": {"map": name, "session": self.session}},
            **self.placement(),
        )
        layer.editable = False
        self.viewer.add_layer(layer)
        self._bind_keys(layer)
        return layer

    def _add_clicks(self, name: str) -> Points:
        classes = self.session.classes
        layer = Points(
            np.empty((0, 2)),
            name=name,
            size=9,
            canvas_size_limits=(11, 40),  # to be seen at any zoom
            symbol="disc",
            border_width=0.2,
            border_color="white",
            features=self._features(()),
            face_color="class",
            face_color_cycle={c.name: c.color for c in classes},
            metadata={"napari_disca": {"clicks": True}},
            **self.placement(),
        )
        self.viewer.add_layer(layer)
        self._fill(layer, self.session.clicks)
        layer.events.data.connect(self._on_points)
        self._bind_keys(layer)
        return layer

    def _features(self, clicks: Iterable[Click]) -> pd.DataFrame:
        names = [c.name for c in self.session.classes]
        values = [names[click.label] for click in clicks]
        return pd.DataFrame({"class": pd.Categorical(values, categories=names)})

    def _fill(self, layer: Points, clicks: Clicks) -> None:
        """Make a Points layer show these clicks."""
        self._echo = True
        try:
            layer.data = np.array([c.pixel for c in clicks], dtype=float).reshape(-1, 2)
            layer.features = self._features(clicks)
            layer.refresh_colors(update_color_mapping=False)
            layer.selected_data = set()
            self._arm(layer)
        finally:
            self._echo = False

    # ------------------------------------------------------------------ clicks

    def arm(self, label: int) -> None:
        """Make the next click one of this class, and the Points layer ready for it."""
        self.label = label
        self.show()
        for layer in self._clicks:
            self._arm(layer)
        target = self._clicks[0]
        self.viewer.layers.selection.active = target
        target.mode = "add"

    def _arm(self, layer: Points) -> None:
        # Not `current_properties`: that would also change the selected points.
        layer.feature_defaults = {"class": self.session.classes[self.label].name}

    def _on_points(self, event: Any) -> None:
        if self._echo or event.action not in ("added", "removed", "changed"):
            return
        layer = event.source
        names = [c.name for c in self.session.classes]
        found: list[Click] = []
        refused = ""
        whole = Window.whole(self.session.raster.shape)
        for (row, col), name in zip(layer.data[:, -2:], layer.features["class"], strict=True):
            click = Click(math.floor(row + 0.5), math.floor(col + 0.5), names.index(name))
            if click.pixel in whole:
                found.append(click)
            else:
                refused = "That click lies outside the image and was not added"
        try:
            self.session.set_clicks(Clicks(tuple(found)), _title(event.action))
        except DiscaError as error:
            refused = str(error)
        # Also where the session did not change: a refused point must go.
        self._fill(layer, self.session.clicks)
        if refused:
            self._report(refused)

    def _on_session_clicks(self, clicks: Clicks) -> None:
        if not self._echo:
            for layer in self._clicks:
                self._fill(layer, clicks)

    # ------------------------------------------------------------------ painting

    def _on_painted(self, patch: Patch) -> None:
        if patch.map in self._maps:
            self._dirty.add(patch.map)
            if not self._timer.isActive():
                self._timer.start()

    def _redraw(self) -> None:
        """Show what was painted since the last time; a timer, so that patches do not queue up."""
        if not self._dirty:
            self._timer.stop()
            return
        shown = [layer for layer in (*self._maps.values(), *self._copies) if layer.visible]
        for name in self._dirty:
            layer = self._maps.get(name)
            if layer in shown:
                layer.refresh(extent=False, thumbnail=False, highlight=False)
        self._dirty.clear()

    def view(self) -> Window | None:
        """What the user looks at, in pixels of the image."""
        corners = np.asarray(self.image.corner_pixels, dtype=float)[:, -2:]
        if self.image.multiscale:
            # They are counted in pixels of the level on screen.
            corners = corners * self.image.downsample_factors[self.image.data_level][:2]
        (top, left), (bottom, right) = corners
        window = Window.from_bounds(int(top), int(left), int(bottom) + 1, int(right) + 1)
        return window & Window.whole(self.session.raster.shape) or None

    # ------------------------------------------------------------------ keys

    def bind(self, key: str, action: Callable[[], None]) -> None:
        """Bind a key on every layer of the session.

        On the layers, because a key of the viewer loses to napari's own ("1" deletes points).
        """
        self._keys[key] = lambda _layer: action()
        for layer in (self.image, *self._maps.values(), *self._clicks, *self._copies):
            layer.bind_key(key, self._keys[key], overwrite=True)

    def _bind_keys(self, layer: Layer) -> None:
        for key, action in self._keys.items():
            layer.bind_key(key, action, overwrite=True)

    def show_adapted(self) -> None:
        """Bring the adapted map to the front, unless both are on screen."""
        if not self.comparing and {"disir", "disca"} <= self._maps.keys():
            self._maps["disca"].visible = True
            self._maps["disir"].visible = False

    def show_unadapted(self) -> None:
        """Bring DISIR back to the front."""
        if not self.comparing and {"disir", "disca"} <= self._maps.keys():
            self._maps["disir"].visible = True
            self._maps["disca"].visible = False

    # ------------------------------------------------------------------ comparing

    @property
    def comparing(self) -> bool:
        """Whether DISIR and DISCA are side by side."""
        return bool(self._copies)

    def compare(self, on: bool) -> None:
        """Put DISIR and DISCA side by side in a linked grid, or back on top of each other."""
        grid = getattr(self.viewer, "canvas", self.viewer).grid
        if on and not self.comparing:
            self.show()
            layers = self.viewer.layers
            self._before = (
                [(layer, layer.visible) for layer in layers],
                (grid.enabled, grid.stride, grid.shape),
            )
            others = [
                layer
                for layer in layers
                if layer is not self.image
                and layer not in self._clicks
                and layer not in (self._maps["disir"], self._maps["disca"])
            ]
            for layer in others:
                layer.visible = False
            copy = Image(
                self.image.data,
                name=f"{self.image.name} (copy)",
                rgb=self.image.rgb,
                multiscale=self.image.multiscale,
                contrast_limits=self.image.contrast_limits,
                colormap=self.image.colormap,
                **self.placement(),
            )
            self.viewer.add_layer(copy)
            self._bind_keys(copy)
            second = self._add_clicks(f"{CLICKS} (copy)")
            self._copies = [copy, second]
            self._clicks.append(second)
            self._arm(second)
            self._maps["disir"].visible = self._maps["disca"].visible = True
            wanted = [
                *others,
                self.image,
                self._maps["disir"],
                self._clicks[0],
                copy,
                self._maps["disca"],
                second,
            ]
            for position, layer in enumerate(wanted):
                layers.move(layers.index(layer), position)
            for layer in others:
                layers.move(layers.index(layer), 0)
            grid.stride, grid.shape, grid.enabled = 3, (1, 2), True
            self.arm(self.label)
            self.viewer.reset_view()
        elif not on and self.comparing:
            visible, (enabled, stride, shape) = self._before
            copies, self._copies = self._copies, []
            self._clicks = self._clicks[:1]
            for layer in copies:
                if layer in self.viewer.layers:
                    self.viewer.layers.remove(layer)
            grid.enabled, grid.stride, grid.shape = enabled, stride, shape
            for layer, shown in visible:
                layer.visible = shown
            order = [self.image, *(self._maps[n] for n in TITLES if n in self._maps), *self._clicks]
            for layer in order:
                if layer in self.viewer.layers:
                    self.viewer.layers.move(
                        self.viewer.layers.index(layer), len(self.viewer.layers)
                    )
            self.arm(self.label)
            self.viewer.reset_view()

    # ------------------------------------------------------------------ removal

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self._maps = {name: kept for name, kept in self._maps.items() if kept is not layer}
        self._clicks = [kept for kept in self._clicks if kept is not layer]
        if layer in self._copies:
            self._copies.remove(layer)

    def close(self) -> None:
        """Let go of the viewer; the maps' layers go, the image stays."""
        self._timer.stop()
        self.session.painted.disconnect(self._on_painted)
        self.session.clicks_changed.disconnect(self._on_session_clicks)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        for layer in (*self._copies, *self._clicks, *self._maps.values()):
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)


def _title(action: str) -> str:
    return {"added": "click", "removed": "remove a click", "changed": "move a click"}[action]
