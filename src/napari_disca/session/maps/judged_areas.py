"""Writes judged areas (locks, verdicts and strokes) over the labels of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import Job
from napari_disca.core.shared_cache import SharedCache
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.uncertainty import with_certain_cells
from napari_disca.session.maps.lock_index import LockIndex
from napari_disca.session.maps.near_clicks import near_clicks
from napari_disca.session.maps.rendered_tiles import RecentTiles, RenderedTile
from napari_disca.session.steps.step_values import AdaptationRun, Lock, LockOrStroke
from napari_disca.session.steps.strokes import Stroke, draw_over
from napari_disca.storage.label_pyramid import NO_DATA

#: Tiles from which judged pixels are sampled, and pixels of each. Every tile costs a crop and its
#: forward pass, as a click does.
_SAMPLED_TILES, _SAMPLED_PIXELS = 8, 64
#: Most tiles that are rendered to find such pixels.
_TRIED_TILES = 64
#: Most locks whose clicks by tile are cached.
_ASSIGNED = 256
#: Bytes of cached masks of areas.
_CACHED_MASKS = 8 << 20


@dataclass(frozen=True, slots=True, eq=False)
class FixedPixels:
    """Pixels of a tile whose labels are set: (height, width) arrays of bool.

    Attributes
    ----------
    judged, locked : array
        Pixels of areas and verdicts; of these, pixels of locked areas.
    drawn : array
        Pixels of strokes.
    """

    judged: NDArray[np.bool_]
    locked: NDArray[np.bool_]
    drawn: NDArray[np.bool_]


class RunRenderer(Protocol):
    """Interface of `Renderer`, which renders tiles of runs without locks."""

    network_view: NetworkView
    tiling: Tiling
    recent: RecentTiles

    def window(self, tile: Tile) -> Window:
        """Return the kept window of a tile, on the image's grid."""

    def base(
        self, tile: Tile, run: AdaptationRun | None, clicks: TileClicks, *, keep: bool
    ) -> Job[RenderedTile]:
        """Job that returns the labels of a run for a tile, without locks."""


