"""`Session`: one image being corrected. It owns the state, and its verbs make jobs.

Three label maps of the image are kept (method: Lenczner et al. 2020): *initial*, the pretrained
network alone; *disir*, the same weights with the clicks beside the image; *disca*, the adapted
weights with the clicks. Until something is adapted, *disca* equals *disir*.

A map is a pure function of weights and clicks, tile by tile. The session remembers for every
tile which weights and clicks it was drawn with, so what is out of date is known exactly, also
after an undo, a cancel or an error in the middle of a run.
"""

from __future__ import annotations

import shutil
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from psygnal import Signal

from napari_disca.canvas import Canvas
from napari_disca.clicks import Click, Clicks
from napari_disca.compute import Compute
from napari_disca.errors import ClickError, ExportError, RecipeError, out_of_memory
from napari_disca.events import Job, Note, Patch, Progress
from napari_disca.features import FeatureCache
from napari_disca.inputs import NetworkInput
from napari_disca.networks import LandClass, Network, encoder_fingerprint, fingerprint
from napari_disca.predict import Pixels, Predictor, TileClicks, read_pixels, tiling_for
from napari_disca.queueing import Ahead, TileQueue
from napari_disca.raster import Raster
from napari_disca.raster import fingerprint as raster_fingerprint
from napari_disca.recipes import Adaptation, Recipe, changed_weights, crops_for
from napari_disca.states import TileStates
from napari_disca.tiling import Tile, Tiling, Window

#: The three maps of an image.
MAPS = ("initial", "disir", "disca")

#: Bytes of compressed tiles kept so that undo and redo need no network.
_RECENT_BYTES = 64 << 20
#: States kept of one tile.
_RECENT_STATES = 12
#: Networks kept ready for prediction.
_READY_NETWORKS = 3
#: File of a folder of kept maps.
_STATES = "states.json"


@dataclass(frozen=True, slots=True, eq=False)
class Adapted:
    """Event of `Session.adapt`: a recipe has learned; `Session.handle` adopts it.

    Attributes
    ----------
    adaptation : Adaptation
        What was learned. In the history it holds no network: `changed` rebuilds it.
    recipe : Recipe
    weights : str
        Fingerprint of the adapted network.
    changed : mapping of str to Tensor
        The tensors that differ from the pretrained network's.
    """

    adaptation: Adaptation
    recipe: Recipe
    weights: str
    changed: Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the history: what the session looked like after `title`."""

    title: str
    clicks: Clicks
    adapted: Adapted | None


@dataclass(slots=True)
class Viewport:
    """What the user looks at, on the image's grid; read by running jobs between tiles."""

    window: Window | None = None


@dataclass(frozen=True)
class _Snapshot:
    """What a refresh needs, frozen when the verb was called."""

    clicks: Clicks
    networks: Mapping[str, Network]  # weights fingerprint -> network
    weights: Mapping[str, str]  # map -> weights fingerprint
    assigned: TileClicks
    drawn: TileStates


@dataclass(frozen=True, slots=True, eq=False)
class _Loaded:
    """A tile that is ready for the networks."""

    tile: Tile
    known: dict[str, NDArray[np.uint8]]  # state -> labels; filled by the networks
    pixels: Pixels | None
    asked: tuple[tuple[str, Predictor, Clicks], ...]  # states that are not known


