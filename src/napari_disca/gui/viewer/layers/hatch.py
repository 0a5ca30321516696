"""Hatching over tiles that are out of date; a part of `SessionLayers`, which adds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray

from napari_disca.gui.viewer.layers.placement import on_cells

if TYPE_CHECKING:
    from napari_disca.session.session import Session

#: Cells of the hatching along a tile: few, but enough for stripes.
_CELLS = 32
#: Width of a stripe and of the gap after it, in cells.
_STRIPE = 2
TITLE = "Out of date"


class Hatch:
    """Hatches tiles in a small Labels layer that is scaled up.

    Its memory grows with the number of tiles, not of pixels.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        height, width = session.raster.shape
        self._rows = self._ends(0)
        self._cols = self._ends(1)
        tile = max(1, min(height // len(self._rows), width // len(self._cols)))
        self._cell = max(1, tile // _CELLS)
        shape = (-(-height // self._cell), -(-width // self._cell))
        row, col = np.ogrid[: shape[0], : shape[1]]
        self._stripes = (row + col) % (2 * _STRIPE) < _STRIPE
        centre = (self._cell - 1) / 2
        self._tile_rows = np.searchsorted(
            self._rows, np.arange(shape[0]) * self._cell + centre, side="right"
        ).clip(max=len(self._rows) - 1)
        self._tile_cols = np.searchsorted(
            self._cols, np.arange(shape[1]) * self._cell + centre, side="right"
        ).clip(max=len(self._cols) - 1)
        self.cells: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
        #: Which tiles are hatched.
        self._hatched = np.zeros((len(self._rows), len(self._cols)), dtype=bool)

    def _ends(self, axis: int) -> NDArray[np.intp]:
        """Return the end of each row (or column) of tiles, in pixels of the image."""
        tiling, network_view = self._session.tiling, self._session.network_view
        count, step = (tiling.grid[0], tiling.grid[1]) if axis == 0 else (tiling.grid[1], 1)
        keeps = [network_view.image_window(tiling[i * step].keep) for i in range(count)]
        return np.array([keep.bottom if axis == 0 else keep.right for keep in keeps])

    def layer(self, placement: dict[str, Any]) -> Labels:
        """Return a new layer over an image with a placement."""
        layer = Labels(
            self.cells,
            name=TITLE,
            opacity=0.25,
            colormap=DirectLabelColormap(
                color_dict={0: "transparent", None: "transparent", 1: "black"}
            ),
            metadata={"napari_disca": {"hatch": True}},
            **self.placement(placement),
        )
        layer.editable = False
        return layer

    def placement(self, placement: dict[str, Any]) -> dict[str, Any]:
        """Return the placement of the layer over an image with a placement."""
        return on_cells(placement, (self._cell, self._cell))

    def show(self, outdated: NDArray[np.bool_], *, less: bool = False) -> bool:
        """Hatch tiles; return whether that changed anything.

        Parameters
        ----------
        outdated : array of bool
            One value for each tile of the grid.
        less : bool
            Whether only tiles stay hatched that are, so that no other is hatched yet.
        """
        tiles = outdated & self._hatched if less else outdated
        changed = tiles != self._hatched
        if not changed.any():
            return False
        self._hatched = tiles.copy()
        rows = self._cells_of(self._tile_rows, changed.any(axis=1))
        cols = self._cells_of(self._tile_cols, changed.any(axis=0))
        hatched = tiles[self._tile_rows[rows]][:, self._tile_cols[cols]]
        self.cells[rows, cols] = hatched & self._stripes[rows, cols]
        return True

    @staticmethod
    def _cells_of(tile_of: NDArray[np.intp], changed: NDArray[np.bool_]) -> slice:
        """Return the cells from the first changed row (or column) of tiles to the last."""
        first, last = np.flatnonzero(changed)[[0, -1]]
        return slice(
            int(np.searchsorted(tile_of, first)), int(np.searchsorted(tile_of, last, side="right"))
        )
