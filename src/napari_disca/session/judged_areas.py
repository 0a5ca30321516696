"""What judged areas (locks and verdicts) put over the labels of a run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.events import Job
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.uncertainty import with_known_cells
from napari_disca.session.history import AdaptationRun, Held, Lock
from napari_disca.session.lock_index import LockIndex
from napari_disca.session.near_clicks import near_clicks
from napari_disca.session.rendered_tiles import RecentTiles, RenderedTile
from napari_disca.session.strokes import Stroke, draw_over
from napari_disca.storage.label_pyramid import NO_DATA

#: Checked pixels that a recipe learns from: of so many tiles, so many each. A crop and its
#: forward pass come with every tile, so these are what a few more clicks would cost.
_SAMPLED_TILES, _SAMPLED_PIXELS = 8, 64
#: Tiles of judged areas that are drawn in search of such pixels, at most.
_TRIED_TILES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Overlaid:
    """Pixels of a tile that are held: (height, width) arrays of bool.

    Attributes
    ----------
    judged, locked : array
        By areas and verdicts; of these, by locked areas.
    drawn : array
        By strokes.
    """

    judged: NDArray[np.bool_]
    locked: NDArray[np.bool_]
    drawn: NDArray[np.bool_]


class DrawsRuns(Protocol):
    """What draws tiles for runs, whatever is locked: the `Renderer`."""

    inputs: NetworkView
    tiling: Tiling
    recent: RecentTiles

    def window(self, tile: Tile) -> Window:
        """What a tile keeps, on the image's grid."""

    def base(
        self, tile: Tile, run: AdaptationRun | None, clicks: TileClicks, *, keep: bool
    ) -> Job[RenderedTile]:
        """Job that draws what a run says of a tile."""


