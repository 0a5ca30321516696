"""Keeps layers on the image when it is moved, or when they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.utils.events import Event

#: Attributes of a layer that define its place, in the order in which they are set.
_PARTS = ("units", "scale", "rotate", "shear", "translate", "affine")
#: Returns the placement of a layer from that of the image.
Where = Callable[[dict[str, Any]], Mapping[str, Any]]


class Following:
    """Keeps layers on the grid of an image layer: they move with it, and cannot be moved alone.

    Parameters
    ----------
    image : Image
    report : callable
        Shows in one line that a layer was moved away from the image, and was put back.
    """

    def __init__(self, image: Image, report: Callable[[str], None]) -> None:
        self._image = image
        self._report = report
        self._layers: dict[Layer, Where] = {}
        self._setting = False
        self._moved_back: Layer | None = None
        for part in _PARTS:
            getattr(image.events, part).connect(self._on_image)

    def placement(self) -> dict[str, Any]:
        """Return where the image lies, as keywords of a layer on the same grid."""
        image = self._image
        return {
            "scale": image.scale[-2:],
            "translate": image.translate[-2:],
            "rotate": image.rotate[-2:, -2:],
            "shear": image.shear[-1:] if len(image.shear) else [0.0],
            "affine": image.affine.set_slice([image.ndim - 2, image.ndim - 1]),
            "units": image.units[-2:],
        }

    def add(self, layer: Layer, where: Where = dict) -> None:
        """Keep a layer on the image from now on.

        Parameters
        ----------
        layer : Layer
        where : callable
            Returns the layer's placement from the image's; the same by default.
        """
        self._layers[layer] = where
        for part in _PARTS:
            getattr(layer.events, part).connect(self._on_own)

    def forget(self, layer: Layer) -> None:
        """Stop keeping a layer on the image."""
        if self._layers.pop(layer, None) is not None:
            for part in _PARTS:
                getattr(layer.events, part).disconnect(self._on_own)

    def end(self) -> None:
        """Stop keeping layers on the image, and disconnect."""
        for layer in list(self._layers):
            self.forget(layer)
        for part in _PARTS:
            getattr(self._image.events, part).disconnect(self._on_image)

    def _on_image(self, _event: object) -> None:
        placement = self.placement()
        for layer, where in self._layers.items():
            self._put(layer, where(placement))

    def _on_own(self, event: Event) -> None:
        """Move a layer back that was moved without the image."""
        layer = event.source
        if self._setting or layer not in self._layers:
            return
        wanted = self._layers[layer](self.placement())
        if not _lies(layer, wanted):
            # Later: napari has not finished setting it, and a drag sets it with every move.
            if self._moved_back is None:
                QTimer.singleShot(0, self._put_back)
            self._moved_back = layer

    def _put_back(self) -> None:
        layer, self._moved_back = self._moved_back, None
        if layer is None or layer not in self._layers:
            return
        self._put(layer, self._layers[layer](self.placement()))
        self._report(f"{layer.name!r} lies where the image lies; move the image's layer instead")

    def _put(self, layer: Layer, wanted: Mapping[str, Any]) -> None:
        self._setting = True
        try:
            for part in _PARTS:
                if not _same(getattr(layer, part), wanted[part]):
                    setattr(layer, part, wanted[part])
        finally:
            self._setting = False


def pixel_size(image: Image) -> float:
    """Return the side of a pixel of an image layer in world units, mean of height and width."""
    origin = np.asarray(image.data_to_world(np.zeros(image.ndim)))
    steps = np.eye(image.ndim)[-2:]
    return float(
        np.mean([np.linalg.norm(np.asarray(image.data_to_world(s)) - origin) for s in steps])
    )


def _lies(layer: Layer, wanted: Mapping[str, Any]) -> bool:
    return all(_same(getattr(layer, part), wanted[part]) for part in _PARTS)


def _same(some: Any, other: Any) -> bool:
    if hasattr(some, "affine_matrix"):
        some, other = some.affine_matrix, getattr(other, "affine_matrix", other)
    try:
        return bool(np.allclose(np.asarray(some, float), np.asarray(other, float)))
    except (TypeError, ValueError):  # units
        return tuple(map(str, some)) == tuple(map(str, other))
