"""A scene whose truth is known, and a network that maps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_disca.batch.streaming import MapStream
from napari_disca.core.events import Patch
from napari_disca.inference.network_view import NetworkView
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster


@dataclass(frozen=True)
class Field:
    """A generated scene, its truth, and a network that maps it."""

    image: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    network: Network

    def predict(self, source: Any, **options: Any) -> tuple[NDArray[np.uint8], NetworkView]:
        """Map of a file or an array, and how it was read."""
        with open_raster(source) as raster:
            view = NetworkView(raster, self.network.card, **options)
            labels = np.full(raster.shape, 254, np.uint8)
            stream = MapStream(view, self.network, Compute.choose("cpu", "float32"))
            for event in stream.patches():
                if isinstance(event, Patch):
                    labels[event.window.slices] = event.labels
            return labels, view

    def agreement(self, labels: NDArray[np.uint8], where: NDArray[np.bool_] | None = None) -> float:
        """Share of pixels that are as the scene is in truth."""
        right = labels == self.truth
        return float(right.mean() if where is None else right[where].mean())
