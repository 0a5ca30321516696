"""Compares the maps of a session with its document: what they should show, what is out of date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.tiling import TileList, Window
from napari_disca.session.document import Document
from napari_disca.session.maps.maps import Maps
from napari_disca.session.maps.refresh import DesiredState
from napari_disca.session.maps.renderer import Renderer
from napari_disca.session.maps.tile_versions import Target


@dataclass(frozen=True, slots=True)
class MapState:
    """The maps of a document, and which of their tiles show its present clicks and weights.

    Attributes
    ----------
    document : Document
    maps : Maps
    renderer : Renderer
    """

    document: Document
    maps: Maps
    renderer: Renderer

    @property
    def wanted(self) -> DesiredState:
        """What the maps should show now."""
        document, renderer = self.document, self.renderer
        clicks = renderer.assigned(document.clicks)
        return DesiredState(document.adapted, clicks, renderer.locks(document.step.locks))

    def target(self, name: str) -> Target:
        """Return what a map should show now."""
        return self.wanted.target(name, self.renderer)

    def up_to_date(self, name: str) -> float:
        """Return the share of a map's tiles that show the present clicks and weights, 0 to 1."""
        return self.maps.up_to_date(name, self.target(name))

    def stale(self, name: str, window: Window | None = None) -> TileList:
        """Return the tiles of a map that are out of date, or those of them in a window."""
        return self.maps.stale(name, self.target(name), window)

    def outdated(self, name: str) -> NDArray[np.bool_]:
        """Return which rendered tiles of a map are out of date, as ``tiling.grid``."""
        return self.maps.outdated(name, self.target(name))
