"""`Session`: one image being corrected, with verbs that return jobs.

Three label maps of the image are kept (method: Lenczner et al. 2020): *initial*, the pretrained
network alone; *disir*, the same weights with the clicks beside the image; *disca*, the adapted
weights with the clicks. Until something is adapted, *disca* equals *disir*.

A session has a `Document` (the user's work), `Maps` (what is rendered), and refreshes that bring
the maps up to date with the document. A map is a pure function of weights, clicks and locks, tile
by tile, and every tile has a version. So it is always known which tiles are out of date, also after
an undo, a cancel or an error in the middle of a run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from copy import deepcopy

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_disca.core.errors import RasterError, RecipeError
from napari_disca.core.events import Event, Job, Patch, Unreadable, finish
from napari_disca.core.tiling import Tiling
from napari_disca.inference.features import FeatureCache
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks import DeltaCache, Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster, Scaling, ValueScale
from napari_disca.raster.values.value_scale import FillChoice
from napari_disca.recipes import AdaptationResult, Recipe, checked_seed
from napari_disca.session.document import Document
from napari_disca.session.drawing import Drawing
from napari_disca.session.journal.journal import Journal
from napari_disca.session.map_state import MapState
from napari_disca.session.maps.maps import MAPS as MAPS
from napari_disca.session.maps.maps import Maps
from napari_disca.session.maps.refresh import (
    RefreshContext,
    RefreshRequest,
    Viewport,
    cached_patches,
    learn_and_refresh,
    refresh,
)
from napari_disca.session.maps.renderer import Renderer
from napari_disca.session.maps.tile_caches import TileCaches
from napari_disca.session.maps.weights import RunRelearned, WeightsCache
from napari_disca.session.proposals import Proposals
from napari_disca.session.ranking import TileRanking, ranking_of
from napari_disca.session.review import Review
from napari_disca.session.steps.actions import Adopt
from napari_disca.session.steps.step_values import AdaptationRun, Guided, base_of, teaching
from napari_disca.storage.label_pyramid import LabelPyramid

_OTHER_WEIGHTS = (
    "what was adapted to had to be learned again, and came out a little different on this "
    "machine; the map may differ from the one you knew in a few pixels"
)


class Session:
    """One image being corrected.

    Only one thread, its owner, may call its verbs and `handle`; the jobs they return may run on
    another thread, one at a time. A session may be made on one thread and passed to another.

    Parameters
    ----------
    raster : Raster
        The image; see `napari_disca.raster.open_raster`.
    network : Network
        The pretrained network; never changed.
    bands : sequence of int, optional
        1-based bands to read; by default those that the card names.
    factor : float, optional
        Network pixels per image pixel; by default from the ground resolutions.
    scaling : Scaling or ValueScale, optional
        How pixel values are scaled; as the card says by default.
    find_fill : bool or tuple of float
        Whether to find and leave out fill values that the image does not declare; or these values.
    compute : Compute, optional
        Device and precision; the best available by default.
    seed : int
        For recipes that draw at random.
    folder : str or path, optional
        Folder in which the maps are kept: after `close`, another session of the same image, network
        and precision continues with them. Other files in it are never changed: if one has a needed
        name, the folder is refused. By default maps are temporary files.
    features : FeatureCache, optional
        Cache of the encoder's features, used while an adapted network has the pretrained encoder;
        at most 512 MB of memory and no disk by default.

    Attributes
    ----------
    document : Document
        The user's work: clicks, adaptations, locked areas, strokes, classes, and their history.
    map_state : MapState
        Which tiles of the maps are up to date.
    drawing : Drawing
        Draws on the map.
    proposals : Proposals
        Judges an adaptation, and lists what it changed.
    review : Review
        Reviews the map place by place.
    viewport : Viewport
        The window in view: running jobs render it first.
    unreadable : dict of int to str
        Tiles that could not be read, and why; the next refresh reads them again.

    Raises
    ------
    RasterError, CardError
        If the network cannot read this image.
    ExportError
        If there is no disk space for the maps, or `folder` is refused or used by another session.
    """

    painted = Signal(Patch)

    def __init__(
        self,
        raster: Raster,
        network: Network,
        *,
        bands: Sequence[int] | None = None,
        factor: float | None = None,
        scaling: Scaling | ValueScale | None = None,
        find_fill: FillChoice = True,
        compute: Compute | None = None,
        seed: int = 0,
        folder: str | os.PathLike[str] | None = None,
        features: FeatureCache | None = None,
    ) -> None:
        self.raster = raster
        self.document = Document(raster.shape, network.card.classes)
        view = self.network_view = NetworkView(
            raster, network.card, bands=bands, factor=factor, scaling=scaling, find_fill=find_fill
        )
        self.compute = compute or Compute.choose()
        self.seed = checked_seed(seed)
        self.tiling: Tiling = tiling_for(view)
        self.viewport = Viewport()
        # On the CPU: jobs copy the network to the device, and use the CPU where the device's memory
        # is full.
        self._network: Network = deepcopy(network).eval().requires_grad_(False)
        self._caches = TileCaches(view, features)
        self._weights = WeightsCache(
            self._network, view, self.tiling, self.compute, self._caches.tools
        )
        self._maps = Maps(view, self.tiling, self.compute, folder)
        self._renderer = Renderer(view, self.tiling, self.compute, self._weights, self._maps)
        batch = self.compute.batch
        self._context = RefreshContext(self._renderer, self._maps, self.viewport, batch)
        self.unreadable: dict[int, str] = {}
        state = self.map_state = MapState(self.document, self._maps, self._renderer)
        self.drawing, self.proposals = Drawing(state), Proposals(state)
        self.review = Review(state)

    # ---------------------------------------------------------------- what it holds

    @property
    def network(self) -> Network:
        """The pretrained network, theta0."""
        return self._network

    @property
    def weights(self) -> str:
        """Fingerprint of the pretrained network."""
        return self._weights.weights

    @property
    def current_network(self) -> Network:
        """The network as adapted to this image; the pretrained one until then.

        If an edit of the clicks has changed the adaptation, it is learned again first.
        """
        return finish(self._renderer.network(self.document.adapted), self.handle)

    def allow_disk(self, limit: int, memory: int = 512 << 20) -> None:
        """Set the most bytes that features of tiles may take on disk and in memory."""
        self._caches.set_limits(limit, memory)

    @property
    def maps(self) -> dict[str, LabelPyramid]:
        """The label maps, by the names of `MAPS`."""
        return self._maps.pyramids

    @property
    def uncertainty(self) -> dict[str, NDArray[np.uint8]]:
        """Uncertainty of each map in cells; see `Maps`."""
        return self._maps.uncertainty

    @property
    def must_learn(self) -> bool:
        """Whether an edit has changed the adaptation, so that the next refresh learns it again."""
        return not self._weights.ready(self.document.adapted)

    def lock_counts(self, name: Guided = "disca") -> tuple[int, int]:
        """Return the number of locked pixels of a map, and of those that the locks change.

        The latter would have other labels after the last adaptation or later clicks.
        """
        return self._maps.lock_counts(name)

    def ranking(self, name: str, row: int, col: int) -> TileRanking:
        """Return the request for the two best classes of a pixel's tile; see `ranking_of`."""
        return ranking_of(self.map_state, name, row, col)

    # ---------------------------------------------------------------- journal, files

    def keep(self, journal: Journal) -> None:
        """Write a journal from now on, and cache learned weights.

        Raises
        ------
        JournalError
            If steps were made already, which the journal would lack. `restore.resume` returns a
            session that continues its journal.
        """
        self.document.keep(journal)
        self.learn_from_cache(DeltaCache())

    def attach(self, journal: Journal) -> None:
        """Continue a journal that holds all steps; learned weights are cached from now on."""
        self.document.attach(journal)
        self.learn_from_cache(DeltaCache())

    def learn_from_cache(self, cache: DeltaCache | None) -> None:
        """Use a cache of learned weights on disk; None uses none."""
        self._weights.cache = cache

    def expect(self, run: str, weights: str) -> None:
        """Note the fingerprint of the weights that a run with a key learned before."""
        self._weights.expect(run, weights)

    def close(self) -> None:
        """Close the journal and kept maps, so that another session may continue with them.

        Call it when no job runs. Temporary maps are removed with the session object.

        Raises
        ------
        ExportError
            If the folder of kept maps cannot be written.
        """
        self.document.close_journal()
        self._maps.close()

    # ---------------------------------------------------------------- jobs

    def predict(self) -> Job[None]:
        """Job that renders the initial map (and the others where they are the same)."""
        return self.refresh(("initial",))

    def refine(self) -> Job[None]:
        """Job that brings all maps up to date with the clicks and the weights.

        It redoes the tiles whose clicks, weights or locks have changed, those in view first.
        """
        return self.refresh(MAPS)

    def refresh(self, maps: Iterable[str] = MAPS) -> Job[None]:
        """Job that brings some maps up to date.

        Parameters
        ----------
        maps : iterable of str
            Names of `MAPS`. A tile that is equal in another map is painted there as well.

        Yields
        ------
        Progress and Patch; pass both to `handle`.
        """
        return refresh(self._request(), self._context, tuple(maps))

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
        if not len(self.document.clicks):
            raise RecipeError("there are no clicks to learn from; click on some mistakes first")
        run = AdaptationRun(
            AdaptationResult(None),
            recipe,
            clicks=self.document.clicks,
            locks=teaching(self.document.step.locks),
            seed=self.seed,
            base=base_of(recipe, self.document.adapted),
        )
        return learn_and_refresh(self._request(), run, self._context, tuple(maps))

    def handle(self, event: Event) -> None:
        """Take over what a job yielded: paint patches, adopt weights.

        Do not pass events of a closed job after another job was requested.
        """
        if isinstance(event, Patch):
            self._maps.paint(event)
            self.unreadable.pop(event.tile, None)
            self.painted.emit(event)
        elif isinstance(event, Unreadable):
            self.unreadable[event.tile] = event.reason
        elif isinstance(event, RunRelearned):
            self._on_relearned(event)
        elif isinstance(event, AdaptationRun):
            self._weights.expect(event.key, event.weights)
            self.document.do(Adopt(event))

    def _on_relearned(self, event: RunRelearned) -> None:
        self.document.relearned(event.run.key, event.weights)
        if event.expected and event.expected != event.weights:
            self.document.troubled.emit(_OTHER_WEIGHTS)

    def paint_cached(self, seconds: float = 0.05) -> None:
        """Paint cached tiles in view at once, for instance after an undo.

        A job would do the same, but only after the job before it has ended.

        Parameters
        ----------
        seconds : float
            Time limit; the rest is left to the next job.
        """
        until = time.perf_counter() + seconds
        for patch in cached_patches(self.map_state.wanted, self._context, until):
            self.handle(patch)

    # ---------------------------------------------------------------- what is up to date

    def check_complete(self) -> None:
        """Raise an error if tiles could not be read.

        Raises
        ------
        RasterError
            If there are such tiles.
        """
        for reason in self.unreadable.values():
            count = len(self.unreadable)
            more = f" ({count} tiles of {len(self.tiling)} are missing)" if count > 1 else ""
            raise RasterError(reason + more)

    def _request(self) -> RefreshRequest:
        """Return the request of a refresh for the present state."""
        versions = self._maps.versions.copy()
        return RefreshRequest(self.map_state.wanted, versions, frozenset(self.unreadable))
