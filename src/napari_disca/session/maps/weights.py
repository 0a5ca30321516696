"""Caches the networks of a session: the pretrained one, and those of its runs.

A run's network is cached while it is in use, rebuilt from its delta, or learned again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, TypeVar

from cachetools import LRUCache
from torch import Tensor

from napari_disca.annotations.clicks import Clicks
from napari_disca.core.byte_cache import ByteCache
from napari_disca.core.errors import out_of_memory
from napari_disca.core.events import Event, Job, Note
from napari_disca.core.shared_cache import SharedCache
from napari_disca.core.tiling import Tiling
from napari_disca.inference.composition import AnswerComposer, NetworkAnswer, Source, source_of
from napari_disca.inference.correction import Correction
from napari_disca.inference.crop_features import with_crop_features
from napari_disca.inference.crops import Crop, cut_crops
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_batch import Tools
from napari_disca.networks import Delta, DeltaCache, Network, encoder_fingerprint, fingerprint
from napari_disca.networks.compute import Compute
from napari_disca.recipes import AdaptationResult, AnswerParts, composer_of, crops_for
from napari_disca.recipes.recipe import UsesImageFacts
from napari_disca.session.steps.step_values import AdaptationRun

T = TypeVar("T")

#: Most networks in the cache besides the pretrained one, and most bytes of deltas.
_NETWORKS = 3
_DELTA_BYTES = 256 << 20
#: Largest delta in bytes that the history holds in memory as well as on disk.
_SMALL_DELTA = 1 << 20
#: Most results of `AnswerParts.once`.
_RESULTS = 64
#: Most sets of facts about the image.
_FACTS = 4


@dataclass(frozen=True, slots=True)
class RunRelearned(Event):
    """Event: a run of the history was learned again.

    Attributes
    ----------
    run : AdaptationRun
    weights : str
        Fingerprint of the network.
    expected : str
        Fingerprint when it was learned before; empty if not known. It may differ on another
        machine.
    """

    run: AdaptationRun
    weights: str
    expected: str


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWeights:
    """What a run has learned.

    Attributes
    ----------
    network : Network
        On the CPU.
    tensors : mapping of str to Tensor
        See `AdaptationResult`.
    correction : Correction or None
        Correction of the pretrained network's answer, for recipes that learn no weights.
    """

    network: Network
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    correction: Correction | None = None


class WeightsCache:
    """The networks of runs, with what composing their answers needs.

    Parameters
    ----------
    original : Network
        The pretrained network, on the CPU; not changed.
    network_view : NetworkView
    tiling : Tiling
    compute : Compute
    tools : Tools, optional
        Caches of the image's tiles.
    """

    def __init__(
        self,
        original: Network,
        network_view: NetworkView,
        tiling: Tiling,
        compute: Compute,
        tools: Tools | None = None,
    ) -> None:
        self.original = original
        self.tools = tools or Tools(network_view)
        self.weights = fingerprint(original)
        #: Deltas on disk; without it, networks that leave the cache are learned again.
        self.cache: DeltaCache | None = None
        self._network_view = network_view
        self._tiling = tiling
        self._compute = compute
        self._networks: LRUCache[str, LearnedWeights] = LRUCache(_NETWORKS)
        self._deltas: ByteCache[str, Delta] = ByteCache(_DELTA_BYTES, attrgetter("nbytes"))
        self._expected: dict[str, str] = {}
        #: Results that composing the answers of runs needs, a few kilobytes each.
        self._once: LRUCache[tuple[str, str], Any] = LRUCache(_RESULTS)
        self._encoder = encoder_fingerprint(original)
        #: Corrections by run, and facts about the image.
        self._corrections: LRUCache[str, Correction] = LRUCache(_RESULTS)
        self._facts: SharedCache[tuple[Any, ...], Any] = SharedCache(_FACTS)
        # A job may start before the last one has ended.
        self._lock = threading.Lock()

    def name(self, run: AdaptationRun | None) -> str:
        """Return the fingerprint of a run's labels, also of a run that is not learned yet."""
        if run is None or not run.recipe.learns or run.strength == 0:
            return self.weights
        # A run that has left the weights unchanged has the pretrained network.
        unchanged = (run.weights or self._expected.get(run.key)) == self.weights
        return self.weights if unchanged else f"run-{run.answer}"

    def composer(self, run: AdaptationRun | None, learned: LearnedWeights) -> Job[AnswerComposer]:
        """Job that returns how the answer of a run is composed.

        Parameters
        ----------
        run : AdaptationRun or None
        learned : LearnedWeights
            What the run has learned.
        """
        pretrained = source_of(self.original, self.weights)
        name = self.name(run)
        if run is None or name == self.weights:
            return NetworkAnswer(pretrained)
        network, of = learned.network, run
        encoder = encoder_fingerprint(network)
        shared_encoder = encoder if encoder == self._encoder else ""
        condensed = pretrained.weights if network is self.original else ""

        def crops() -> Job[Sequence[Crop]]:
            found = yield from crops_for(of.recipe, self._network_view, of.clicks, self._tiling)
            return found

        def once(name: str, job: Callable[[Compute], Job[Any]]) -> Job[Any]:
            with self._lock:
                result = self._once.get((of.key, name))
            if result is None:
                result = yield from self._on_device(job, "comparing features")
                with self._lock:
                    self._once[of.key, name] = result
            return result

        adapted = Source(network, name, shared_encoder, condensed)
        parts = AnswerParts(
            pretrained, adapted, crops, once, learned.tensors, correction=learned.correction
        )
        answer: AnswerComposer = yield from composer_of(run.recipe, parts)
        return answer

    def expect(self, key: str, weights: str) -> None:
        """Note the fingerprint of the weights that runs with a key learn."""
        if weights:
            self._expected[key] = weights

    def ready(self, run: AdaptationRun | None) -> bool:
        """Whether a run's network is available without learning, as far as can be told at once."""
        if run is None or not run.recipe.learns or run.changed is not None:
            return True
        with self._lock:
            if run.key in self._networks or run.key in self._deltas or run.key in self._corrections:
                return True
        return self.cached(run) is not None

    def cached(self, run: AdaptationRun | None) -> LearnedWeights | None:
        """Return what a run has learned; None if it must be learned again."""
        if run is None or not run.recipe.learns:
            return LearnedWeights(self.original)
        with self._lock:
            correction = self._corrections.get(run.key)
            if correction is not None:
                return LearnedWeights(self.original, correction=correction)
            found = self._networks.get(run.key)
            delta = run.changed or self._deltas.get(run.key)
        if found is None and delta is not None:
            found = LearnedWeights(delta.applied(self.original), delta.extra)
        if found is None:
            found = self._on_disk(run)
        if found is not None:
            self._keep(run.key, found)
        return found

    def expected(self, run: AdaptationRun) -> str:
        """Return the fingerprint of what a run learned before; empty if not known."""
        return run.weights or self._expected.get(run.key, "")

    def learn(
        self, run: AdaptationRun, current: Network | None = None, checked: Clicks | None = None
    ) -> Job[AdaptationRun]:
        """Job that learns a run, caches what it has learned, and returns it with its network.

        Parameters
        ----------
        run : AdaptationRun
        current : Network, optional
            Network of the run that it continues.
        checked : Clicks, optional
            Sample of the pixels of its locks, with their classes.

        Yields
        ------
        Progress

        Raises
        ------
        RecipeError
            If what was learned is not finite.
        """
        crops = yield from crops_for(
            run.recipe, self._network_view, run.clicks, self._tiling, checked
        )
        result = yield from self._adapted(run, crops, current)
        if result.correction is not None:
            return self._corrected(run, result)
        # The weights are rounded as the delta keeps them, so that a restored session has the same
        # network. An error of 1/2048 of a small change does not show in the map.
        delta = Delta.between(result.network or self.original, self.original, result.tensors)
        network = delta.applied(self.original)
        network.eval().requires_grad_(False)
        weights = delta.fingerprint(network)
        self.expect(run.key, weights)
        self._keep(run.key, LearnedWeights(network, delta.extra))
        with self._lock:
            self._deltas.put(run.key, delta)
        on_disk = self.cache is not None and self.cache.put(weights, delta)
        return replace(
            run,
            adaptation=replace(result, network=network),
            weights=weights,
            # Whole networks in the history would fill the memory.
            changed=None if on_disk and delta.nbytes > _SMALL_DELTA else delta,
        )

    def _corrected(self, run: AdaptationRun, result: AdaptationResult) -> AdaptationRun:
        """Return a run with a correction, whose weights are the pretrained ones.

        The history does not keep the correction itself, since solving it again takes milliseconds.
        """
        correction = result.correction
        assert correction is not None
        # A correction that changes nothing has the map of the pretrained network.
        # That may depend on the strength.
        empty = correction.with_strength(1.0).empty
        weights = self.weights if empty else f"correction-{run.key}"
        self.expect(run.key, weights)
        with self._lock:
            self._corrections[run.key] = correction
        adaptation = replace(result, network=self.original, correction=None)
        return replace(run, adaptation=adaptation, weights=weights, changed=None)

    def _image_facts(self, run: AdaptationRun) -> Job[Any]:
        """Job that returns the facts about the image that a recipe needs; None if it needs none."""
        recipe = run.recipe
        if not isinstance(recipe, UsesImageFacts):
            return None
        key = recipe.facts_key, run.seed
        found = self._facts.get(key)
        if found is None:
            windows = recipe.anchor_windows(self._tiling)
            crops = yield from cut_crops(self._network_view, Clicks(), [], anchors=windows)
            pixels = math.prod(self._tiling.shape)

            def compute_facts(compute: Compute) -> Job[Any]:
                seen = yield from self._with_pretrained(crops, compute)
                facts = yield from recipe.image_facts(
                    self.original, seen, compute=compute, pixels=pixels, seed=run.seed
                )
                return facts

            found = yield from self._on_device(compute_facts, "comparing features")
            self._facts.put(key, found)
        return found

    def _keep(self, key: str, learned: LearnedWeights) -> None:
        with self._lock:
            self._networks[key] = learned

    def _adapted(
        self, run: AdaptationRun, crops: Sequence[Crop], current: Network | None
    ) -> Job[AdaptationResult]:
        """Job that lets the recipe learn, and returns its result."""
        facts = yield from self._image_facts(run)
        given = {} if facts is None else {"facts": facts}

        def learn(compute: Compute) -> Job[AdaptationResult]:
            shown = crops
            if isinstance(run.recipe, UsesImageFacts):
                shown = yield from self._with_pretrained(crops, compute)
            result = yield from run.recipe.adapt(
                self.original, shown, current=current, compute=compute, seed=run.seed, **given
            )
            return result

        adaptation: AdaptationResult = yield from self._on_device(learn, "learning")
        return adaptation

    def _with_pretrained(self, crops: Sequence[Crop], compute: Compute) -> Job[list[Crop]]:
        """Job that returns crops with the answers of the pretrained network."""
        source = source_of(self.original, self.weights)
        found = yield from with_crop_features(crops, source, self._tiling, compute, self.tools)
        return found

    def _on_device(self, work: Callable[[Compute], Job[T]], what: str) -> Job[T]:
        """Run a job on the device, or on the CPU if the device's memory is full."""
        compute = self._compute
        try:
            result: T = yield from work(compute)
            return result
        except RuntimeError as error:
            if compute.last_resort or not out_of_memory(error):
                raise
        # Outside the handler: the error refers to the tensors of the failed attempt.
        compute.release_memory()
        yield Note(f"The memory of the {compute.device.type} device is full: {what} on the CPU")
        result = yield from work(compute.on_cpu())
        return result

    def _on_disk(self, run: AdaptationRun) -> LearnedWeights | None:
        weights = self.expected(run)
        if self.cache is None or not weights:
            return None
        found = self.cache.network(weights, self.original)
        return None if found is None else LearnedWeights(*found)
