"""Shows DISIR's and DISCA's maps side by side; a part of `SessionLayers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image, Layer
from qtpy.QtCore import QTimer

from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.layers.layer_host import COPY, LayerHost

if TYPE_CHECKING:
    from napari import Viewer
    from napari.components.grid import GridCanvas


class Comparison:
    """Two linked views in a grid, from creation until `end`.

    Since a layer is in one view only, image and clicks have a second layer each, which shares its
    data with the first and takes no memory.

    Parameters
    ----------
    layers : LayerHost
    """

    def __init__(self, layers: LayerHost) -> None:
        self._layers = layers
        viewer = self._viewer = layers.viewer
        layers.show()
        grid, camera = _grid(viewer), camera_of(viewer)
        self._order = list(viewer.layers)
        self._visible = [layer.visible for layer in self._order]
        self._grid = grid.enabled, grid.stride, grid.shape
        self._camera = tuple(camera.center), camera.zoom
        whole = layers.sees_all()

        first = [layers.image, layers.maps["disir"], layers.clicks[0]]
        second = [self._second_image(), layers.maps["disca"], layers.add_clicks("Clicks (copy)")]
        self.copies: list[Layer] = [second[0], second[2]]
        self._parts = [*first, *second]
        others = [layer for layer in viewer.layers if layer not in self._parts]
        for layer in others:
            layer.visible = False
        for layer in self._parts:
            layer.visible = True
        # napari puts three layers into a view from the bottom, hidden ones too: those go on top.
        self._arrange([*self._parts, *others])
        grid.stride, grid.shape, grid.enabled = len(first), (1, 2), True
        self._titled = [first[1], second[1]]
        for layer in self._titled:
            layer.name_overlay.visible = True
        if whole:
            viewer.reset_view()

    def _second_image(self) -> Image:
        image = self._layers.image
        copy = Image(
            image.data,
            name=f"{image.name} (copy)",
            rgb=image.rgb,
            multiscale=image.multiscale,
            contrast_limits=image.contrast_limits,
            colormap=image.colormap,
            gamma=image.gamma,
            metadata={"napari_disca": {COPY: True}},
            **self._layers.placement(),
        )
        self._viewer.add_layer(copy)
        self._layers.following.add(copy)
        return copy

    def _arrange(self, wanted: list[Layer]) -> None:
        layers = self._viewer.layers
        for position, layer in enumerate(layer for layer in wanted if layer in layers):
            layers.move(layers.index(layer), position)

    def on_removed(self, layer: Layer) -> None:
        """End the comparison when a layer of a view was removed."""
        if layer in self._parts:
            # Later: other listeners have not seen the removal yet.
            QTimer.singleShot(0, self._layers.end_comparison)

    def end(self) -> None:
        """Restore the single view, and remove the second layers."""
        viewer, grid, camera = self._viewer, _grid(self._viewer), camera_of(self._viewer)
        whole = self._layers.sees_all()
        for layer in self.copies:
            if layer in viewer.layers:
                viewer.layers.remove(layer)
        for layer in self._titled:
            layer.name_overlay.visible = False
        enabled, stride, shape = self._grid
        grid.enabled = enabled
        grid.stride, grid.shape = stride, shape
        for layer, shown in zip(self._order, self._visible, strict=True):
            layer.visible = shown
        self._arrange(self._order)
        if whole:
            camera.center, camera.zoom = self._camera


def _grid(viewer: Viewer) -> GridCanvas:
    return viewer.canvas.grid
