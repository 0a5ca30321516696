"""The job that brings maps up to date.

It works on a frozen request; changes made meanwhile are for the next one. Only the viewport is read
again between tiles, because the user may have panned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from napari_disca.core.errors import RasterError
from napari_disca.core.events import Job, Patch, Progress, Unreadable
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tile_scheduler import Prefetcher, TileQueue
from napari_disca.inference.tiles import Pixels, read_pixels
from napari_disca.recipes import AdaptationResult
from napari_disca.session.maps.lock_index import LockIndex
from napari_disca.session.maps.maps import MAPS, Maps
from napari_disca.session.maps.rendered_tiles import RenderedTile
from napari_disca.session.maps.renderer import Predictions, Renderer
from napari_disca.session.maps.tile_versions import Target, TileVersions
from napari_disca.session.steps.step_values import AdaptationRun

_STAGE = "updating the map"
#: Clicks of the initial map.
NO_CLICKS = TileClicks({})


@dataclass(slots=True)
class Viewport:
    """The window in view, on the image's grid; running jobs read it between tiles."""

    window: Window | None = None

    def on_network(self, network_view: NetworkView) -> Window | None:
        """The window in view on the network's grid; None if there is none."""
        view = self.window
        if view is None or not network_view.resampled:
            return view
        return network_view.network_window(view)


@dataclass(frozen=True, slots=True)
class DesiredState:
    """What the maps should show: run, clicks and locks.

    Attributes
    ----------
    run : AdaptationRun or None
        The run of the adapted map; None for the pretrained weights.
    clicks : TileClicks
    locks : LockIndex
    """

    run: AdaptationRun | None
    clicks: TileClicks
    locks: LockIndex

    def run_of(self, name: str) -> AdaptationRun | None:
        """Return the run whose weights render a map; None for the pretrained ones."""
        return self.run if name == "disca" else None

    def target(self, name: str, renderer: Renderer) -> Target:
        """Return the target of a map; that of the initial map has neither clicks nor locks."""
        weights = renderer.networks.name(self.run_of(name))
        if name == "initial":
            return Target(weights, NO_CLICKS, renderer.no_locks)
        return Target(weights, self.clicks, self.locks)


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a refresh should render, frozen when it was requested.

    Attributes
    ----------
    wanted : DesiredState
    versions : TileVersions
        The versions that the maps show, a copy.
    unreadable : frozenset of int
        Tiles that could not be read before.
    """

    wanted: DesiredState
    versions: TileVersions
    unreadable: frozenset[int] = frozenset()

    def with_run(self, run: AdaptationRun) -> RefreshRequest:
        """Return the request with the weights of another run."""
        return replace(self, wanted=replace(self.wanted, run=run))


@dataclass(frozen=True, slots=True)
class RefreshContext:
    """What all refreshes of one image share.

    Attributes
    ----------
    renderer : Renderer
    maps : Maps
        Read only: what tiles show is kept for undo, and is what the pretrained network predicts.
    viewport : Viewport
    batch : int
        Most tiles that go through a network together.
    """

    renderer: Renderer
    maps: Maps
    viewport: Viewport
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A tile, with its pixels if they are needed, read ahead."""

    tile: Tile
    pixels: Pixels | None
    trouble: RasterError | None = None


def refresh(request: RefreshRequest, context: RefreshContext, maps: Sequence[str]) -> Job[None]:
    """Job that brings some maps up to date.

    Parameters
    ----------
    request : RefreshRequest
    context : RefreshContext
    maps : sequence of str
        Names of `MAPS`. A tile that is equal in another map is painted there as well.

    Yields
    ------
    Progress, Patch, Unreadable, and what learning yields where a run has to be learned again
    """
    stages = [tuple(maps)]
    if "disca" in maps and not context.renderer.networks.ready(request.wanted.run):
        # Maps that need no learning come first.
        stages = [tuple(name for name in maps if name != "disca"), ("disca",)]
    versions = request.versions.copy()
    for stage in filter(None, stages):
        for name in stage:
            yield from context.renderer.ready(request.wanted.run_of(name))
        # Only now: a run that has left the weights unchanged has the name of the pretrained ones.
        targets = {name: request.wanted.target(name, context.renderer) for name in MAPS}
        yield from _Stage(request, context, stage, targets, versions).run()


def learn_and_refresh(
    request: RefreshRequest, run: AdaptationRun, context: RefreshContext, maps: Sequence[str]
) -> Job[AdaptationResult]:
    """Job that learns a run, then brings maps up to date with it; returns what was learned.

    Parameters
    ----------
    request : RefreshRequest
        The request with the weights before the run.
    run : AdaptationRun
    context : RefreshContext
    maps : sequence of str

    Yields
    ------
    Progress, then the run as it was made, then what `refresh` yields

    Raises
    ------
    RecipeError
        If what was learned is not finite.
    """
    made = yield from context.renderer.learn(run)
    yield made
    yield from refresh(request.with_run(made), context, maps)
    return made.adaptation


