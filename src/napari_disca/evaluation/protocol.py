"""Measures recipes on one image, with a simulated annotator, through `Session`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.simulated_annotator import IGNORE, error_clicks
from napari_disca.core.errors import DataError, NotFiniteError, RecipeError
from napari_disca.core.events import Job, Progress, finish
from napari_disca.core.tiling import Window
from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.metrics import collateral, confusion, iou, mean_iou, share_right
from napari_disca.evaluation.records import Record
from napari_disca.evaluation.settings import Settings
from napari_disca.evaluation.simulated_verdicts import verdicts_on
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import Predictor
from napari_disca.networks import Network
from napari_disca.networks.compute import Compute
from napari_disca.raster import Raster
from napari_disca.recipes import RECIPES, Recipe
from napari_disca.session.session import Session

T = TypeVar("T")


def evaluate_image(
    network: Network,
    raster: Raster,
    reference: NDArray[np.uint8],
    recipes: Sequence[str] | Mapping[str, Recipe],
    settings: Settings | None = None,
    *,
    compute: Compute | None = None,
) -> Job[list[Record]]:
    """Job that measures recipes on one image, and returns their records.

    Parameters
    ----------
    network : Network
    raster : Raster
    reference : (height, width) array of uint8
        Mask ids; 255 where unknown. Pixels without data do not count.
    recipes : sequence of str, or mapping of str to Recipe
    settings : Settings, optional
    compute : Compute, optional

    Yields
    ------
    Progress, and every `Record` as soon as it is known

    Raises
    ------
    DataError
        If the mask does not fit the image or the network.
    """
    settings = settings or Settings()
    classes = settings.classes_of(network)
    if reference.shape != raster.shape:
        raise DataError(
            f"the mask of {raster.name} is {reference.shape[0]} x {reference.shape[1]} pixels, "
            f"the image {raster.shape[0]} x {raster.shape[1]}; they must be equal"
        )
    classes.checked(reference, raster.name)
    sessions = yield from _sessions(raster, network, settings, compute)
    image = _Image(
        sessions[0],
        sessions[-1],
        _reference_on_data(reference, sessions[0].network_view),
        classes,
        settings,
    )
    records = []
    for name, recipe in chosen_recipes(recipes).items():
        record: Record = yield from image.measure(name, recipe)
        records.append(record)
        yield record
    return records


def _sessions(
    raster: Raster, network: Network, settings: Settings, compute: Compute | None
) -> Job[list[Session]]:
    """Job that returns sessions of an image with initial maps: two if regions are judged, else one.

    Accepted regions are in the DISIR map of their session as well. The DISIR map of the same clicks
    alone comes from the other session.
    """
    sessions = [
        Session(
            raster,
            network,
            bands=settings.bands,
            factor=settings.factor,
            scaling=settings.scaling,
            find_fill=settings.find_fill,
            compute=compute,
            seed=settings.seed,
        )
        for _ in range(2 if settings.verdicts else 1)
    ]
    for session in sessions:
        with closing(session.predict()) as job:
            for event in job:
                session.handle(event)
                if isinstance(event, Progress):
                    yield replace(event, stage=f"{raster.name}: initial map")
        session.check_complete()
    return sessions


def chosen_recipes(recipes: Sequence[str] | Mapping[str, Recipe]) -> dict[str, Recipe]:
    """Return recipes by name, from the table if only names are given.

    Raises
    ------
    RecipeError
        If a name is not in the table.
    """
    if isinstance(recipes, Mapping):
        return dict(recipes)
    unknown = [name for name in recipes if name not in RECIPES]
    if unknown:
        raise RecipeError(f"recipe {unknown[0]!r} is unknown; choose one of {', '.join(RECIPES)}")
    return {name: RECIPES[name] for name in recipes}


def _reference_on_data(
    reference: NDArray[np.uint8], network_view: NetworkView
) -> NDArray[np.uint8]:
    """Return the reference with 255 where the image has no data."""
    masked = reference.copy()
    raster = network_view.raster
    for top in range(0, raster.shape[0], 512):
        window = Window(top, 0, min(512, raster.shape[0] - top), raster.shape[1])
        masked[window.slices][~network_view.image_valid(window)] = IGNORE
    return masked


@dataclass(eq=False)
class _Course:
    """The course of a recipe's measurement."""

    labels: NDArray[np.uint8]
    clicked: list[Click] = field(default_factory=list)
    miou: list[float] = field(default_factory=list)
    gestures: list[int] = field(default_factory=lambda: [0])
    seconds: list[float] = field(default_factory=list)
    verdicts: int = 0
    refused: int = 0


