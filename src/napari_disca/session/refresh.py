"""The job that brings maps up to date.

It works for a frozen request: what the user does meanwhile is for the next one. Only the viewport
is looked at again between tiles, because the user may have panned.
"""

from __future__ import annotations

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
from napari_disca.session.history import AdaptationRun
from napari_disca.session.lock_index import LockIndex
from napari_disca.session.maps import MAPS, Maps
from napari_disca.session.rendered_tiles import RenderedTile
from napari_disca.session.renderer import Predictions, Renderer
from napari_disca.session.tile_versions import Target, TileVersions

_STAGE = "updating the map"
#: Clicks of the initial map.
NO_CLICKS = TileClicks({})


@dataclass(slots=True)
class Viewport:
    """What the user looks at, on the image's grid; read by running jobs between tiles."""

    window: Window | None = None

    def on_network(self, inputs: NetworkView) -> Window | None:
        """What the user looks at, on the network's grid."""
        view = self.window
        if view is None or not inputs.resampled:
            return view
        down = inputs.shape[0] / inputs.raster.shape[0]
        across = inputs.shape[1] / inputs.raster.shape[1]
        return Window.from_bounds(
            int(view.top * down),
            int(view.left * across),
            int(view.bottom * down) + 1,
            int(view.right * across) + 1,
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the maps should show, a value.

    Attributes
    ----------
    run : AdaptationRun or None
        Whose weights the adapted map is made with.
    clicks : TileClicks
    locks, no_locks : LockIndex
        What is locked; and nothing.
    """

    run: AdaptationRun | None
    clicks: TileClicks
    locks: LockIndex
    no_locks: LockIndex

    def run_of(self, name: str) -> AdaptationRun | None:
        """Whose weights a map is made with."""
        return self.run if name == "disca" else None

    def target(self, name: str, renderer: Renderer) -> Target:
        """What a map should show; the initial map is the network's alone."""
        weights = renderer.networks.name(self.run_of(name))
        if name == "initial":
            return Target(weights, NO_CLICKS, self.no_locks)
        return Target(weights, self.clicks, self.locks)


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """What a refresh is for, frozen when it was asked for.

    Attributes
    ----------
    wanted : Wanted
    drawn : TileVersions
        What the maps show; a copy.
    unreadable : frozenset of int
        Tiles that could not be read before.
    """

    wanted: Wanted
    drawn: TileVersions
    unreadable: frozenset[int] = frozenset()

    def with_run(self, run: AdaptationRun) -> RefreshRequest:
        """The same with other weights."""
        return replace(self, wanted=replace(self.wanted, run=run))


@dataclass(frozen=True, slots=True)
class Studio:
    """What refreshes of one image share.

    Attributes
    ----------
    renderer : Renderer
    maps : Maps
        Only asked what tiles show, for an undo and for what the pretrained network says.
    viewport : Viewport
    batch : int
        Tiles that go through a network together.
    """

    renderer: Renderer
    maps: Maps
    viewport: Viewport
    batch: int


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A tile whose pixels were read ahead, if they are wanted."""

    tile: Tile
    pixels: Pixels | None
    trouble: RasterError | None = None


def refresh(request: RefreshRequest, studio: Studio, maps: Sequence[str]) -> Job[None]:
    """Job that brings some maps up to date.

    Parameters
    ----------
    request : RefreshRequest
    studio : Studio
    maps : sequence of str
        Of `MAPS`. A tile that is the same in another map is painted there too, at no cost.

    Yields
    ------
    Progress, Patch, Unreadable, and what learning yields where a run has to be learned again
    """
    stages = [tuple(maps)]
    if "disca" in maps and not studio.renderer.networks.ready(request.wanted.run):
        # What needs no learning is shown first.
        stages = [tuple(name for name in maps if name != "disca"), ("disca",)]
    drawn = request.drawn.copy()
    for stage in filter(None, stages):
        for name in stage:
            yield from studio.renderer.ready(request.wanted.run_of(name))
        # Only now: a run that turns out to have left the weights alone has their name.
        targets = {name: request.wanted.target(name, studio.renderer) for name in MAPS}
        yield from _Stage(request, studio, stage, targets, drawn).run()


def learned_and_shown(
    request: RefreshRequest, run: AdaptationRun, studio: Studio, maps: Sequence[str]
) -> Job[AdaptationResult]:
    """Job that learns what a run is to learn, then brings maps up to date with it.

    Parameters
    ----------
    request : RefreshRequest
        With the weights of before.
    run : AdaptationRun
    studio : Studio
    maps : sequence of str

    Yields
    ------
    Progress, then the run as it was made, then what `refresh` yields

    Raises
    ------
    RecipeError
        If what was learned is not finite.
    """
    made = yield from studio.renderer.learn(run)
    yield made
    yield from refresh(request.with_run(made), studio, maps)
    return made.adaptation


@dataclass(frozen=True)
class _Stage:
    """A part of a refresh: maps whose networks are at hand."""

    request: RefreshRequest
    studio: Studio
    maps: tuple[str, ...]
    targets: dict[str, Target]
    drawn: TileVersions
    _again: list[int] = field(default_factory=list)

    def run(self) -> Job[None]:
        queue = self._queue()
        batch, inputs = self.studio.batch, self.studio.renderer.inputs
        total, done = len(queue) + len(self._again), 0
        yield Progress(_STAGE, 0, total)
        with closing(Prefetcher(self._load, 2 * batch)) as ahead:
            while len(queue) or self._again:
                # Asked anew each time: the user may have panned.
                view = self.studio.viewport.on_network(inputs)
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
        """Tiles that are out of date in a map of this stage."""
        tiling = self.studio.renderer.tiling
        waiting = np.zeros(len(tiling), dtype=np.bool_)
        urgent = np.zeros_like(waiting)
        for name in self.maps:
            waiting |= self.drawn.stale(name, self.targets[name])
            urgent |= self.drawn.touched(name, self.targets[name].clicks)
        # A tile that cannot be read may take long to fail: others come first.
        self._again.extend(index for index in self.request.unreadable if waiting[index])
        waiting[self._again] = False
        return TileQueue(tiling, waiting, urgent)

    def _outdated(self, name: str, tile: Tile) -> bool:
        return self.drawn.get(name, tile.index) != self.targets[name].version(tile.index)

    def _load(self, index: int) -> _Loaded:
        """Read a tile; runs on a thread of its own."""
        renderer = self.studio.renderer
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
            return _Loaded(tile, read_pixels(renderer.inputs, tile, image="image" in asked))
        except RasterError as error:
            return _Loaded(tile, None, error)

    def _remember(self, tile: Tile) -> None:
        """Keep what is shown for an undo, before something is painted over it."""
        recent = self.studio.renderer.recent
        for name in MAPS:
            version = self.studio.maps.version(name, tile)
            if version is not None and not recent.has(tile.index, version):
                shown = self.studio.maps.shown(name, tile)
                if shown is not None:
                    recent.put(tile.index, *shown)

    def _draw(self, group: Sequence[_Loaded]) -> Job[None]:
        """Draw tiles that have been read, all together."""
        renderer = self.studio.renderer
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
        """Patches of a tile for all maps that show the versions that some of them lack."""
        renderer = self.studio.renderer
        wanted = {name: target.version(tile.index) for name, target in self.targets.items()}
        lacking = {wanted[name]: name for name in reversed(self.maps) if self._outdated(name, tile)}
        for version, source in reversed(lacking.items()):
            found = renderer.recent.get(tile.index, version)
            if found is None:
                run = self.request.wanted.run_of(source)
                found = yield from renderer.draw(tile, run, self.targets[source], made)
            for name in [n for n in MAPS if wanted[n] == version and self._outdated(n, tile)]:
                self.drawn.put(name, tile.index, version)
                yield patch_of(name, renderer.window(tile), tile, version, found)


def recalled(wanted: Wanted, studio: Studio) -> Iterator[Patch]:
    """What is in view, out of date, and needs no network: drawn before, or drawn over by hand.

    Parameters
    ----------
    wanted : Wanted
    studio : Studio
    """
    renderer, view = studio.renderer, studio.viewport.window
    for name in reversed(MAPS):
        target = wanted.target(name, renderer)
        for tile in studio.maps.stale(name, target, view):
            version = target.version(tile.index)
            known = renderer.recent.get(tile.index, version)
            shows = studio.maps.version(name, tile)
            before = target.before_strokes(tile.index)
            strokes = next((later for earlier, later in before if earlier == shows), ())
            shown = studio.maps.shown(name, tile) if known is not None or strokes else None
            if known is None and shown is not None:
                known = renderer.drawn_over(tile, target, shown[1], strokes)
            if known is not None:
                if shown is not None and not renderer.recent.has(tile.index, shown[0]):
                    renderer.recent.put(tile.index, *shown)
                yield patch_of(name, renderer.window(tile), tile, version, known)


def patch_of(name: str, window: Window, tile: Tile, version: str, drawn: RenderedTile) -> Patch:
    """A tile as the event that paints it."""
    return Patch(
        name,
        window,
        drawn.labels,
        tile.index,
        version,
        drawn.locked,
        drawn.flipped,
        drawn.uncertainty,
    )
