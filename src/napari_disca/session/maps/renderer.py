"""Renders tiles of one image: the labels of an adaptation run, and judged areas over them.

A run whose weights are not cached is learned again here, since that needs other runs: the one that
it continues, and those whose labels locked areas keep.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Literal, TypeAlias

import numpy as np
from cachetools import LRUCache

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.events import Job, Note
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predicted, Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import Pixels, read_pixels
from napari_disca.inference.uncertainty import (
    cell_share,
    mixed_uncertainty,
    on_network,
    with_certain_cells,
)
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.session.maps.judged_areas import JudgedAreas
from napari_disca.session.maps.lock_index import LockIndex, TileGrid
from napari_disca.session.maps.maps import Maps
from napari_disca.session.maps.near_clicks import NEAR, near_clicks
from napari_disca.session.maps.rendered_tiles import RecentTiles, RenderedTile
from napari_disca.session.maps.tile_versions import Target
from napari_disca.session.maps.weights import LearnedWeights, RunRelearned, WeightsCache
from napari_disca.session.steps.step_values import AdaptationRun, LockOrStroke
from napari_disca.session.steps.strokes import Stroke
from napari_disca.storage.label_pyramid import NO_DATA

#: Most bytes of compressed tiles, kept so that undo and redo need no network.
_RECENT_BYTES = 64 << 20
#: Most predictors in the cache.
_READY_NETWORKS = 3


#: Predictions by tile and state.
Predictions: TypeAlias = dict[tuple[int, str], Predicted]


class Renderer:
    """Renders tiles of one image for the runs of its history.

    Parameters
    ----------
    network_view : NetworkView
    tiling : Tiling
    compute : Compute
    networks : WeightsCache
        The networks of runs, and the caches of the image's tiles.
    maps : Maps
        Read for the labels of the pretrained network.
    """

    def __init__(
        self,
        network_view: NetworkView,
        tiling: Tiling,
        compute: Compute,
        networks: WeightsCache,
        maps: Maps,
    ) -> None:
        self.networks = networks
        #: Predictors by run. A job, its reading thread, and a second job that starts before the
        #: first has ended use it at once.
        self._predictors: LRUCache[str, Predictor] = LRUCache(_READY_NETWORKS)
        self._predictors_lock = threading.Lock()
        self.recent = RecentTiles(_RECENT_BYTES)
        self.network_view = network_view
        self.tiling = tiling
        self._maps = maps
        self._compute = compute
        self._clicks = TileClicks({})
        self._grid = TileGrid.of(network_view, tiling)
        self._indexed = self.no_locks = LockIndex.empty(self._grid)
        self._judged = JudgedAreas(self)

    def window(self, tile: Tile) -> Window:
        """Return the kept window of a tile, on the image's grid."""
        return self.network_view.image_window(tile.keep)

    def assigned(self, clicks: Clicks) -> TileClicks:
        """Return the clicks by tile; those of the last call are cached."""
        if self._clicks.clicks is not clicks:
            self._clicks = self._clicks.updated(clicks, self.network_view, self.tiling)
        return self._clicks

    def locks(self, locks: Sequence[LockOrStroke]) -> LockIndex:
        """Return the locks by tile; those of the last call are cached."""
        self._indexed = self._indexed.updated(locks, self._grid)
        return self._indexed

    def target(self, run: AdaptationRun | None, clicks: TileClicks, locks: LockIndex) -> Target:
        """Return the target of a map with a run, clicks and locks."""
        return Target(self.networks.name(run), clicks, locks)

    def wants_pixels(self, tile: Tile, target: Target) -> Literal["", "mask", "image"]:
        """Return what must be read of a tile for a map: nothing, the mask of data, or all."""
        at_hand = (target.version(tile.index), target.unlocked(tile.index))
        before = (version for version, _ in target.before_strokes(tile.index))
        for version in chain(at_hand, before):
            if self.recent.has(tile.index, version):
                return ""
        predictor = self._predictor(target.weights)
        cached = predictor is not None and predictor.knows(tile, target.clicks.of(tile))
        return "mask" if cached else "image"

    def predict(self, tiles: Sequence[Pixels], target: Target, made: Predictions) -> None:
        """Predict tiles that are not known yet as one batch, with a network that is ready.

        Parameters
        ----------
        made : dict
            Gets the predictions.
        """
        asked: dict[tuple[int, str], tuple[Pixels, Clicks]] = {}
        for pixels in tiles:
            tile = pixels.tile
            key = tile.index, target.unlocked(tile.index)
            if key not in made and not self.recent.has(*key):
                asked[key] = pixels, target.clicks.of(tile)
        predictor = self._predictor(target.weights)
        if asked and predictor is not None:
            found = predictor.batch(
                list(asked.values()), self._fallback_labels(predictor, asked.values())
            )
            made.update(zip(asked, found, strict=True))

    def notes(self) -> Iterator[Note]:
        """Yield notes for the user that were not yielded before."""
        with self._predictors_lock:
            ready = list(self._predictors.values())
        for predictor in ready:
            yield from predictor.notes()

    def network(self, run: AdaptationRun | None) -> Job[Network]:
        """Job that returns the network of a run, learned again if needed."""
        learned = yield from self._learned(run)
        return learned.network

    def _learned(self, run: AdaptationRun | None) -> Job[LearnedWeights]:
        cached = self.networks.cached(run)
        if cached is not None:
            return cached
        assert run is not None
        expected = self.networks.expected(run)
        made = yield from self.learn(run)
        yield RunRelearned(made, made.weights, expected)
        learned = self.networks.cached(made)
        assert learned is not None, "it was learned just now"
        return learned

    def learn(self, run: AdaptationRun) -> Job[AdaptationRun]:
        """Job that learns a run, and returns it with its network.

        Yields
        ------
        Progress, and RunRelearned where a run that it needs had to be learned again.

        Raises
        ------
        RecipeError
            If what was learned is not finite.
        """
        current = None
        if run.base is not None:
            current = yield from self.network(run.base)
        checked = yield from self.sample(run.locks, run.seed)
        made = yield from self.networks.learn(run, current, checked)
        return made

    def ready(self, run: AdaptationRun | None) -> Job[Predictor]:
        """Job that returns the predictor of a run; the last few are cached."""
        if run is not None and run.near_only:
            run = replace(run, near_only=False)
        predictor = self._predictor(self.networks.name(run))
        if predictor is None:
            learned = yield from self._learned(run)
            answer = yield from self.networks.composer(run, learned)
            # Only now: the run may have left the weights unchanged.
            name = self.networks.name(run)
            made = Predictor(
                answer, self.network_view, self._compute, self.networks.tools, uncertain=True
            )
            with self._predictors_lock:
                predictor = self._predictors.setdefault(name, made)
        return predictor

    def _predictor(self, name: str) -> Predictor | None:
        """Return a cached predictor, or None."""
        with self._predictors_lock:
            return self._predictors.get(name)

    def _fallback_labels(
        self, predictor: Predictor, asked: Iterable[tuple[Pixels, Clicks]]
    ) -> dict[int, Predicted]:
        """Return the cached labels of the pretrained network that an answer needs, by tile."""
        if predictor.answer.fallback is None:
            return {}
        found = {
            pixels.tile.index: self._pretrained(pixels.tile)
            for pixels, clicks in asked
            if not clicks
        }
        return {tile: predicted for tile, predicted in found.items() if predicted is not None}

    def _pretrained(self, tile: Tile) -> Predicted | None:
        """Return the pretrained network's labels of a tile without clicks; None if not cached."""
        cached = self.recent.get(tile.index, self.networks.weights)
        if cached is None:
            shown = self._maps.shown("initial", tile)
            if shown is None or shown[0] != self.networks.weights:
                return None
            cached = shown[1]
        return Predicted(cached.labels, cached.uncertainty)

    def render(
        self,
        tile: Tile,
        run: AdaptationRun | None,
        target: Target,
        made: Mapping[tuple[int, str], Predicted],
    ) -> Job[RenderedTile]:
        """Job that returns a tile of the map of a run.

        Parameters
        ----------
        made : mapping
            Predictions of `predict`.

        Raises
        ------
        RasterError
            If its pixels cannot be read.
        """
        for version, strokes in target.before_strokes(tile.index):
            before = self.recent.get(tile.index, version)
            if before is not None:
                return self.drawn_over(tile, target, before, strokes)
        touching = target.locks.of(tile.index)
        state = target.unlocked(tile.index)
        if (tile.index, state) in made:
            labels, unsure = made[tile.index, state]
            base = RenderedTile(labels, uncertainty=unsure)
            if touching:
                self.recent.put(tile.index, state, base)
        else:
            base = yield from self.base(tile, run, target.clicks, keep=bool(touching))
        if not touching:
            return base
        labels, unsure = base.labels.copy(), base.uncertainty
        fixed = yield from self._judged.write(touching, labels, tile, target.clicks)
        locked = fixed.locked & (labels != NO_DATA)
        flipped = int((locked & (labels != base.labels)).sum())
        if unsure is not None:
            for sure in (fixed.judged, fixed.drawn):
                unsure = with_certain_cells(
                    unsure, sure, self.window(tile), tile.keep, self.network_view
                )
        return RenderedTile(labels, int(locked.sum()), flipped, unsure)

    def drawn_over(
        self, tile: Tile, target: Target, before: RenderedTile, strokes: tuple[Stroke, ...]
    ) -> RenderedTile:
        """Return a tile after its last strokes; see `Target.before_strokes`."""
        touching = target.locks.of(tile.index)
        return self._judged.drawn_over(tile, touching, before, strokes)

    def sample(self, locks: Sequence[LockOrStroke], seed: int) -> Job[Clicks]:
        """Job that returns a sample of judged and drawn pixels as clicks of the right class."""
        if not locks:
            return Clicks()
        index = LockIndex.empty(self._grid).updated(locks, self._grid)
        sampled: Clicks = yield from self._judged.sample(index, seed)
        return sampled

    def base(
        self, tile: Tile, run: AdaptationRun | None, clicks: TileClicks, *, keep: bool
    ) -> Job[RenderedTile]:
        """Job that returns the labels of a run for a tile, without locks.

        Parameters
        ----------
        keep : bool
            Whether to cache them.
        """
        state = self.target(run, clicks, self.no_locks).unlocked(tile.index)
        cached = self.recent.get(tile.index, state)
        if cached is not None:
            return cached
        if run is not None and run.near_only:
            rendered = yield from self._near(tile, replace(run, near_only=False), clicks)
        else:
            predictor = yield from self.ready(run)
            asked = read_pixels(self.network_view, tile), clicks.of(tile)
            labels, unsure = predictor.batch([asked], self._fallback_labels(predictor, [asked]))[0]
            rendered = RenderedTile(labels, uncertainty=unsure)
        if keep:
            self.recent.put(tile.index, state, rendered)
        return rendered

    def _near(self, tile: Tile, run: AdaptationRun, clicks: TileClicks) -> Job[RenderedTile]:
        """Job that returns the labels of a run near the clicks, and DISIR's elsewhere."""
        away = yield from self.base(tile, None, clicks, keep=True)
        window = self.window(tile)
        near = near_clicks(
            clicks.of(tile), tile, window, self.network_view, min(NEAR, self.tiling.halo)
        )
        if not near.any():
            return away
        here = yield from self.base(tile, run, clicks, keep=True)
        unsure = None
        if here.uncertainty is not None and away.uncertainty is not None:
            part = cell_share(on_network(near, window, tile.keep, self.network_view), tile.keep)
            unsure = mixed_uncertainty(here.uncertainty, away.uncertainty, part)
        return RenderedTile(np.where(near, here.labels, away.labels), uncertainty=unsure)
