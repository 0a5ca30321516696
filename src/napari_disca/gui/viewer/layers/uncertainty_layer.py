"""Shows the uncertainty of the map as a layer over the image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_disca.gui.viewer.layers.placement import on_cells
from napari_disca.inference.uncertainty import CELL, SURE, TORN

if TYPE_CHECKING:
    from napari.utils.events import Event

    from napari_disca.gui.viewer.layers.layer_host import LayerHost

TITLE = "Uncertainty"
#: From transparent to white, which no class has; orange and yellow would look like land and
#: buildings. The lower third is transparent: borders of classes have such values everywhere.
_COLOURS = Colormap(
    [[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0.55], [1, 1, 1, 0.95]],
    controls=[0, 0.2, 0.5, 1],
    name="uncertainty",
)


class UncertaintyLayer:
    """Shows `Session.uncertainty` in a small Image layer that is scaled up, a pixel for a cell.

    Attributes
    ----------
    layer : Image or None
        The layer; None while it is not in the viewer.
    """

    def __init__(self) -> None:
        self._layers: LayerHost | None = None
        self.layer: Image | None = None
        self._dirty = False

    def attach(self, layers: LayerHost | None) -> None:
        """Use the session of other layers, or none."""
        if self._layers is not None:
            self._layers.session.painted.disconnect(self._on_painted)
            self._layers.viewer.layers.events.removed.disconnect(self._on_removed)
            if self.layer is not None and self.layer in self._layers.viewer.layers:
                self._layers.viewer.layers.remove(self.layer)
        self.layer = None
        self._layers = layers
        if layers is not None:
            layers.session.painted.connect(self._on_painted)
            layers.viewer.layers.events.removed.connect(self._on_removed)

    def toggle(self) -> str:
        """Show the layer if it is hidden, else hide it; return a message for the user."""
        layers = self._layers
        if layers is None or not _values(layers).any():
            return "There is no map yet: press Segment"
        if layers.comparing:
            return "Uncertainty is not shown side by side; end the comparison first"
        if self.layer is None:
            self._add(layers)
        elif self.layer.visible:
            self.layer.visible = False
            return "Uncertainty is hidden"
        else:
            self.layer.visible = True
            self._update(layers)
        return "Uncertainty: the brighter, the less sure the network is"

    def follow(self) -> None:
        """Redraw the layer if the uncertainty has changed."""
        shown = self.layer is not None and self.layer.visible
        if self._dirty and shown and self._layers is not None:
            self._update(self._layers)

    def _add(self, layers: LayerHost) -> None:
        viewer, session, values = layers.viewer, layers.session, _values(layers)
        sides = zip(session.raster.shape, session.network_view.shape, strict=True)
        cell = [CELL * image / network for image, network in sides]
        self.layer = Image(
            values,
            name=TITLE,
            colormap=_COLOURS,
            contrast_limits=(SURE, TORN),
            blending="translucent",
            metadata={"napari_disca": {"helper": True}},
            **on_cells(layers.placement(), cell),
        )
        active = viewer.layers.selection.active
        viewer.add_layer(self.layer)
        layers.following.add(self.layer, partial(on_cells, cell=cell))
        if layers.clicks and layers.clicks[0] in viewer.layers:
            viewer.layers.move(
                viewer.layers.index(self.layer), viewer.layers.index(layers.clicks[0])
            )
        viewer.layers.selection.active = active  # the next click still goes to its layer

    def _update(self, layers: LayerHost) -> None:
        assert self.layer is not None
        values = _values(layers)
        if self.layer.data is not values:
            self.layer.data = values
        else:
            self.layer.refresh(extent=False, thumbnail=False, highlight=False)
        self._dirty = False

    def _on_painted(self, _patch: object) -> None:
        self._dirty = True

    def _on_removed(self, event: Event) -> None:
        if event.value is self.layer:
            self.layer = None


def _values(layers: LayerHost) -> NDArray[np.uint8]:
    session = layers.session
    return session.uncertainty[session.document.corrected]


def certainty(value: int) -> float | None:
    """Return how far the best class leads the second, 0 to 1, from a cell's uncertainty.

    Parameters
    ----------
    value : int
        Value of `Session.uncertainty`.

    Returns
    -------
    float or None
        None where nothing is computed yet.
    """
    if value < SURE:
        return None
    return float(1 - np.float64(value - SURE) / (TORN - SURE))