@dataclass(frozen=True)
class _Stage:
    """A part of a refresh: maps whose networks are ready."""

    request: RefreshRequest
    context: RefreshContext
    maps: tuple[str, ...]
    targets: dict[str, Target]
    versions: TileVersions
    _again: list[int] = field(default_factory=list)

    def run(self) -> Job[None]:
        queue = self._queue()
        batch, network_view = self.context.batch, self.context.renderer.network_view
        total, done = len(queue) + len(self._again), 0
        yield Progress(_STAGE, 0, total)
        with closing(Prefetcher(self._load, 2 * batch)) as ahead:
            while len(queue) or self._again:
                # Read each time: the user may have panned.
                view = self.context.viewport.on_network(network_view)
                if len(queue):
                    chosen, following = queue.take(batch, view), queue.peek(batch, view)
                else:
                    chosen, following = [self._again.pop(0)], self._again[:1]
                group = ahead.take(chosen)
                ahead.expect(following)
                yield from self._draw(group)
                done += len(group)
                yield Progress(_STAGE, done, total)

    def _queue(self) -> TileQueue:
        """Return the queue of tiles that are out of date in a map of this stage."""
        tiling = self.context.renderer.tiling
        waiting = np.zeros(len(tiling), dtype=np.bool_)
        urgent = np.zeros_like(waiting)
        for name in self.maps:
            waiting |= self.versions.stale(name, self.targets[name])
            urgent |= self.versions.touched(name, self.targets[name].clicks)
        # Last: a tile that could not be read may take long to fail again.
        self._again.extend(index for index in self.request.unreadable if waiting[index])
        waiting[self._again] = False
        return TileQueue(tiling, waiting, urgent)

    def _outdated(self, name: str, tile: Tile) -> bool:
        return self.versions.get(name, tile.index) != self.targets[name].version(tile.index)

    def _load(self, index: int) -> _Loaded:
        """Return the pixels of a tile; called on a reading thread."""
        renderer = self.context.renderer
        tile = renderer.tiling[index]
        self._remember(tile)
        asked = [
            renderer.wants_pixels(tile, self.targets[name])
            for name in self.maps
            if self._outdated(name, tile)
        ]
        if not any(asked):
            return _Loaded(tile, None)
        try:
            return _Loaded(tile, read_pixels(renderer.network_view, tile, image="image" in asked))
        except RasterError as error:
            return _Loaded(tile, None, error)

    def _remember(self, tile: Tile) -> None:
        """Keep the labels that a tile shows for an undo, before it is painted over."""
        recent = self.context.renderer.recent
        for name in MAPS:
            version = self.context.maps.version(name, tile)
            if version is not None and not recent.has(tile.index, version):
                shown = self.context.maps.shown(name, tile)
                if shown is not None:
                    recent.put(tile.index, *shown)

    def _draw(self, group: Sequence[_Loaded]) -> Job[None]:
        """Job that renders tiles that were read, as one batch."""
        renderer = self.context.renderer
        made: Predictions = {}
        for name in self.maps:
            pixels = [
                loaded.pixels
                for loaded in group
                if loaded.pixels is not None and self._outdated(name, loaded.tile)
            ]
            renderer.predict(pixels, self.targets[name], made)
        yield from renderer.notes()
        for loaded in group:
            try:
                if loaded.trouble is not None:
                    raise loaded.trouble
                yield from self._patches(loaded.tile, made)
            except RasterError as error:
                yield Unreadable(loaded.tile.index, " ".join(str(error).split()))

    def _patches(self, tile: Tile, made: Predictions) -> Job[None]:
        """Job that yields the patches of a tile for all maps that lack its versions."""
        renderer = self.context.renderer
        wanted = {name: target.version(tile.index) for name, target in self.targets.items()}
        lacking = {wanted[name]: name for name in reversed(self.maps) if self._outdated(name, tile)}
        for version, source in reversed(lacking.items()):
            found = renderer.recent.get(tile.index, version)
            if found is None:
                run = self.request.wanted.run_of(source)
                found = yield from renderer.render(tile, run, self.targets[source], made)
            for name in [n for n in MAPS if wanted[n] == version and self._outdated(n, tile)]:
                self.versions.put(name, tile.index, version)
                yield patch_of(name, renderer.window(tile), tile, version, found)


def cached_patches(wanted: DesiredState, context: RefreshContext, until: float) -> Iterator[Patch]:
    """Yield patches in view that are out of date and need no network: cached ones, and strokes.

    Tiles that were never computed are not among them: a refresh paints all maps that they fit.

    Parameters
    ----------
    wanted : DesiredState
    context : RefreshContext
    until : float
        End by this time of `time.perf_counter`; a view of a whole mosaic has very many tiles.
    """
    renderer, view = context.renderer, context.viewport.window
    for name in reversed(MAPS):
        target = wanted.target(name, renderer)
        for tile in context.maps.outdated_tiles(name, target, view):
            if time.perf_counter() > until:
                return
            version = target.version(tile.index)
            rendered = renderer.recent.get(tile.index, version)
            shows = context.maps.version(name, tile)
            before = target.before_strokes(tile.index)
            strokes = next((later for earlier, later in before if earlier == shows), ())
            shown = context.maps.shown(name, tile) if rendered is not None or strokes else None
            if rendered is None and shown is not None:
                rendered = renderer.drawn_over(tile, target, shown[1], strokes)
            if rendered is not None:
                if shown is not None and not renderer.recent.has(tile.index, shown[0]):
                    renderer.recent.put(tile.index, *shown)
                yield patch_of(name, renderer.window(tile), tile, version, rendered)


def patch_of(name: str, window: Window, tile: Tile, version: str, rendered: RenderedTile) -> Patch:
    """Return the event that paints a tile."""
    return Patch(
        name,
        window,
        rendered.labels,
        tile.index,
        version,
        rendered.locked,
        rendered.flipped,
        rendered.uncertainty,
    )
