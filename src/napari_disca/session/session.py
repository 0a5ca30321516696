"""`Session`: one image being corrected. It owns the state, and its verbs make jobs.

Three label maps of the image are kept (method: Lenczner et al. 2020): *initial*, the pretrained
network alone; *disir*, the same weights with the clicks beside the image; *disca*, the adapted
weights with the clicks. Until something is adapted, *disca* equals *disir*.

A map is a pure function of weights and clicks, tile by tile. The session remembers for every
tile which weights and clicks it was drawn with, so what is out of date is known exactly, also
after an undo, a cancel or an error in the middle of a run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.errors import (
    AreaError,
    ClickError,
    JournalError,
    RasterError,
    RecipeError,
)
from napari_disca.core.events import Job, Patch, Progress, Unreadable, finish
from napari_disca.core.tiling import Tile, Tiling, Window
from napari_disca.inference.features import FeatureCache
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predicted
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tile_scheduler import Prefetcher, TileQueue
from napari_disca.inference.tiles import Pixels, read_pixels, tiling_for
from napari_disca.inference.uncertainty import UNKNOWN, cells_of
from napari_disca.networks import DeltaCache, LandClass, Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster
from napari_disca.raster import fingerprint as raster_fingerprint
from napari_disca.recipes import AdaptationResult, Recipe, checked_seed
from napari_disca.session.history import (
    AdaptationRun,
    Edit,
    Guided,
    Lock,
    Step,
    click_fields,
    run_fields,
)
from napari_disca.session.journal import Journal
from napari_disca.session.kept_maps import MapFolder
from napari_disca.session.lock_index import LockIndex
from napari_disca.session.renderer import Predictions, RenderedTile, Renderer
from napari_disca.session.tile_versions import Target, TileVersions
from napari_disca.session.weights import RunRelearned, WeightsCache
from napari_disca.storage.label_pyramid import LabelPyramid, files_of

#: The three maps of an image.
MAPS = ("initial", "disir", "disca")

#: Clicks of the initial map.
_NO_CLICKS = TileClicks({})


@dataclass(slots=True)
class Viewport:
    """What the user looks at, on the image's grid; read by running jobs between tiles."""

    window: Window | None = None


