"""The maps of an image: labels, uncertainty, and the version of each tile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_disca.core.errors import ExportError
from napari_disca.core.events import Patch
from napari_disca.core.tiling import Tile, TileList, Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.uncertainty import UNKNOWN, cells_of
from napari_disca.networks.compute import Compute
from napari_disca.raster import fingerprint
from napari_disca.session.maps.lock_index import TileGrid
from napari_disca.session.maps.map_folder import MapFolder
from napari_disca.session.maps.rendered_tiles import RenderedTile
from napari_disca.session.maps.tile_versions import Target, TileVersions
from napari_disca.storage.label_pyramid import LabelPyramid, level_files

#: The three maps of an image.
MAPS = ("initial", "disir", "disca")


class Maps:
    """The maps of one image.

    One thread paints them; other threads may read a tile meanwhile, and get labels, uncertainty and
    version of the same moment.

    Parameters
    ----------
    network_view : NetworkView
    tiling : Tiling
    compute : Compute
    folder : str or path, optional
        Folder in which the maps are kept; by default they are temporary files. Kept maps of another
        image, or of other settings, are removed.

    Attributes
    ----------
    pyramids : dict of str to LabelPyramid
    uncertainty : dict of str to array
        Uncertainty of each map in cells; see `napari_disca.inference.uncertainty`. Kept maps of an
        earlier session have none until they are rendered again.
    versions : TileVersions

    Raises
    ------
    ExportError
        If there is no disk space for the maps, a file of the user has a needed name, or another
        session keeps its maps in the folder.
    """

    def __init__(
        self,
        network_view: NetworkView,
        tiling: Tiling,
        compute: Compute,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        shape = network_view.raster.shape
        self.versions = TileVersions(MAPS, len(tiling))
        self._folder: MapFolder | None = None
        self._closed = False
        self._about = _about(network_view, tiling, compute)
        if folder is None:
            self.pyramids = {name: LabelPyramid(shape) for name in MAPS}
        else:
            self._folder = map_folder = MapFolder(Path(folder), MAPS, level_files(shape))
            try:
                map_folder.take_over(self.versions, self._about)
                self.pyramids = {name: LabelPyramid(shape, Path(folder) / name) for name in MAPS}
            except BaseException:
                map_folder.release()
                raise
        cells = cells_of(Window.whole(network_view.shape)).shape
        self.uncertainty: dict[str, NDArray[np.uint8]] = {
            name: np.zeros(cells, dtype=np.uint8) for name in MAPS
        }
        self._network_view = network_view
        self._tiling = tiling
        #: By map and tile: number of locked pixels, and of those that the lock changes.
        self._counts: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in MAPS}
        self._sums = {name: [0, 0] for name in MAPS}
        self._grid = TileGrid.of(network_view, tiling)
        self._lock = threading.Lock()

    def paint(self, patch: Patch) -> None:
        """Paint a finished tile, and note its version.

        Raises
        ------
        ExportError
            If the disk is full, or kept maps are closed; nothing is painted then.
        """
        name, tile = patch.map, self._tiling[patch.tile]
        with self._lock:
            if self._closed:
                raise ExportError(
                    "the session is closed, and its maps are kept for the next one; open a new "
                    "session to go on"
                )
            self.pyramids[name].paint(patch.window, patch.labels)
            unsure = UNKNOWN if patch.uncertainty is None else patch.uncertainty
            self._cells(name, tile)[:] = unsure
            self._count(name, tile.index, (patch.locked, patch.flipped if patch.locked else 0))
            # Last, so that a reader who sees the version finds its labels.
            self.versions.put(name, tile.index, patch.version)

    def version(self, name: str, tile: Tile) -> str | None:
        """Return the version of a tile of a map; None if it was never rendered."""
        with self._lock:
            return self.versions.get(name, tile.index)

    def shown(self, name: str, tile: Tile) -> tuple[str, RenderedTile] | None:
        """Return version and content of a tile of a map; None if it was never rendered."""
        with self._lock:
            version = self.versions.get(name, tile.index)
            if version is None:
                return None
            labels = self.pyramids[name].read(self._network_view.image_window(tile.keep))
            counts = self._counts[name].get(tile.index, (0, 0))
            return version, RenderedTile(labels, *counts, self._cells(name, tile).copy())

    def up_to_date(self, name: str, target: Target) -> float:
        """Return the share of a map's tiles that show a target, 0 to 1."""
        return 1 - self.versions.stale_count(name, target) / len(self._tiling)

    def stale(self, name: str, target: Target, window: Window | None = None) -> TileList:
        """Return the tiles of a map that do not show a target.

        Parameters
        ----------
        name : str
        target : Target
        window : Window, optional
            On the image's grid: only tiles that keep some of it.
        """
        return self._within(self.versions.stale(name, target), window)

    def outdated(self, name: str, target: Target) -> NDArray[np.bool_]:
        """Return which rendered tiles do not show a target, as ``tiling.grid``."""
        outdated = self.versions.stale(name, target) & self.versions.rendered(name)
        return outdated.reshape(self._tiling.grid)

    def outdated_tiles(self, name: str, target: Target, window: Window | None) -> TileList:
        """Return the rendered tiles of a map that do not show a target; see `stale`."""
        return self._within(self.outdated(name, target).ravel(), window)

    def _within(self, chosen: NDArray[np.bool_], window: Window | None) -> TileList:
        """Return some tiles, or those of them that keep some of a window of the image."""
        if window is None:
            return TileList(self._tiling, np.flatnonzero(chosen))
        rows, cols = self._grid.overlapping(window)
        row, col = np.nonzero(chosen.reshape(self._tiling.grid)[rows, cols])
        indices = (row + rows.start) * self._tiling.grid[1] + col + cols.start
        return TileList(self._tiling, indices)

    def lock_counts(self, name: str) -> tuple[int, int]:
        """Return the number of locked pixels of a map, and of those that the lock changes."""
        locked, flipped = self._sums[name]
        return locked, flipped

    def _count(self, name: str, tile: int, counts: tuple[int, int]) -> None:
        """Note the locked pixels of a tile, and of those that the lock changes."""
        before = self._counts[name].pop(tile, (0, 0))
        if counts[0]:
            self._counts[name][tile] = counts
        # Summed here, since the panel asks several times a second.
        for i, (new, old) in enumerate(zip(counts, before, strict=True)):
            self._sums[name][i] += new - old

    def close(self) -> None:
        """Close kept maps, so that another session may continue with them.

        Raises
        ------
        ExportError
            If the folder cannot be written.
        """
        folder, self._folder = self._folder, None
        if folder is not None:
            with self._lock:
                self._closed = True
            folder.close(self.versions, self._about)

    def _cells(self, name: str, tile: Tile) -> NDArray[np.uint8]:
        """Return the uncertainty of a tile of a map, as a view."""
        return self.uncertainty[name][cells_of(tile.keep).slices]


def _about(network_view: NetworkView, tiling: Tiling, compute: Compute) -> str:
    """Return the fingerprint of everything besides versions that labels depend on."""
    facts = (
        fingerprint(network_view.raster),
        network_view.bands,
        network_view.factor,
        network_view.scale.facts,
        (tiling.shape, tiling.size, tiling.halo),
        str(compute),
        compute.batch,
        compute.folded,
    )
    return repr(facts)