class _Image:
    """An image with its initial map and reference, on which recipes are measured."""

    def __init__(
        self,
        session: Session,
        unjudged: Session,
        reference: NDArray[np.uint8],
        classes: ClassMap,
        settings: Settings,
    ) -> None:
        self._session = session
        #: A session with the same clicks without verdicts; the session itself without verdicts.
        self._unjudged = unjudged
        self._reference = reference
        self._classes = classes
        self._settings = settings

    def measure(self, name: str, recipe: Recipe) -> Job[Record]:
        """Job that measures one recipe from the initial map on, and returns its record."""
        session, settings = self._session, self._settings
        # The steps of an earlier recipe are undone; the initial map stays.
        for used in (session, self._unjudged):
            if used.document.can_undo:
                used.document.go(0)
        course = _Course(self._labels(session, "initial"))
        course.miou.append(self._miou(course.labels))
        disir = course.miou[:1] if recipe.learns else []
        at_once = settings.clicks if settings.mode == "one-shot" else 1
        for turn in range(settings.clicks // at_once):
            stage = f"{session.raster.name}: {name}"
            yield Progress(stage, turn * at_once, settings.clicks)
            found = self._clicks(course.labels, course.clicked, at_once)
            if not found:
                break
            # All clicks are chosen before the first is made: the annotator sees one map.
            as_network = [self._network_class(click) for click in found]
            session.document.set_clicks(
                session.document.clicks.added(*as_network), f"{len(found)} clicks"
            )
            course.clicked += found
            began = time.perf_counter()
            progress = Progress(stage, len(course.clicked), settings.clicks)
            course.refused += yield from self._answer(recipe, progress)
            course.seconds.append(time.perf_counter() - began)
            if recipe.learns and settings.verdicts:
                course.verdicts += yield from self._judge(progress)
            course.labels = self._labels(session, "disca" if recipe.learns else "disir")
            course.miou.append(self._miou(course.labels))
            course.gestures.append(len(course.clicked) + course.verdicts)
            if recipe.learns:
                unjudged = self._unjudged
                unjudged.document.set_clicks(session.document.clicks)
                yield from self._run(unjudged, unjudged.refresh(("disir",)), progress)
                disir.append(self._miou(self._labels(unjudged, "disir")))
        return self._record(name, course, disir)

    def _record(self, name: str, course: _Course, disir: Sequence[float]) -> Record:
        session, labels = self._session, course.labels
        initial = self._labels(session, "initial")
        harm = collateral(initial, labels, self._reference, self._clicked_tiles())
        table = confusion(labels, self._reference, self._classes.size)
        return Record(
            image=session.raster.name,
            recipe=name,
            mode=self._settings.mode,
            clicks=len(course.clicked),
            miou=self._padded(course.miou),
            iou_per_class={self._classes.name(i): value for i, value in iou(table).items()},
            collateral=harm.all,
            collateral_inside=harm.inside,
            collateral_outside=harm.outside,
            kept_clicks=share_right(labels, course.clicked),
            seconds=float(np.mean(course.seconds)) if course.seconds else None,
            refused=course.refused,
            factor=session.network_view.factor,
            placed=tuple((c.row, c.col, c.label) for c in session.document.clicks),
            disir=self._padded(disir) if disir else (),
            verdicts=course.verdicts,
            gestures=self._padded(course.gestures),
        )

    def _padded(self, values: Sequence[T]) -> tuple[T | None, ...]:
        missing = self._settings.clicks + 1 - len(values)
        if self._settings.mode == "one-shot" and len(values) > 1:
            return (values[0], *[None] * missing, values[1])
        return (*values, *[values[-1]] * missing)

    def _judge(self, progress: Progress) -> Job[int]:
        """Job that lets the annotator judge the ripple, and returns the number of verdicts."""
        session = self._session
        yield from self._run(session, session.refine(), progress)
        ripple = finish(session.proposals.ripple())
        before, after = session.maps["disir"], session.maps["disca"]
        given = verdicts_on(
            ripple.regions,
            before,
            after,
            self._reference,
            self._classes,
            self._settings.verdicts,
        )
        if given.accepted:
            session.proposals.accept(given.accepted)
        if given.rejected:
            session.proposals.reject(given.rejected)
        yield from self._run(session, session.refresh(("disca",)), progress)
        return len(given)

    def _answer(self, recipe: Recipe, progress: Progress) -> Job[int]:
        """Job that updates the recipe's map, and returns the number of refused adaptations."""
        session = self._session
        refused = 0
        if recipe.learns:
            try:
                yield from self._run(session, session.adapt(recipe, ("disca",)), progress)
            except NotFiniteError:
                # As for a user, weights that are not finite are not adopted: the last good
                # ones stay, and the new click still guides them.
                refused = 1
                yield from self._run(session, session.refresh(("disca",)), progress)
        else:
            yield from self._run(session, session.refresh(("disir",)), progress)
        return refused

    def _run(self, session: Session, job: Job[object], progress: Progress) -> Job[None]:
        with closing(job):
            for event in job:
                session.handle(event)
                yield progress  # also when a measurement is cancelled

    def _labels(self, session: Session, name: str) -> NDArray[np.uint8]:
        """Return a map of a session in mask ids."""
        whole = Window.whole(self._reference.shape)
        return self._classes.apply(session.maps[name].read(whole))

    def _miou(self, labels: NDArray[np.uint8]) -> float:
        return mean_iou(confusion(labels, self._reference, self._classes.size))

    def _clicks(
        self, labels: NDArray[np.uint8], clicked: Sequence[Click], count: int
    ) -> list[Click]:
        """Return the annotator's next clicks in mask ids, never twice on a pixel.

        A clicked pixel that stays wrong counts as a border of its region, so that the next click
        in that region lies elsewhere.
        """
        fresh = np.ones(labels.shape, dtype=np.bool_)
        for click in clicked:
            fresh[click.pixel] = False
        return error_clicks(labels, self._reference, count, valid=fresh)

    def _network_class(self, click: Click) -> Click:
        """Return a click with a class of the network instead of a mask id.

        Several classes may have the same id, for instance land, road and water; an annotator would
        see which it is, but the mask does not tell. So it is the one that the network (in its
        present state, without clicks) finds likeliest at that pixel.
        """
        candidates = self._classes.candidates(click.label)
        if len(candidates) == 1:
            return Click(click.row, click.col, candidates[0])
        session = self._session
        network = session.current_network
        (on_network,) = session.network_view.network_clicks(
            Clicks((Click(click.row, click.col, 0),))
        )
        read = session.tiling.tile_at(on_network.pixel).read
        logits = Predictor(network, session.network_view, session.compute).logits(read, Clicks())
        here = logits[candidates, on_network.row - read.top, on_network.col - read.left]
        return Click(click.row, click.col, candidates[int(here.argmax())])

    def _clicked_tiles(self) -> NDArray[np.bool_]:
        """Return the pixels in the kept windows of tiles with clicks."""
        session = self._session
        inside = np.zeros(self._reference.shape, dtype=np.bool_)
        for click in session.network_view.network_clicks(session.document.clicks):
            keep = session.tiling.tile_at(click.pixel).keep
            inside[session.network_view.image_window(keep).slices] = True
        return inside