class JudgedAreas:
    """The labels of areas that were judged.

    Parameters
    ----------
    runs : DrawsRuns
        Draws what was judged again, where it is not at hand.
    """

    def __init__(self, runs: DrawsRuns) -> None:
        self._runs = runs
        #: Clicks by tile of the maps that areas were taken from.
        self._assigned: dict[str, TileClicks] = {}

    def write(
        self,
        locks: Iterable[Held],
        labels: NDArray[np.uint8],
        tile: Tile,
        clicks: TileClicks | None = None,
        valid: NDArray[np.bool_] | None = None,
    ) -> Job[Overlaid]:
        """Job that writes the labels of judged pixels, and over them what was drawn.

        Where areas meet, the one judged first counts.

        Parameters
        ----------
        clicks : TileClicks, optional
            Those of the map; by default those of the moment of each judgement.
        valid : (height, width) array of bool, optional
            Where there is data; by default where there are labels.
        """
        window = self._runs.window(tile)
        free = np.ones(window.shape, dtype=np.bool_)
        checked = np.zeros_like(free)
        strokes = []
        for lock in locks:
            if isinstance(lock, Stroke):
                strokes.append(lock)
                continue
            here = lock.area.mask(window) & free
            if here.any() and lock.changed:
                here &= yield from self._changed(lock, tile)
            if not here.any():
                continue
            now = lock_clicks = self._clicks_of(lock)
            if lock.kind != "area" and clicks is not None:
                now = clicks
            if lock.kind == "rejected":
                held = (yield from self._runs.base(tile, None, now, keep=True)).labels
            else:
                held = yield from self._held(lock, tile)
                here &= yield from self._untouched(tile, held, lock_clicks, now)
            labels[here] = held[here]
            free &= ~here
            if lock.kind == "area":
                checked |= here
        if not strokes:
            return Overlaid(~free, checked, np.zeros_like(free))
        there = (labels != NO_DATA if valid is None else valid) & ~checked
        return Overlaid(~free, checked, draw_over(strokes, labels, window, there))

    def sample(self, index: LockIndex, seed: int) -> Job[Clicks]:
        """Job that returns some pixels that were judged or drawn, with the labels said right.

        Parameters
        ----------
        index : LockIndex
            Of the areas.
        seed : int
            Which pixels.
        """
        tiles = [self._runs.tiling[number] for number in index.tiles]
        rng = np.random.default_rng(seed)
        found: list[Click] = []
        used = 0
        for number in rng.permutation(len(tiles))[:_TRIED_TILES]:
            tile = tiles[number]
            window = self._runs.window(tile)
            labels = np.full(window.shape, NO_DATA, dtype=np.uint8)
            held = index.of(tile.index)
            drawn = any(isinstance(one, Stroke) for one in held)
            valid = self._runs.inputs.image_valid(window) if drawn else None
            yield from self.write(held, labels, tile, valid=valid)
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
        held: Iterable[Held],
        before: RenderedTile,
        strokes: tuple[Stroke, ...],
    ) -> RenderedTile:
        """A tile after its last strokes.

        Parameters
        ----------
        held : iterable
            What touches it.
        before : RenderedTile
            The tile without these strokes.
        strokes : tuple of Stroke
            The last ones of what touches it.
        """
        window = self._runs.window(tile)
        labels, unsure = before.labels.copy(), before.uncertainty
        allowed = labels != NO_DATA
        for lock in held:
            if isinstance(lock, Lock) and lock.kind == "area":
                allowed &= ~lock.area.mask(window)
        drawn = draw_over(strokes, labels, window, allowed)
        if unsure is not None:
            unsure = with_known_cells(unsure, drawn, window, tile.keep, self._runs.inputs)
        return replace(before, labels=labels, uncertainty=unsure)

    def _changed(self, lock: Lock, tile: Tile) -> Job[NDArray[np.bool_]]:
        """Pixels that the run of a verdict had changed when it was given."""
        clicks = self._clicks_of(lock)
        before = yield from self._runs.base(tile, None, clicks, keep=True)
        after = yield from self._runs.base(tile, lock.run, clicks, keep=True)
        changed: NDArray[np.bool_] = before.labels != after.labels
        return changed

    def _untouched(
        self, tile: Tile, held: NDArray[np.uint8], then: TileClicks, now: TileClicks
    ) -> Job[NDArray[np.bool_] | np.bool_]:
        """Pixels that no click of `now` contradicts that was not there `then`.

        One does within its reach where it says another class than what is held, or where it
        changes what DISIR says.
        """
        if then.digest(tile.index) == now.digest(tile.index):
            return np.True_
        before = yield from self._runs.base(tile, None, then, keep=True)
        after = yield from self._runs.base(tile, None, now, keep=True)
        same: NDArray[np.bool_] = before.labels == after.labels
        known, reach = set(then.of(tile)), self._runs.inputs.card.guidance.reach
        for click in now.of(tile):
            if click not in known:
                alone = Clicks((click,))
                near = near_clicks(alone, tile, self._runs.window(tile), self._runs.inputs, reach)
                same &= ~near | (held == click.label)
        return same

    def _clicks_of(self, lock: Lock) -> TileClicks:
        """Clicks of the map that a lock was taken from."""
        if lock.digest not in self._assigned:
            self._assigned[lock.digest] = TileClicks.assign(
                lock.clicks, self._runs.inputs, self._runs.tiling
            )
        return self._assigned[lock.digest]

    def _held(self, lock: Lock, tile: Tile) -> Job[NDArray[np.uint8]]:
        """What a locked area shows in a tile: the labels that it had when it was locked."""
        name = f"#{lock.digest}"
        known = self._runs.recent.get(tile.index, name)
        if known is not None:
            return known.labels
        run, clicks = lock.run if lock.map == "disca" else None, self._clicks_of(lock)
        base = yield from self._runs.base(tile, run, clicks, keep=False)
        labels = base.labels.copy()
        window = self._runs.window(tile)
        under = tuple(below for below in lock.under if below.area.window & window)
        yield from self.write(under, labels, tile, clicks)
        labels[~lock.area.mask(window)] = NO_DATA  # takes no room
        self._runs.recent.put(tile.index, name, RenderedTile(labels))
        return labels