class Session:
    """One image being corrected.

    Only the thread that made a session may call its verbs and `handle`; the jobs they return may
    run on another thread, one at a time.

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
        precision goes on with what is drawn. By default they are temporary files.
    features : FeatureCache, optional
        Where the encoder's features go while an adapted network leaves the encoder as it was;
        at most 512 MB of memory and no disk by default.

    Raises
    ------
    RasterError, CardError
        If the network cannot read this image.
    ExportError
        If there is no room for the maps.
    """

    clicks_changed = Signal(Clicks)
    painted = Signal(Patch)
    adapted_changed = Signal(object)
    history_changed = Signal()

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
        self.inputs = NetworkInput(raster, network.card, bands=bands, factor=factor)
        self.compute = compute or Compute.choose()
        self.seed = seed
        self.tiling: Tiling = tiling_for(self.inputs)
        self.viewport = Viewport()
        # A copy: moving a module to a device would change the one received.
        self._network: Network = deepcopy(network).to(
            self.compute.device, memory_format=torch.channels_last
        )  # type: ignore[call-overload]
        self._network.eval().requires_grad_(False)
        self._weights = fingerprint(network)
        self._adapted_network: tuple[str, Network] | None = None
        self._encoder = encoder_fingerprint(self._network)
        self._features = features or FeatureCache()
        self._predictors: OrderedDict[str, Predictor] = OrderedDict()
        self._assigned: tuple[Clicks, TileClicks] | None = None
        self._drawn = TileStates(MAPS, len(self.tiling))
        self._folder = folder
        if folder is not None:
            self._take_over(folder)
        self.maps: dict[str, Canvas] = {
            name: Canvas(raster.shape, folder / name if folder else None) for name in MAPS
        }
        self._recent = _RecentTiles(_RECENT_BYTES)
        self._history: list[Step] = [Step("open", Clicks(), None)]
        self._position = 0

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
    def current_network(self) -> Network:
        """The network as adapted to this image; the pretrained one until then."""
        return self._network if self.adapted is None else self._built(self.adapted)

    @property
    def clicks(self) -> Clicks:
        """The clicks, oldest first."""
        return self._history[self._position].clicks

    @property
    def adapted(self) -> Adapted | None:
        """The last adaptation, or None while the weights are the pretrained ones."""
        return self._history[self._position].adapted

    @property
    def history(self) -> tuple[Step, ...]:
        """All steps, also those that `redo` would bring back."""
        return tuple(self._history)

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
        click = Click(int(row), int(col), int(label))
        self.set_clicks(self.clicks.added(click), f"{self._name(click)} click")
        return click

    def remove(self, *clicks: Click) -> None:
        """Take clicks away, whichever and however old.

        Raises
        ------
        ClickError
            If one of them is not there.
        """
        for click in clicks:
            if click not in self.clicks:
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
        moved = replace(click, row=int(row), col=int(col))
        self.set_clicks(self.clicks.replaced(click, moved), f"move a {self._name(click)} click")
        return moved

    def relabel(self, click: Click, label: int) -> Click:
        """Give a click another class; its age stays.

        Raises
        ------
        ClickError
            If it is not there, or the class does not exist.
        """
        changed = replace(click, label=int(label))
        self.set_clicks(self.clicks.replaced(click, changed), f"click to {self._name(changed)}")
        return changed

    def set_clicks(self, clicks: Clicks, title: str = "change clicks") -> None:
        """Replace all clicks in one step of the history.

        Raises
        ------
        ClickError
            If one lies outside the image or has an unknown class; nothing changes then.
        """
        clicks.checked(self.raster.shape, len(self.classes))
        if clicks != self.clicks:
            self._record(Step(title, clicks, self.adapted))

    def _name(self, click: Click) -> str:
        known = 0 <= click.label < len(self.classes)
        return self.classes[click.label].name if known else f"class {click.label}"

    # ---------------------------------------------------------------- history

    def undo(self) -> str | None:
        """Take back the last step, clicks and weights together.

        Returns
        -------
        str or None
            What was taken back; None if there is nothing. The maps follow with the next
            `refine`.
        """
        if not self.can_undo:
            return None
        title = self._history[self._position].title
        self._go(self._position - 1)
        return title

    def redo(self) -> str | None:
        """Do again what `undo` took back; what it was, or None."""
        if not self.can_redo:
            return None
        self._go(self._position + 1)
        return self._history[self._position].title

    def reset_network(self) -> None:
        """Forget what was adapted; the clicks stay. Can be undone."""
        if self.adapted is not None:
            self._record(Step("reset network", self.clicks, None))

    def _record(self, step: Step) -> None:
        del self._history[self._position + 1 :]
        self._history.append(step)
        self._go(self._position + 1)

    def _go(self, position: int) -> None:
        before, after = self._history[self._position], self._history[position]
        self._position = position
        if before.clicks != after.clicks:
            self.clicks_changed.emit(after.clicks)
        if before.adapted is not after.adapted:
            self.adapted_changed.emit(after.adapted)
        self.history_changed.emit()

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

    def adapt(self, recipe: Recipe, maps: Iterable[str] = MAPS) -> Job[Adaptation]:
        """Job that adapts the weights to all clicks, then redoes the maps, view first.

        Yields
        ------
        Progress, then Adapted, then Patch and Progress; pass all to `handle`.

        Raises
        ------
        RecipeError
            If there is no click, or what was learned is not finite; nothing is adopted then.
        """
        if not len(self.clicks):
            raise RecipeError("there are no clicks to learn from; click on some mistakes first")
        return self._adapt(self._snapshot(), recipe, tuple(maps))

    def handle(self, event: Any) -> None:
        """Take over what a job yielded: paint patches, adopt weights.

        Pass no more events of a job that has been closed once another has been asked for.
        """
        if isinstance(event, Patch):
            self.maps[event.map].paint(event.window, event.labels)
            self._drawn.put(event.map, event.tile, event.state)
            self.painted.emit(event)
        elif isinstance(event, Adapted):
            if event.adaptation.network is not None:
                self._adapted_network = event.weights, event.adaptation.network
            # A history of whole networks would fill the memory.
            kept = replace(event, adaptation=replace(event.adaptation, network=None))
            self._record(Step(f"adapt ({event.recipe.title})", self.clicks, kept))

    def up_to_date(self, name: str) -> float:
        """Share of a map's tiles that show the present clicks and weights, 0 to 1."""
        return 1 - float(self._stale(name).mean())

    def stale(self, name: str) -> list[Tile]:
        """Tiles of a map that are out of date."""
        return [self.tiling[int(index)] for index in np.flatnonzero(self._stale(name))]

    def outdated(self, name: str) -> NDArray[np.bool_]:
        """Tiles of a map that show clicks or weights of before, as ``tiling.grid``.

        Tiles that show nothing yet are not among them.
        """
        return (self._stale(name) & self._drawn.drawn(name)).reshape(self.tiling.grid)

    def _stale(self, name: str) -> NDArray[np.bool_]:
        weights = self._weights
        if name == "disca" and self.adapted is not None:
            weights = self.adapted.weights
        clicks = TileClicks({}) if name == "initial" else self._assign(self.clicks)
        return self._drawn.stale(name, weights, clicks)

    def _assign(self, clicks: Clicks) -> TileClicks:
        """Clicks by tile; asked by the panel again and again for the same clicks."""
        kept = self._assigned
        if kept is None or kept[0] is not clicks:
            assigned = kept[1] if kept is not None else TileClicks({})
            kept = self._assigned = (
                clicks,
                assigned.updated(clicks, self.inputs, self.tiling),
            )
        return kept[1]

    # ---------------------------------------------------------------- keeping

    def close(self) -> None:
        """End the session; kept maps can be taken over by another from now on.

        Call it when no job runs. Temporary maps go with the session object.

        Raises
        ------
        ExportError
            If the folder cannot be written.
        """
        if self._folder is not None:
            self._drawn.save(self._folder / _STATES, self._about())
            self._folder = None

    def _take_over(self, folder: Path) -> None:
        """Take over the maps of an earlier session, or start with empty ones."""
        try:
            if not self._drawn.load(folder / _STATES, self._about()):
                for name in MAPS:
                    shutil.rmtree(folder / name, ignore_errors=True)
            # Should this session end without a word, what it painted over must not be believed.
            (folder / _STATES).unlink(missing_ok=True)
        except OSError as error:
            raise ExportError(f"cannot keep maps in {folder}: {error.strerror}") from error

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

    def _snapshot(self) -> _Snapshot:
        adapted = self.adapted
        networks = {self._weights: self._network}
        if adapted is not None:
            networks[adapted.weights] = self._built(adapted)
        return _Snapshot(
            clicks=self.clicks,
            networks=networks,
            weights={
                "initial": self._weights,
                "disir": self._weights,
                "disca": adapted.weights if adapted is not None else self._weights,
            },
            assigned=self._assign(self.clicks),
            drawn=self._drawn.copy(),
        )

    def _built(self, adapted: Adapted) -> Network:
        """The adapted network; the last one asked for is kept."""
        if self._adapted_network is None or self._adapted_network[0] != adapted.weights:
            network = deepcopy(self._network)
            network.load_state_dict({**network.state_dict(), **adapted.changed})
            self._adapted_network = adapted.weights, network
        return self._adapted_network[1]

    def _predictor(self, weights: str, network: Network) -> Predictor:
        """Predictor of some weights; the last few stay ready."""
        predictor = self._predictors.pop(weights, None)
        if predictor is None:
            # Only an adapted network can come back to the same features again and again.
            encoder = "" if weights == self._weights else encoder_fingerprint(network)
            frozen = bool(encoder) and encoder == self._encoder
            predictor = Predictor(
                network, self.inputs, self.compute, (encoder, self._features) if frozen else None
            )
        self._predictors[weights] = predictor
        if len(self._predictors) > _READY_NETWORKS:
            self._predictors.popitem(last=False)
        return predictor

    def _refresh(self, now: _Snapshot, maps: tuple[str, ...]) -> Job[None]:
        clicks = {name: TileClicks({}) if name == "initial" else now.assigned for name in MAPS}
        predictors = {
            weights: self._predictor(weights, network) for weights, network in now.networks.items()
        }

        def wanted(name: str, tile: Tile) -> str:
            return clicks[name].state(now.weights[name], tile)

        def outdated(name: str, tile: Tile) -> bool:
            return now.drawn.get(name, tile.index) != wanted(name, tile)

        def states(tile: Tile) -> list[str]:
            return list(dict.fromkeys(wanted(n, tile) for n in maps if outdated(n, tile)))

        def load(index: int) -> _Loaded:
            tile = self.tiling[index]
            known = self._known(tile, now)
            asked = [
                (state, predictors[weights], now.assigned.of(tile) if plus else Clicks())
                for state in states(tile)
                if state not in known
                for weights, plus, _ in [state.partition("+")]
            ]
            if not asked:
                return _Loaded(tile, known, None, ())
            unseen = any(not predictor.knows(tile, near) for _, predictor, near in asked)
            pixels = read_pixels(self.inputs, tile, image=unseen)
            return _Loaded(tile, known, pixels, tuple(asked))

        waiting = np.zeros(len(self.tiling), dtype=np.bool_)
        urgent = np.zeros_like(waiting)
        for name in maps:
            waiting |= now.drawn.stale(name, now.weights[name], clicks[name])
            urgent |= now.drawn.touched(name, clicks[name])
        queue = TileQueue(self.tiling, waiting, urgent)
        total, done = len(queue), 0
        yield Progress("updating the map", 0, total)
        with closing(Ahead(load, 2 * self.compute.batch)) as ahead:
            while len(queue):
                # Asked anew each time: the user may have panned.
                group = ahead.take(queue.take(self.compute.batch, self._seen()))
                ahead.expect(queue.peek(self.compute.batch, self._seen()))
                self._predict(group)
                for predictor in predictors.values():
                    yield from predictor.notes()
                for loaded in group:
                    tile, known = loaded.tile, loaded.known
                    window = self.inputs.image_window(tile.keep)
                    for state in states(tile):
                        for name in MAPS:
                            if outdated(name, tile) and wanted(name, tile) == state:
                                yield Patch(name, window, known[state], tile.index, state)
                done += len(group)
                yield Progress("updating the map", done, total)

    def _predict(self, group: Sequence[_Loaded]) -> None:
        """Ask the networks for what is not known of some tiles."""
        asked: dict[Predictor, list[tuple[_Loaded, str, Clicks]]] = {}
        for loaded in group:
            for state, predictor, near in loaded.asked:
                asked.setdefault(predictor, []).append((loaded, state, near))
        for predictor, parts in asked.items():
            pixels = [(part.pixels, near) for part, _, near in parts if part.pixels is not None]
            for (loaded, state, _), labels in zip(parts, predictor.batch(pixels), strict=True):
                loaded.known[state] = labels

    def _known(self, tile: Tile, now: _Snapshot) -> dict[str, NDArray[np.uint8]]:
        """Labels of a tile that need no network, by state: those shown now, and recent ones.

        Read before the first patch of the tile leaves, because the owner paints over them. What
        is shown is kept for an undo.
        """
        window = self.inputs.image_window(tile.keep)
        known = self._recent.of(tile.index)
        for name in MAPS:
            state = now.drawn.get(name, tile.index)
            if state is not None and state not in known:
                known[state] = self.maps[name].read(window)
                self._recent.put(tile.index, state, known[state])
        return known

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

    def _adapt(self, now: _Snapshot, recipe: Recipe, maps: tuple[str, ...]) -> Job[Adaptation]:
        crops = crops_for(recipe, self.inputs, now.clicks, self.tiling)
        current = now.networks[now.weights["disca"]]
        start = None if current is self._network else current
        compute, full = self.compute, False
        try:
            adaptation: Adaptation = yield from recipe.adapt(
                self._network, crops, current=start, compute=compute, seed=self.seed
            )
        except RuntimeError as error:
            if compute.last_resort or not out_of_memory(error):
                raise
            full = True
        if full:
            # Not in the handler: the error holds on to the tensors of the failed attempt.
            compute.free()
            device = compute.device.type
            yield Note(f"The memory of the {device} device is full: learning on the CPU")
            adaptation = yield from recipe.adapt(
                self._network, crops, current=start, compute=compute.on_cpu(), seed=self.seed
            )
        network = (adaptation.network or self._network).to(compute.device)
        weights = fingerprint(network)
        yield Adapted(adaptation, recipe, weights, changed_weights(network, self._network))
        after = replace(
            now,
            networks={**now.networks, weights: network},
            weights={**now.weights, "disca": weights},
        )
        yield from self._refresh(after, maps)
        return adaptation


