"""Finds the two best classes of single pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from napari_disca.core.errors import RasterError
from napari_disca.core.events import Job, Progress
from napari_disca.core.tiling import Tile
from napari_disca.inference.tiles import read_pixels
from napari_disca.inference.two_best import TwoBest
from napari_disca.inference.uncertainty import on_network
from napari_disca.session.map_state import MapState
from napari_disca.session.maps.near_clicks import NEAR, near_clicks

if TYPE_CHECKING:
    from napari_disca.inference.tile_clicks import TileClicks
    from napari_disca.session.maps.renderer import Renderer
    from napari_disca.session.steps.step_values import AdaptationRun

#: Map, tile, and version of the tile without locks.
RankingKey: TypeAlias = tuple[str, int, str]


@dataclass(frozen=True, slots=True, eq=False)
class TileRanking:
    """A request for the two best classes of a tile in its present state, for one of its pixels.

    Attributes
    ----------
    key : (str, int, str)
        The same for all pixels of a tile, until its clicks or weights change.
    place : (int, int)
        Row and column on the network's grid.
    ready : bool
        Whether the network is ready without learning.
    """

    key: RankingKey
    place: tuple[int, int]
    ready: bool
    _tile: Tile
    _run: AdaptationRun | None
    _clicks: TileClicks
    _renderer: Renderer

    def job(self) -> Job[TwoBest | None]:
        """Job that returns the two best classes of the tile; None if it cannot be read."""
        yield Progress("computing the second class", 0, 1)
        try:
            run = self._run
            if run is None or not run.near_only:
                return (yield from self._of(run))
            here = yield from self._of(replace(run, near_only=False))
            away = yield from self._of(None)
        except RasterError:  # computing the map tells the user
            return None
        if here is None or away is None:
            return here or away
        renderer, tile = self._renderer, self._tile
        window, reach = renderer.window(tile), min(NEAR, renderer.tiling.halo)
        clicks = self._clicks.of(tile)
        near = near_clicks(clicks, tile, window, renderer.network_view, reach)
        return here.where(on_network(near, window, tile.keep, renderer.network_view), away)

    def _of(self, run: AdaptationRun | None) -> Job[TwoBest | None]:
        predictor = yield from self._renderer.ready(run)
        pixels = read_pixels(self._renderer.network_view, self._tile)
        return predictor.two_best(pixels, self._clicks.of(self._tile))


def ranking_of(state: MapState, name: str, row: int, col: int) -> TileRanking:
    """Return the request for the two best classes of a pixel's tile.

    Parameters
    ----------
    state : MapState
    name : {"initial", "disir", "disca"}
        The map of the pixel.
    row, col : int
        Pixel of the image.
    """
    renderer, wanted = state.renderer, state.wanted
    view = renderer.network_view
    sides = zip((row, col), view.raster.shape, view.shape, strict=True)
    place = tuple(min((2 * at + 1) * net // (2 * img), net - 1) for at, img, net in sides)
    tile = renderer.tiling.tile_at((place[0], place[1]))
    target = wanted.target(name, renderer)
    run = wanted.run_of(name)
    return TileRanking(
        (name, tile.index, target.unlocked(tile.index)),
        (place[0], place[1]),
        renderer.networks.ready(run),
        tile,
        run,
        target.clicks,
        renderer,
    )
