"""Shows the locked areas in a Shapes layer; a part of `SessionLayers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from napari.layers import Shapes
from qtpy.QtCore import QTimer

from napari_disca.annotations.areas import Area
from napari_disca.core.errors import AreaError
from napari_disca.gui.viewer.layers.layer_host import LayerHost
from napari_disca.session.steps.step_values import Lock

if TYPE_CHECKING:
    from napari.utils.events import Event
    from numpy.typing import ArrayLike

AREAS = "Locked areas"
_EDGE, _FACE = "#ffd54a", [1.0, 0.84, 0.29, 0.06]
#: Corners of the polygon that replaces an ellipse.
_ROUND = 64


class LockedAreas:
    """Shows the locked areas: drawn shapes are locked, deleted ones are unlocked.

    Parameters
    ----------
    layers : LayerHost
    lock : callable
        Called with the areas that were drawn.
    unlock : callable
        Called with the locks that were deleted.
    report : callable
        Shows why an edit was refused, in one line.
    """

    def __init__(
        self,
        layers: LayerHost,
        lock: Callable[..., object],
        unlock: Callable[..., object],
        report: Callable[[str], None],
    ) -> None:
        self.layer: Shapes | None = None
        self._layers = layers
        self._lock, self._unlock, self._report = lock, unlock, report
        self._echo = False
        self._waiting = False
        layers.session.document.locks_changed.connect(self._on_locks)

    def show(self) -> None:
        """Add the layer if there are locks and it is missing."""
        if self.layer is None and self._layers.session.document.locks:
            selection = self._layers.viewer.layers.selection
            active = selection.active
            self._add()
            selection.active = active  # the next click still goes to its layer

    def draw(self) -> None:
        """Add the layer if needed, and choose its tool for polygons."""
        if self.layer is None:
            self._add()
        assert self.layer is not None
        self.layer.visible = True
        self._layers.viewer.layers.selection.active = self.layer
        self.layer.mode = "add_polygon"

    def selected(self) -> tuple[Lock, ...]:
        """Return the locks whose outlines are selected; a single one counts as selected."""
        locks = self._layers.session.document.locks
        if self.layer is None or len(locks) == 1:
            return locks if len(locks) == 1 else ()
        numbers = {int(self.layer.features["lock"].iloc[i]) for i in self.layer.selected_data}
        return tuple(lock for lock in locks if lock.number in numbers)

    def _add(self) -> None:
        layer = Shapes(
            [],
            ndim=2,
            name=AREAS,
            edge_color=_EDGE,
            face_color=_FACE,
            edge_width=self._width(),
            features=_features([]),
            metadata={"napari_disca": {"locked": True}},
            **self._layers.placement(),
        )
        self._layers.viewer.add_layer(layer)
        self.layer = layer
        self._layers.adopt(layer)
        self._fill()
        layer.events.data.connect(self._on_shapes)

    def follow_zoom(self) -> None:
        """Keep the width of outlines on the screen at every zoom."""
        layer, width = self.layer, self._width()
        if layer is None or 0.8 < layer.current_edge_width / width < 1.25:
            return
        layer.current_edge_width = width
        if layer.nshapes:
            layer.edge_width = [width] * layer.nshapes

    def _width(self) -> float:
        return self._layers.screen_pixels(2.5)

    def _fill(self) -> None:
        """Fill the layer with the locks of the session."""
        layer, locks = self.layer, self._layers.session.document.locks
        if layer is None:
            return
        self._echo = True
        try:
            layer.selected_data = set()
            layer.data = []
            if locks:
                # An integer is a pixel's centre in napari, and its corner in an area.
                layer.add_polygons(
                    [np.array(lock.area.rings[0]) - 0.5 for lock in locks],
                    edge_color=_EDGE,
                    face_color=_FACE,
                    edge_width=self._width(),
                )
            # Also of no locks: napari keeps the features of shapes that are gone for the next ones.
            layer.features = _features([lock.number for lock in locks])
            layer.feature_defaults = {"lock": 0}
            layer.selected_data = set()
        finally:
            self._echo = False

    def _on_locks(self, _locks: object) -> None:
        if not self._layers.comparing:
            self.show()
        self._fill()

    def _on_shapes(self, event: Event) -> None:
        if not self._echo and event.action in ("added", "removed", "changed") and not self._waiting:
            # Later: napari is still drawing, and the layer must not change meanwhile.
            self._waiting = True
            QTimer.singleShot(0, self._take)

    def _take(self) -> None:
        """Lock drawn shapes, unlock deleted ones, and put moved ones back."""
        self._waiting = False
        layer, session = self.layer, self._layers.session
        if layer is None:
            return
        numbers = [int(number) for number in layer.features["lock"].fillna(0)]
        shown = set(numbers)
        gone = [lock for lock in session.document.locks if lock.number not in shown]
        try:
            drawn = [
                _area(layer.data[i][:, -2:], layer.shape_type[i])
                for i, number in enumerate(numbers)
                if not number
            ]
        except AreaError as error:
            self._report(str(error))
            drawn = []
        if drawn:
            self._lock(*drawn)
        elif gone:
            self._unlock(*gone)
        elif len(numbers) == len(session.document.locks) and all(numbers):
            self._report("A locked area cannot be changed; unlock it and draw another")
        self._fill()

    def removed(self) -> None:
        """Forget a layer that the user removed; the areas stay locked, Segment shows them again."""
        self.layer = None

    def detach(self) -> None:
        """Disconnect from the session and the layer."""
        self._layers.session.document.locks_changed.disconnect(self._on_locks)
        if self.layer is not None:
            self.layer.events.data.disconnect(self._on_shapes)


def _features(numbers: list[int]) -> pd.DataFrame:
    """Return the features of shapes: the number of each one's lock, 0 if it has none yet."""
    return pd.DataFrame({"lock": pd.Series(numbers, dtype=int)})


def _area(shape: ArrayLike, kind: str) -> Area:
    """Return the area of a napari shape."""
    if kind not in ("polygon", "rectangle", "ellipse"):
        raise AreaError(f"a {kind} encloses nothing; draw a polygon, a rectangle or an ellipse")
    corners = np.asarray(shape, dtype=float) + 0.5
    if kind == "ellipse":
        centre = corners.mean(axis=0)
        first, second = (corners[1] - corners[0]) / 2, (corners[2] - corners[1]) / 2
        angles = np.linspace(0, 2 * np.pi, _ROUND, endpoint=False)
        corners = centre + np.outer(np.cos(angles), first) + np.outer(np.sin(angles), second)
    return Area((tuple((float(row), float(col)) for row, col in corners),))