class JudgedAreas:
    """Finds the labels of judged areas.

    Parameters
    ----------
    runs : RunRenderer
        Computes tiles of earlier runs again where they are not cached.
    """

    def __init__(self, runs: RunRenderer) -> None:
        self._runs = runs
        #: Clicks by tile of the maps whose labels areas keep, by lock.
        self._assigned: SharedCache[str, TileClicks] = SharedCache(_ASSIGNED)
        self._last_assigned = TileClicks({})
        #: Masks of areas in the tiles computed last: the maps need the same ones in turn.
        self._masks: SharedCache[tuple[str, Window], NDArray[np.bool_]]
        self._masks = SharedCache(_CACHED_MASKS, attrgetter("nbytes"))

    def write(
        self,
        locks: Iterable[LockOrStroke],
        labels: NDArray[np.uint8],
        tile: Tile,
        clicks: TileClicks | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> Job[FixedPixels]:
        """Job that writes the labels of judged pixels, and strokes over them, into labels.

        Where areas overlap, the one judged first counts.

        Parameters
        ----------
        clicks : TileClicks, optional
            Clicks of the map; by default those at the time of each judgement.
        valid : (height, width) array of bool, optional
            Where the image has data; by default where there are labels.
        """
        window = self._runs.window(tile)
        free = np.ones(window.shape, dtype=np.bool_)
        checked = np.zeros_like(free)
        strokes = []
        for lock in locks:
            if isinstance(lock, Stroke):
                strokes.append(lock)
                continue
            here = self._mask(lock.area, window) & free
            if here.any() and lock.changed:
                here &= yield from self._changed(lock, tile)
            if not here.any():
                continue
            now = lock_clicks = self._clicks_of(lock)
            if lock.kind != "area" and clicks is not None:
                now = clicks
            if lock.kind == "rejected":
                fixed = (yield from self._runs.base(tile, None, now, keep=True)).labels
            else:
                fixed = yield from self._locked_labels(lock, tile)
                here &= yield from self._untouched(tile, fixed, lock_clicks, now)
            labels[here] = fixed[here]
            free &= ~here
            if lock.kind == "area":
                checked |= here
        if not strokes:
            return FixedPixels(~free, checked, np.zeros_like(free))
        drawable = (labels != NO_DATA if valid is None else valid) & ~checked
        return FixedPixels(~free, checked, draw_over(strokes, labels, window, drawable))

    def sample(self, index: LockIndex, seed: int) -> Job[Clicks]:
        """Job that returns a sample of judged and drawn pixels, with their right labels, as clicks.

        Parameters
        ----------
        index : LockIndex
            The locks by tile.
        seed : int
            Seed of the sample.
        """
        tiles = [self._runs.tiling[number] for number in index.tiles]
        rng = np.random.default_rng(seed)
        found: list[Click] = []
        used = 0
        for number in rng.permutation(len(tiles))[:_TRIED_TILES]:
            tile = tiles[number]
            window = self._runs.window(tile)
            labels = np.full(window.shape, NO_DATA, dtype=np.uint8)
            touching = index.of(tile.index)
            drawn = any(isinstance(one, Stroke) for one in touching)
            valid = self._runs.network_view.image_valid(window) if drawn else None
            yield from self.write(touching, labels, tile, valid=valid)
            rows, cols = np.nonzero(labels != NO_DATA)
            if not len(rows):
                continue
            chosen = rng.choice(len(rows), min(_SAMPLED_PIXELS, len(rows)), replace=False)
            found += [
                Click(window.top + row, window.left + col, int(labels[row, col]))
                for row, col in zip(rows[chosen].tolist(), cols[chosen].tolist(), strict=True)
            ]
            used += 1
            if used == _SAMPLED_TILES:
                break
        return Clicks(tuple(found))

    def drawn_over(
        self,
        tile: Tile,
        touching: Iterable[LockOrStroke],
        before: RenderedTile,
        strokes: tuple[Stroke, ...],
    ) -> RenderedTile:
        """Return a tile after its last strokes.

        Parameters
        ----------
        touching : iterable
            Locks and strokes that touch the tile.
        before : RenderedTile
            The tile without these strokes.
        strokes : tuple of Stroke
            The last ones of `touching`.
        """
        window = self._runs.window(tile)
        labels, unsure = before.labels.copy(), before.uncertainty
        allowed = labels != NO_DATA
        for lock in touching:
            if isinstance(lock, Lock) and lock.kind == "area":
                allowed &= ~self._mask(lock.area, window)
        drawn = draw_over(strokes, labels, window, allowed)
        if unsure is not None:
            unsure = with_certain_cells(unsure, drawn, window, tile.keep, self._runs.network_view)
        return replace(before, labels=labels, uncertainty=unsure)

    def _changed(self, lock: Lock, tile: Tile) -> Job[NDArray[np.bool_]]:
        """Job that returns the pixels that the run of a verdict had changed at that time."""
        clicks = self._clicks_of(lock)
        before = yield from self._runs.base(tile, None, clicks, keep=True)
        after = yield from self._runs.base(tile, lock.run, clicks, keep=True)
        changed: NDArray[np.bool_] = before.labels != after.labels
        return changed

    def _untouched(
        self, tile: Tile, fixed: NDArray[np.uint8], then: TileClicks, now: TileClicks
    ) -> Job[NDArray[np.bool_] | np.bool_]:
        """Job that returns the pixels that no click in `now` but not in `then` contradicts.

        A click contradicts pixels within its reach that have another class, or whose DISIR labels
        it changes.
        """
        if then.digest(tile.index) == now.digest(tile.index):
            return np.True_
        before = yield from self._runs.base(tile, None, then, keep=True)
        after = yield from self._runs.base(tile, None, now, keep=True)
        same: NDArray[np.bool_] = before.labels == after.labels
        earlier, reach = set(then.of(tile)), self._runs.network_view.card.guidance.reach
        for click in now.of(tile):
            if click not in earlier:
                alone = Clicks((click,))
                near = near_clicks(
                    alone, tile, self._runs.window(tile), self._runs.network_view, reach
                )
                same &= ~near | (fixed == click.label)
        return same

    def _mask(self, area: Area, window: Window) -> NDArray[np.bool_]:
        """Return the read-only mask of an area in a window."""
        key = area.digest, window
        mask = self._masks.get(key)
        if mask is None:
            mask = area.mask(window)
            mask.setflags(write=False)
            self._masks.put(key, mask)
        return mask

    def _clicks_of(self, lock: Lock) -> TileClicks:
        """Return the clicks of the map whose labels a lock keeps."""
        assigned = self._assigned.get(lock.digest)
        if assigned is None:
            # From those of another lock: locks share most of their clicks.
            assigned = self._last_assigned
            if assigned.clicks is not lock.clicks:
                assigned = assigned.updated(lock.clicks, self._runs.network_view, self._runs.tiling)
            self._last_assigned = assigned
            self._assigned.put(lock.digest, assigned)
        return assigned

    def _locked_labels(self, lock: Lock, tile: Tile) -> Job[NDArray[np.uint8]]:
        """Job that returns the labels of a locked area in a tile, as of the time of locking."""
        name = f"#{lock.digest}"
        cached = self._runs.recent.get(tile.index, name)
        if cached is not None:
            return cached.labels
        run, clicks = lock.run if lock.map == "disca" else None, self._clicks_of(lock)
        base = yield from self._runs.base(tile, run, clicks, keep=False)
        labels = base.labels.copy()
        window = self._runs.window(tile)
        under = tuple(below for below in lock.under if below.area.window & window)
        yield from self.write(under, labels, tile, clicks)
        labels[~self._mask(lock.area, window)] = NO_DATA  # needs no memory
        self._runs.recent.put(tile.index, name, RenderedTile(labels))
        return labels