class _RecentTiles:
    """Compressed labels of recently drawn tiles, the least recently used forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = 0
        self._tiles: OrderedDict[int, dict[str, tuple[tuple[int, int], bytes]]] = OrderedDict()
        # Written by the job's thread; a second job may start before the first has ended.
        self._lock = threading.Lock()

    def put(self, tile: int, state: str, labels: NDArray[np.uint8]) -> None:
        packed = zlib.compress(np.ascontiguousarray(labels).tobytes(), level=1)
        with self._lock:
            states = self._tiles.setdefault(tile, {})
            self._tiles.move_to_end(tile)
            if state not in states:
                states[state] = (labels.shape[0], labels.shape[1]), packed
                self._bytes += len(packed)
            if len(states) > _RECENT_STATES:
                self._bytes -= len(states.pop(next(iter(states)))[1])
            while self._bytes > self._limit and len(self._tiles) > 1:
                _, gone = self._tiles.popitem(last=False)
                self._bytes -= sum(len(packed) for _, packed in gone.values())

    def of(self, tile: int) -> dict[str, NDArray[np.uint8]]:
        """Labels of a tile by state."""
        with self._lock:
            states = dict(self._tiles.get(tile, {}))
        return {
            state: np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(shape)
            for state, (shape, packed) in states.items()
        }