@dataclass(frozen=True)
class _Snapshot:
    """What a refresh needs, frozen when the verb was called."""

    step: Step
    assigned: TileClicks
    locked: LockIndex
    unlocked: LockIndex
    drawn: TileVersions
    counts: Mapping[str, Mapping[int, tuple[int, int]]] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    recalls: int = 0

    def run(self, name: str) -> AdaptationRun | None:
        """Whose weights a map is made with."""
        return self.step.adapted if name == "disca" else None

    def target(self, name: str, networks: WeightsCache) -> Target:
        """What a map should show; the initial map is the network's alone."""
        weights = networks.name(self.run(name))
        if name == "initial":
            return Target(weights, _NO_CLICKS, self.unlocked)
        return Target(weights, self.assigned, self.locked)


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A tile whose pixels were read ahead, if they are wanted."""

    tile: Tile
    pixels: Pixels | None
    trouble: RasterError | None = None


def _whole(*numbers: float) -> tuple[int, ...]:
    """Pixels and classes as integers; a viewer may give floats, and a script anything."""
    try:
        return tuple(int(number) for number in numbers)
    except (TypeError, ValueError, OverflowError) as error:
        given = ", ".join(str(number)[:40] for number in numbers)
        raise ClickError(f"a pixel and a class are whole numbers, not {given}") from error


class Session:
    """One image being corrected.

    Only one thread, its owner, may call its verbs and `handle`; the jobs they return may run on
    another thread, one at a time. Whoever has made a session may hand it to another owner.

    Parameters
    ----------
    raster : Raster
        The image; see `napari_disca.raster.open_raster`.
    network : Network
        The pretrained network; never changed.
    bands : sequence of int, optional
        1-based bands to read; by default those the card names.
    factor : float, optional
        Network pixels per image pixel; by default from the ground resolutions.
    compute : Compute, optional
        Device and precision; the best there is by default.
    seed : int
        For recipes that draw at random.
    folder : Path, optional
        Keep the maps there: after `close`, another session of the same image, network and
        precision goes on with what is drawn. Files of others there are never touched: where one
        is in the way, the folder is refused. By default maps are temporary files.
    features : FeatureCache, optional
        Where the encoder's features go while an adapted network leaves the encoder as it was;
        at most 512 MB of memory and no disk by default.

    Raises
    ------
    RasterError, CardError
        If the network cannot read this image.
    ExportError
        If there is no room for the maps, or `folder` holds something else where they would lie.
    """

    clicks_changed = Signal(Clicks)
    painted = Signal(Patch)
    adapted_changed = Signal(object)
    history_changed = Signal()
    locks_changed = Signal(tuple)
    #: One line: the journal cannot be written, or something was learned differently.
    troubled = Signal(str)
    #: The journal has not reached the disk: emitted on another thread, for the owner to call
    #: `check_journal`.
    journal_failed = Signal()

    def __init__(
        self,
        raster: Raster,
        network: Network,
        *,
        bands: Sequence[int] | None = None,
        factor: float | None = None,
        compute: Compute | None = None,
        seed: int = 0,
        folder: Path | None = None,
        features: FeatureCache | None = None,
    ) -> None:
        self.raster = raster
        self.inputs = NetworkView(raster, network.card, bands=bands, factor=factor)
        self.compute = compute or Compute.choose()
        self.seed = checked_seed(seed)
        self.tiling: Tiling = tiling_for(self.inputs)
        self.viewport = Viewport()
        # Not on the device: whoever computes there makes a copy, and another on the CPU where the
        # device's memory is full.
        self._network: Network = deepcopy(network).eval().requires_grad_(False)
        self._networks = WeightsCache(self._network, self.inputs, self.tiling, self.compute)
        self._renderer = Renderer(self.inputs, self.tiling, self.compute, self._networks, features)
        self._assigned = TileClicks({})
        self._drawn = TileVersions(MAPS, len(self.tiling))
        self._kept: MapFolder | None = None
        if folder is not None:
            self._kept = MapFolder(folder, MAPS, files_of(raster.shape))
            self._kept.take_over(self._drawn, self._about())
        self.maps: dict[str, LabelPyramid] = {
            name: LabelPyramid(raster.shape, folder / name if folder else None) for name in MAPS
        }
        self._renderer.initial = self._initial
        self._unlocked = self._renderer.locks(())
        #: Map -> how sure the network is of it, as drawn: the cells of
        #: `napari_disca.inference.uncertainty`. Maps of an earlier session in a folder have none
        #: until they are drawn anew.
        self.uncertainty: dict[str, NDArray[np.uint8]] = {
            name: np.zeros(cells_of(Window.whole(self.inputs.shape)).shape, dtype=np.uint8)
            for name in MAPS
        }
        #: Map -> tile -> (locked pixels, how many of them would be others).
        self._counts: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in MAPS}
        #: How often `recall` was called, and which call was the last to paint a tile of a map.
        self._recalls = 0
        self._recalled: dict[tuple[str, int], int] = {}
        self._history: list[Step] = [Step("open", Clicks(), None)]
        self._position = 0
        self._locks_made = 0
        self.journal: Journal | None = None
        #: The journal's trouble that was told last.
        self._told_trouble = ""
        #: Tiles that could not be read -> why; they are tried again with the next refresh.
        self.unreadable: dict[int, str] = {}

    # ---------------------------------------------------------------- what it holds

    @property
    def classes(self) -> tuple[LandClass, ...]:
        """Classes of the map; class ``i`` is the value ``i``."""
        return self.inputs.card.classes

    @property
    def network(self) -> Network:
        """The pretrained network, theta0."""
        return self._network

    @property
    def features(self) -> FeatureCache:
        """Where the encoder's features go."""
        return self._renderer.features

    @property
    def weights(self) -> str:
        """Fingerprint of the pretrained network."""
        return self._networks.weights

    @property
    def current_network(self) -> Network:
        """The network as adapted to this image; the pretrained one until then.

        What an edit of the clicks has changed and no job has learned yet is learned now.
        """
        return finish(self._renderer.network(self.adapted), self.handle)

    @property
    def clicks(self) -> Clicks:
        """The clicks, oldest first."""
        return self._history[self._position].clicks

    @property
    def adapted(self) -> AdaptationRun | None:
        """The last adaptation, or None while the weights are the pretrained ones."""
        return self._history[self._position].adapted

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The locked areas, oldest first."""
        return self._history[self._position].locks

    @property
    def corrected(self) -> Guided:
        """The map that is being corrected: the adapted one, once there is one."""
        return "disir" if self.adapted is None else "disca"

    @property
    def history(self) -> tuple[Step, ...]:
        """All steps, also those that `redo` would bring back."""
        return tuple(self._history)

    @property
    def position(self) -> int:
        """Which step of the history the session is at."""
        return self._position

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether a step was taken back."""
        return self._position + 1 < len(self._history)

    # ---------------------------------------------------------------- clicks

    def click(self, row: int, col: int, label: int) -> Click:
        """Add a click; one on the same pixel is replaced.

        Parameters
        ----------
        row, col : int
            Pixel of the image.
        label : int
            Class id.

        Raises
        ------
        ClickError
            If the pixel is outside the image or the class does not exist.
        """
        click = Click(*_whole(row, col, label))
        self.set_clicks(self.clicks.added(click), f"{self._name(click)} click")
        return click

    def remove(self, *clicks: Click) -> None:
        """Take clicks away, whichever and however old.

        Raises
        ------
        ClickError
            If one of them is not there.
        """
        there = set(self.clicks)
        for click in clicks:
            if click not in there:
                raise ClickError(f"there is no click of class {click.label} at {click.pixel}")
        title = f"remove {len(clicks)} clicks" if len(clicks) > 1 else "remove a click"
        self.set_clicks(self.clicks.removed(*clicks), title)

    def move(self, click: Click, row: int, col: int) -> Click:
        """Put a click on another pixel; its age stays.

        Raises
        ------
        ClickError
            If it is not there, or would leave the image.
        """
        row, col = _whole(row, col)
        moved = replace(click, row=row, col=col)
        self.set_clicks(self.clicks.replaced(click, moved), f"move a {self._name(click)} click")
        return moved

    def relabel(self, click: Click, label: int) -> Click:
        """Give a click another class; its age stays.

        Raises
        ------
        ClickError
            If it is not there, or the class does not exist.
        """
        changed = replace(click, label=_whole(label)[0])
        self.set_clicks(self.clicks.replaced(click, changed), f"click to {self._name(changed)}")
        return changed

    def add(self, *clicks: Click) -> None:
        """Add clicks in one step; those on the same pixels are replaced.

        Raises
        ------
        ClickError
            If one is outside the image or its class does not exist; nothing changes then.
        """
        what = f"{len(clicks)} clicks" if len(clicks) > 1 else f"{self._name(clicks[0])} click"
        self.set_clicks(self.clicks.added(*clicks), what)

    def move_all(self, pixels: Mapping[Click, tuple[int, int]]) -> None:
        """Put clicks on other pixels in one step; what lies there is replaced.

        Raises
        ------
        ClickError
            If one is not there, or would leave the image; nothing changes then.
        """
        moves = {
            click: replace(click, row=row, col=col)
            for click, (row, col) in ((c, _whole(*pixel)) for c, pixel in pixels.items())
        }
        one = f"a {self._name(next(iter(pixels)))} click"
        what = f"{len(moves)} clicks" if len(moves) > 1 else one
        self.set_clicks(self.clicks.replaced_all(moves), f"move {what}")

    def relabel_all(self, labels: Mapping[Click, int]) -> None:
        """Give clicks other classes in one step; their age stays.

        Raises
        ------
        ClickError
            If one is not there, or a class does not exist; nothing changes then.
        """
        changes = {click: replace(click, label=_whole(label)[0]) for click, label in labels.items()}
        names = {self._name(click) for click in changes.values()}
        what = f"{len(changes)} clicks" if len(changes) > 1 else "a click"
        title = f"{what} to {names.pop()}" if len(names) == 1 else f"re-class {what}"
        self.set_clicks(self.clicks.replaced_all(changes), title)

    def set_clicks(self, clicks: Clicks, title: str = "change clicks") -> None:
        """Replace all clicks in one step of the history.

        A click that was adapted to and is removed, moved or given another class is so for the
        adaptation too: the next `refine` learns it again, as if it had always been like that. A
        new click is learned from when `adapt` is called.

        Raises
        ------
        ClickError
            If one lies outside the image or has an unknown class; nothing changes then.
        """
        clicks.checked(self.raster.shape, len(self.classes))
        if clicks == self.clicks:
            return
        edit = Edit.between(self.clicks, clicks)
        left = set(clicks)
        adapted = self.adapted
        if adapted is not None:
            became = edit.of if edit.exact else (lambda c: c if c in left else None)
            adapted = adapted.edited(became, self.locks)
        told = {"do": "clicks", "title": title, **click_fields(edit, clicks)}
        self._record(Step(title, clicks, adapted, self.locks), told)

    def _name(self, click: Click) -> str:
        known = 0 <= click.label < len(self.classes)
        return self.classes[click.label].name if known else f"class {click.label}"

    # ---------------------------------------------------------------- history

    def undo(self) -> str | None:
        """Take back the last step: clicks, weights and locks together.

        Returns
        -------
        str or None
            What was taken back; None if there is nothing. The maps follow with the next
            `refine`.
        """
        if not self.can_undo:
            return None
        title = self._history[self._position].title
        self.go(self._position - 1)
        return title

    def redo(self) -> str | None:
        """Do again what `undo` took back; what it was, or None."""
        if not self.can_redo:
            return None
        self.go(self._position + 1)
        return self._history[self._position].title

    def go(self, position: int) -> None:
        """Go to any step of the history; those after it can be brought back.

        Raises
        ------
        IndexError
            If there is no such step.
        """
        if not 0 <= position < len(self._history):
            raise IndexError(f"there is no step {position} among {len(self._history)}")
        if position != self._position:
            self._go(position, {"do": "go", "to": position})

    def reset_network(self) -> None:
        """Forget what was adapted; the clicks stay. Can be undone."""
        if self.adapted is not None:
            self._record(Step("reset network", self.clicks, None, self.locks), {"do": "reset"})

    def _record(self, step: Step, told: Mapping[str, Any]) -> None:
        del self._history[self._position + 1 :]
        self._history.append(step)
        self._go(self._position + 1, told)

    def _go(self, position: int, told: Mapping[str, Any]) -> None:
        before, after = self._history[self._position], self._history[position]
        self._position = position
        self._tell(told)
        if before.clicks != after.clicks:
            self.clicks_changed.emit(after.clicks)
        if before.adapted is not after.adapted:
            self.adapted_changed.emit(after.adapted)
        if before.locks != after.locks:
            self.locks_changed.emit(after.locks)
        self.history_changed.emit()

    # ---------------------------------------------------------------- locks

    def lock(self, *areas: Area, map: Guided = "disca", title: str = "") -> tuple[Lock, ...]:
        """Declare areas checked: their pixels keep their labels, whatever comes.

        They keep what a map says of them with the present clicks and weights, in both guided
        maps, since what is right on the ground is so in every map. Adaptations from now on learn
        from a sample of them.

        Parameters
        ----------
        areas : Area
        map : {"disca", "disir"}
            Which map was checked.

        Raises
        ------
        AreaError
            If one holds no pixel of the image; nothing changes then.
        """
        if map not in ("disca", "disir"):
            raise AreaError(f"map {map!r} cannot be locked; choose 'disca' or 'disir'")
        for area in areas:
            area.checked(self.raster.shape)
        run = self.adapted if map == "disca" else None
        made: list[Lock] = []
        for number, area in enumerate(areas, start=self._locks_made + 1):
            before = (*self.locks, *made)
            under = tuple(lock for lock in before if lock.area.window & area.window)
            made.append(Lock(number, area, map, self.clicks, run, under))
        if made:
            self._locks_made += len(made)
            title = title or ("lock an area" if len(made) == 1 else f"lock {len(made)} areas")
            rings = [area.rings for area in areas]
            self._record(
                Step(title, self.clicks, self.adapted, (*self.locks, *made)),
                {"do": "lock", "title": title, "map": map, "areas": rings},
            )
        return tuple(made)

    def unlock(self, *locks: Lock) -> None:
        """Let areas change again.

        An adaptation that learned from them is learned again without, by the next `refine`.

        Raises
        ------
        AreaError
            If one of them is not locked.
        """
        if not all(lock in self.locks for lock in locks):
            raise AreaError("this area is not locked")
        if not locks:
            return
        left = tuple(lock for lock in self.locks if lock not in locks)
        adapted = self.adapted
        if adapted is not None:
            adapted = adapted.edited(lambda click: click, left)
        title = "unlock an area" if len(locks) == 1 else f"unlock {len(locks)} areas"
        numbers = [lock.number for lock in locks]
        self._record(
            Step(title, self.clicks, adapted, left),
            {"do": "unlock", "locks": numbers},
        )

    def locked_at(self, row: int, col: int) -> bool:
        """Whether a pixel is locked."""
        pixel = Window(row, col, 1, 1)
        return any(lock.area.mask(pixel).any() for lock in self.locks)

    def lock_counts(self, name: Guided = "disca") -> tuple[int, int]:
        """Locked pixels of a map as it is drawn, and how many of them would be others.

        These are what the last adaptation, or later clicks, would have flipped.
        """
        counts = self._counts[name].values()
        return sum(locked for locked, _ in counts), sum(flipped for _, flipped in counts)

    # ---------------------------------------------------------------- journal

    def keep(self, journal: Journal) -> None:
        """Write a journal from now on.

        Raises
        ------
        JournalError
            If something was done already: the journal would not know it. `reopen.resume` gives
            a session that goes on with its journal.
        """
        if len(self._history) > 1:
            raise JournalError("a journal must know a session from its first step")
        self.attach(journal)

    def attach(self, journal: Journal) -> None:
        """Go on with a journal that knows all that was done; learned weights are cached."""
        self.journal = journal
        journal.on_trouble = self.journal_failed.emit
        self.learn_from_cache(DeltaCache())

    def learn_from_cache(self, cache: DeltaCache | None) -> None:
        """Take learned weights from a cache, and put new ones there."""
        self._networks.cache = cache

    def expect(self, run: str, weights: str) -> None:
        """Remember the fingerprint of the weights that a run of this key has learned."""
        self._networks.expect(run, weights)

    def exported(self, what: str, file: str) -> None:
        """Note in the journal that something was saved."""
        if self.journal is not None and len(self._history) > 1:
            self._tell({"do": "export", "what": what, "file": file})

    def close(self) -> None:
        """Let go of the journal and of kept maps: another session may go on with them.

        Call it when no job runs. Temporary maps go with the session object.

        Raises
        ------
        ExportError
            If the folder of kept maps cannot be written.
        """
        journal, self.journal = self.journal, None
        if journal is not None:
            journal.close()
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close(self._drawn, self._about())

    def _about(self) -> str:
        """What labels depend on besides weights and clicks."""
        facts = (
            raster_fingerprint(self.raster),
            self.inputs.bands,
            self.inputs.factor,
            (self.tiling.shape, self.tiling.size, self.tiling.halo),
            str(self.compute),
            self.compute.batch,
            self.compute.folded,
        )
        return repr(facts)

    def _tell(self, event: Mapping[str, Any]) -> None:
        if self.journal is None:
            return
        runs = sum(
            step.adapted is not None and step.clicks is last.clicks and step.locks is last.locks
            for last, step in pairwise(self._history[: self._position + 1])
        )
        path = self.journal.path
        self.journal.append({**event, "now": [len(self.clicks), runs, len(self.locks)]})
        if path != self.journal.path:
            self.troubled.emit(
                f"somebody has changed {path} or put another file there; it is left as it is, and "
                f"all that was done here is kept in {self.journal.path.name} beside it"
            )
        self.check_journal()

    def check_journal(self) -> None:
        """Tell by `troubled` if the journal cannot be written, once."""
        trouble = self.journal.trouble if self.journal is not None else ""
        before, self._told_trouble = self._told_trouble, trouble
        if trouble and trouble != before:
            self.troubled.emit(f"{trouble}; the work goes on, and is written as soon as it can be")

    # ---------------------------------------------------------------- jobs

    def predict(self) -> Job[None]:
        """Job that draws the initial map (and the others where they are the same)."""
        return self.refresh(("initial",))

    def refine(self) -> Job[None]:
        """Job that brings all maps up to date with the clicks and the weights.

        Redoes the tiles whose clicks or weights changed, those in view first.
        """
        return self.refresh(MAPS)

    def refresh(self, maps: Iterable[str] = MAPS) -> Job[None]:
        """Job that brings some maps up to date.

        Parameters
        ----------
        maps : iterable of str
            Of `MAPS`. A tile that is the same in another map is painted there too, at no cost.

        Yields
        ------
        Progress and Patch; pass both to `handle`.
        """
        return self._refresh(self._snapshot(), tuple(maps))

    def adapt(self, recipe: Recipe, maps: Iterable[str] = MAPS) -> Job[AdaptationResult]:
        """Job that adapts the weights to all clicks, then redoes the maps, view first.

        Yields
        ------
        Progress, then AdaptationRun, then Patch and Progress; pass all to `handle`.

        Raises
        ------
        RecipeError
            If there is no click, or what was learned is not finite; nothing is adopted then.
        """
        if not len(self.clicks):
            raise RecipeError("there are no clicks to learn from; click on some mistakes first")
        now = self._snapshot()
        run = AdaptationRun(
            AdaptationResult(None),
            recipe,
            clicks=now.step.clicks,
            locks=now.step.locks,
            seed=self.seed,
            base=now.step.adapted if getattr(recipe, "continues", True) else None,
        )
        return self._adapt(now, run, tuple(maps))

    def handle(self, event: Any) -> None:
        """Take over what a job yielded: paint patches, adopt weights.

        Pass no more events of a job that has been closed once another has been asked for.
        """
        if isinstance(event, Patch):
            self.maps[event.map].paint(event.window, event.labels)
            self._drawn.put(event.map, event.tile, event.state)
            unsure = UNKNOWN if event.uncertainty is None else event.uncertainty
            self._cells(event.map, self.tiling[event.tile])[:] = unsure
            if event.locked:
                self._counts[event.map][event.tile] = event.locked, event.flipped
            else:
                self._counts[event.map].pop(event.tile, None)
            self.unreadable.pop(event.tile, None)
            self.painted.emit(event)
        elif isinstance(event, Unreadable):
            self.unreadable[event.tile] = event.reason
        elif isinstance(event, RunRelearned):
            self._on_learned(event)
        elif isinstance(event, AdaptationRun):
            self._on_adapted(event)

    def _initial(self, tile: Tile) -> Predicted | None:
        """What the pretrained network alone says of a tile, if its map shows it."""
        if self._drawn.get("initial", tile.index) != self._networks.weights:
            return None
        labels = self.maps["initial"].read(self._renderer.window(tile))
        return Predicted(labels, self._cells("initial", tile).copy())

    def _on_adapted(self, event: AdaptationRun) -> None:
        self._networks.expect(event.key, event.weights)
        kept = replace(event, adaptation=replace(event.adaptation, network=None))
        # What was removed while it was learning must not have been learned.
        there = set(self.clicks)
        run = kept.edited(lambda click: click if click in there else None, self.locks)
        if run is None or run is kept.base:
            return
        told: dict[str, Any] = {}
        if self.journal is not None:  # a script's own recipe has no name to be kept under
            told = {
                "do": "adapt",
                **run_fields(run, self.clicks, self.locks, self.adapted),
                "note": run.adaptation.note,
            }
        self._record(Step(f"adapt ({run.recipe.title})", self.clicks, run, self.locks), told)

    def _on_learned(self, event: RunRelearned) -> None:
        self._tell({"do": "learned", "run": event.run.key, "weights": event.weights})
        if event.expected and event.expected != event.weights:
            self.troubled.emit(
                "what was adapted to had to be learned again, and came out a little different "
                "on this machine; the map may differ from the one you knew in a few pixels"
            )

    def recall(self, seconds: float = 0.05) -> None:
        """Paint at once what is in view and was drawn before, as after an undo.

        A job would do the same, but only once the one before it has ended.

        Parameters
        ----------
        seconds : float
            What is not painted by then is left to the next job.
        """
        until = time.perf_counter() + seconds
        self._recalls += 1
        now = self._snapshot()
        painted: set[tuple[str, int]] = set()
        for name in reversed(MAPS):
            target = now.target(name, self._networks)
            for tile in self.stale(name, self.viewport.window):
                state = target.version(tile.index)
                known = self._renderer.recent.get(tile.index, state)
                if known is not None:
                    self._remember(tile, now, painted)
                    painted.add((name, tile.index))
                    self._recalled[name, tile.index] = self._recalls
                    window = self._renderer.window(tile)
                    self.handle(_patch(name, window, tile, state, known))
                if time.perf_counter() > until:
                    return

    def check_complete(self) -> None:
        """Do nothing, unless tiles could not be read.

        Raises
        ------
        RasterError
            For those who cannot wait for another try.
        """
        for reason in self.unreadable.values():
            count = len(self.unreadable)
            more = f" ({count} tiles of {len(self.tiling)} are missing)" if count > 1 else ""
            raise RasterError(reason + more)

    def up_to_date(self, name: str) -> float:
        """Share of a map's tiles that show the present clicks and weights, 0 to 1."""
        count = self._drawn.stale_count(name, self._target(name))
        return 1 - count / len(self.tiling)

    def stale(self, name: str, window: Window | None = None) -> list[Tile]:
        """Tiles of a map that are out of date.

        Parameters
        ----------
        window : Window, optional
            On the image's grid: only tiles that keep some of it.
        """
        stale = self._stale(name)
        if window is None:
            return [self.tiling[int(index)] for index in np.flatnonzero(stale)]
        # Not a look at every tile of a large map, for what is in view.
        near = self.tiling.touching(self.inputs.network_window(window))
        return [t for t in near if stale[t.index] and self._renderer.window(t) & window]

    def outdated(self, name: str) -> NDArray[np.bool_]:
        """Tiles of a map that show clicks or weights of before, as ``tiling.grid``.

        Tiles that show nothing yet are not among them.
        """
        return (self._stale(name) & self._drawn.drawn(name)).reshape(self.tiling.grid)

    def _stale(self, name: str) -> NDArray[np.bool_]:
        return self._drawn.stale(name, self._target(name))

    def _target(self, name: str) -> Target:
        """What a map should show now."""
        run = self.adapted if name == "disca" else None
        weights = self._networks.name(run)
        if name == "initial":
            return Target(weights, _NO_CLICKS, self._unlocked)
        return Target(weights, self._assign(self.clicks), self._renderer.locks(self.locks))

    def _assign(self, clicks: Clicks) -> TileClicks:
        """Clicks by tile; asked by the panel again and again for the same clicks."""
        if self._assigned.clicks is not clicks:
            self._assigned = self._assigned.updated(clicks, self.inputs, self.tiling)
        return self._assigned

    @property
    def must_learn(self) -> bool:
        """Whether an edit has changed the adaptation, so that the next refresh learns it again."""
        return not self._networks.ready(self.adapted)

    def _snapshot(self) -> _Snapshot:
        step = self._history[self._position]
        return _Snapshot(
            step=step,
            assigned=self._assign(step.clicks),
            locked=self._renderer.locks(step.locks),
            unlocked=self._unlocked,
            drawn=self._drawn.copy(),
            counts={name: dict(counts) for name, counts in self._counts.items()},
            unreadable=frozenset(self.unreadable),
            recalls=self._recalls,
        )

    def _refresh(self, now: _Snapshot, maps: tuple[str, ...]) -> Job[None]:
        drawn = now.drawn.copy()
        targets: dict[str, Target] = {}
        #: What this job has painted over: the owner may do so any moment.
        painted: set[tuple[str, int]] = set()

        def wanted(name: str, tile: Tile) -> str:
            return targets[name].version(tile.index)

        def outdated(name: str, tile: Tile) -> bool:
            return drawn.get(name, tile.index) != wanted(name, tile)

        stages = [maps]
        if "disca" in maps and not self._networks.ready(now.run("disca")):
            # What needs no learning is shown first.
            stages = [tuple(name for name in maps if name != "disca"), ("disca",)]
        for stage in filter(None, stages):
            for name in stage:  # learned again where need be
                yield from self._renderer.ready(now.run(name))
            # Only now: a run that turns out to have left the weights alone has their name.
            for name in MAPS:
                targets[name] = now.target(name, self._networks)

            def load(index: int, stage: tuple[str, ...] = stage) -> _Loaded:
                tile = self.tiling[index]
                self._remember(tile, now, painted)
                asked = [
                    self._renderer.wants_pixels(tile, targets[name])
                    for name in stage
                    if outdated(name, tile)
                ]
                if not any(asked):
                    return _Loaded(tile, None)
                try:
                    image = "image" in asked
                    return _Loaded(tile, read_pixels(self.inputs, tile, image=image))
                except RasterError as error:
                    return _Loaded(tile, None, error)

            waiting = np.zeros(len(self.tiling), dtype=np.bool_)
            urgent = np.zeros_like(waiting)
            for name in stage:
                waiting |= drawn.stale(name, targets[name])
                urgent |= drawn.touched(name, targets[name].clicks)
            # A tile that cannot be read may take long to fail: others come first.
            again = [index for index in now.unreadable if waiting[index]]
            waiting[again] = False
            queue = TileQueue(self.tiling, waiting, urgent)
            total, done = len(queue) + len(again), 0
            yield Progress("updating the map", 0, total)
            with closing(Prefetcher(load, 2 * self.compute.batch)) as ahead:
                while len(queue) or again:
                    # Asked anew each time: the user may have panned.
                    if len(queue):
                        chosen = queue.take(self.compute.batch, self._seen())
                        following = queue.peek(self.compute.batch, self._seen())
                    else:
                        chosen, again = again[:1], again[1:]
                        following = again[:1]
                    group = ahead.take(chosen)
                    ahead.expect(following)
                    made: Predictions = {}
                    for name in stage:
                        self._renderer.predict(
                            [
                                loaded.pixels
                                for loaded in group
                                if loaded.pixels is not None and outdated(name, loaded.tile)
                            ],
                            targets[name],
                            made,
                        )
                    yield from self._renderer.notes()
                    for loaded in group:
                        tile = loaded.tile
                        try:
                            if loaded.trouble is not None:
                                raise loaded.trouble
                            for event in self._patches(tile, stage, now, targets, made, outdated):
                                if isinstance(event, Patch):
                                    painted.add((event.map, event.tile))
                                    drawn.put(event.map, event.tile, event.state)
                                yield event
                        except RasterError as error:
                            yield Unreadable(tile.index, " ".join(str(error).split()))
                    done += len(group)
                    yield Progress("updating the map", done, total)

    def _patches(
        self,
        tile: Tile,
        maps: tuple[str, ...],
        now: _Snapshot,
        targets: Mapping[str, Target],
        made: Predictions,
        outdated: Callable[[str, Tile], bool],
    ) -> Job[None]:
        """Patches of a tile for all maps that show the states that some of them lack."""
        window = self._renderer.window(tile)
        wanted = {name: target.version(tile.index) for name, target in targets.items()}
        states = {wanted[name]: name for name in reversed(maps) if outdated(name, tile)}
        for state, source in reversed(states.items()):
            found = self._renderer.recent.get(tile.index, state)
            if found is None:
                found = yield from self._renderer.draw(tile, now.run(source), targets[source], made)
            for name in [n for n in MAPS if outdated(n, tile) and wanted[n] == state]:
                yield _patch(name, window, tile, state, found)

    def _cells(self, name: str, tile: Tile) -> NDArray[np.uint8]:
        """Uncertainty of a tile in a map, as a view."""
        return self.uncertainty[name][cells_of(tile.keep).slices]

    def _remember(self, tile: Tile, now: _Snapshot, painted: set[tuple[str, int]]) -> None:
        """Keep what is shown for an undo, before the owner paints over it."""
        recent = self._renderer.recent
        for name in MAPS:
            state = now.drawn.get(name, tile.index)
            if (
                state is not None
                and (name, tile.index) not in painted
                and not recent.has(tile.index, state)
            ):
                counts = now.counts[name].get(tile.index, (0, 0))
                shown = self.maps[name].read(self._renderer.window(tile))
                unsure = self._cells(name, tile).copy()
                if self._recalled.get((name, tile.index), 0) > now.recalls:
                    continue  # the owner has painted it since then, or is about to
                recent.put(tile.index, state, RenderedTile(shown, *counts, unsure))

    def _seen(self) -> Window | None:
        """What the user looks at, on the network's grid."""
        view = self.viewport.window
        if view is None or self.inputs.factor == 1.0:
            return view
        down = self.inputs.shape[0] / self.raster.shape[0]
        across = self.inputs.shape[1] / self.raster.shape[1]
        return Window.from_bounds(
            int(view.top * down),
            int(view.left * across),
            int(view.bottom * down) + 1,
            int(view.right * across) + 1,
        )

    def _adapt(
        self, now: _Snapshot, run: AdaptationRun, maps: tuple[str, ...]
    ) -> Job[AdaptationResult]:
        made = yield from self._networks.learn(run, self._renderer.sample)
        adaptation: AdaptationResult = made.adaptation
        yield made
        after = replace(now, step=replace(now.step, adapted=made))
        yield from self._refresh(after, maps)
        return adaptation


def _patch(name: str, window: Window, tile: Tile, state: str, drawn: RenderedTile) -> Patch:
    found = drawn.labels, tile.index, state, drawn.locked, drawn.flipped, drawn.uncertainty
    return Patch(name, window, *found)
