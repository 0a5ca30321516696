"""Any order of verbs gives the map that a run from scratch gives with what is left.

The model is a list of clicks, a list of what was adapted to, and a list of locked areas, with a
stack for undo. Its maps are made by a new session that knows nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from builders import make_tiny_network, picture_of, set_tiles, write_image
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.annotations.strokes import drawn_pixels
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import merged, read_locks, write_geotiff, write_locks
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster, quiet_opening
from napari_disca.recipes import AdaptationResult, Automatic, Disca
from napari_disca.session import restore
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.session import MAPS, Session
from napari_disca.session.steps.class_table import ClassTable
from napari_disca.session.steps.step_values import AdaptationRun, Lock
from napari_disca.session.steps.steps import Step
from napari_disca.session.steps.strokes import Stroke

HEIGHT, WIDTH = 72, 88
RECIPES = (
    Disca(passes=1, rate=3e-2, crop_size=64),
    Disca(parameters="all", optimiser="sgd", rate=1e-4, passes=1, start="current", anchor="guided"),
    # Where pixels look like a click; as far as half of the clicks says.
    Automatic(passes=2, rate=3e-2, crop_size=64, similarity=0.5),
)

_click = st.builds(Click, st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(0, 2))
_window = st.builds(
    Window,
    st.integers(0, HEIGHT - 20),
    st.integers(0, WIDTH - 20),
    st.integers(8, 40),
    st.integers(8, 40),
)


@dataclass(frozen=True)
class Learned:
    """What was adapted to: a recipe, clicks, and areas (by number); and what before it."""

    recipe: int
    clicks: tuple[Click, ...]
    areas: tuple[int, ...]
    before: Learned | None
    near: bool = False

    def without(self, gone, areas):
        """The same, had clicks and areas never been there; None if nothing is left."""
        before = self.before.without(gone, areas) if self.before else None
        clicks = tuple(new for c in self.clicks if (new := gone.get(c, c)) is not None)
        if not clicks:
            return before
        left = tuple(number for number in self.areas if number in areas)
        return replace(self, clicks=clicks, areas=left, before=before)


@dataclass(frozen=True)
class Locked:
    """An area, and all that there was when it was locked or judged."""

    number: int
    window: Window
    then: Model
    kind: str = "area"
    changed: bool = False
    #: Of what was drawn; None rubs out.
    label: int | None = None
    teaches: bool = True


@dataclass(frozen=True)
class Model:
    clicks: tuple[Click, ...] = ()
    learned: Learned | None = None
    locks: tuple[Locked, ...] = ()
    #: Of which maps know nothing.
    classes: ClassTable = field(default=ClassTable(), compare=False)
    #: How many verdicts on places; they change no map but for what is locked.
    marks: int = field(default=0, compare=False)

    def edited(self, gone):
        """Clicks -> what became of them, None if they were removed."""
        clicks = tuple(new for c in self.clicks if (new := gone.get(c, c)) is not None)
        learned = self.learned
        if learned is not None:
            learned = learned.without(gone, {lock.number for lock in self.locks})
        return replace(self, clicks=clicks, learned=learned)


class Machine(RuleBasedStateMachine):
    """A session with a journal, beside its model: a few tiles, a tiny network."""

    def __init__(self, network, compute):
        super().__init__()
        self.folder = TemporaryDirectory()
        self.image = Path(self.folder.name) / "image.tif"
        self.journal = self.image.with_name("image.tif.disca.jsonl")
        write_image(self.image, np.moveaxis(picture_of(HEIGHT // 8, WIDTH // 8), -1, 0))
        self.network = network
        self.session = Session(open_raster(self.image), network, compute=compute)
        self.scratch = _Scratch(network, compute, self.image)
        restore.begin(self.session, "")
        self.past = [Model()]
        self.at = 0
        self.areas_made = 0

    @property
    def now(self) -> Model:
        return self.past[self.at]

    def did(self, model: Model) -> None:
        """The model of a step that was made."""
        self.past = [*self.past[: self.at + 1], model]
        self.at += 1

    # ---------------------------------------------------------------- verbs

    @rule(click=_click)
    def click(self, click):
        self.session.document.click(click.row, click.col, click.label)
        # One on the same pixel gets the class of the new one, and its age.
        gone = {c: click for c in self.now.clicks if c.pixel == click.pixel and c != click}
        model = self.now.edited(gone)
        clicks = (*(c for c in model.clicks if c != click), click)
        if clicks != self.now.clicks:
            self.did(replace(model, clicks=clicks))

    @precondition(lambda self: self.now.clicks)
    @rule(data=st.data())
    def delete(self, data):
        gone = data.draw(st.lists(st.sampled_from(self.now.clicks), min_size=1, unique=True))
        self.session.document.remove(*gone)
        self.did(self.now.edited(dict.fromkeys(gone)))

    @precondition(lambda self: self.now.clicks)
    @rule(data=st.data(), to=_click)
    def move(self, data, to):
        old = data.draw(st.sampled_from(self.now.clicks))
        new = replace(old, row=to.row, col=to.col)
        if new == old:
            return
        self.session.document.move(old, to.row, to.col)
        below = [c for c in self.now.clicks if c.pixel == new.pixel]
        # What lands on another click replaces it, so both were taken away and one was made.
        gone = {old: None, **dict.fromkeys(below)} if below else {old: new}
        model = self.now.edited(gone)
        clicks = tuple(new if c == old else c for c in self.now.clicks if c not in below)
        self.did(replace(model, clicks=clicks))

    @precondition(lambda self: self.now.clicks)
    @rule(data=st.data(), label=st.integers(0, 2))
    def relabel(self, data, label):
        old = data.draw(st.sampled_from(self.now.clicks))
        self.session.document.relabel(old, label)
        if label != old.label:
            self.did(self.now.edited({old: replace(old, label=label)}))

    @precondition(lambda self: self.now.clicks)
    @rule(recipe=st.integers(0, len(RECIPES) - 1))
    def adapt(self, recipe):
        finish(self.session.adapt(RECIPES[recipe]), self.session.handle)
        self.did(self.adapted(recipe))

    def adapted(self, recipe):
        model = self.now
        return replace(
            model,
            learned=Learned(
                recipe,
                model.clicks,
                tuple(lock.number for lock in model.locks if lock.teaches),
                model.learned if RECIPES[recipe].continues else None,
            ),
        )

    @precondition(lambda self: self.now.clicks)
    @rule(recipe=st.integers(0, len(RECIPES) - 1), events=st.integers(0, 12))
    def adapt_and_cancel(self, recipe, events):
        before = len(self.session.document.history), self.session.document.position
        job = self.session.adapt(RECIPES[recipe])
        for _, event in zip(range(events), job, strict=False):
            self.session.handle(event)
        job.close()
        if (len(self.session.document.history), self.session.document.position) != before:
            self.did(self.adapted(recipe))

    @rule(events=st.integers(0, 8))
    def refine_and_cancel(self, events):
        job = self.session.refine()
        for _, event in zip(range(events), job, strict=False):
            self.session.handle(event)
        job.close()

    @rule()
    def reset(self):
        self.session.document.reset_network()
        if self.now.learned is not None:
            self.did(replace(self.now, learned=None))

    @precondition(lambda self: self.at > 0)
    @rule()
    def undo(self):
        self.session.document.undo()
        self.at -= 1

    @rule(seconds=st.sampled_from((0.0, 60.0)))
    def recall(self, seconds):
        self.session.paint_cached(seconds)

    @precondition(lambda self: self.at > 0)
    @rule(before=st.integers(0, 8), after=st.integers(0, 8))
    def undo_while_it_draws(self, before, after):
        """As in the window: painted at once, though a job is still drawing what was before."""
        job = self.session.refine()
        for _, event in zip(range(before), job, strict=False):
            self.session.handle(event)
        self.undo()
        self.session.paint_cached(60)
        for _, event in zip(range(after), job, strict=False):
            self.session.handle(event)
        job.close()

    @precondition(lambda self: self.at + 1 < len(self.past))
    @rule()
    def redo(self):
        self.session.document.redo()
        self.at += 1

    @rule(data=st.data())
    def go(self, data):
        self.at = data.draw(st.integers(0, len(self.past) - 1))
        self.session.document.go(self.at)

    @precondition(lambda self: len(self.now.locks) < 3)
    @rule(window=_window)
    def lock(self, window):
        self.session.document.lock(Area.rectangle(window))
        self.areas_made += 1
        lock = Locked(self.areas_made, window, self.now)
        self.did(replace(self.now, locks=(*self.now.locks, lock)))

    @precondition(lambda self: self.now.learned is not None and len(self.now.locks) < 4)
    @rule(window=_window, accept=st.booleans(), everything=st.booleans())
    def judge(self, window, accept, everything):
        verb = self.session.proposals.accept if accept else self.session.proposals.reject
        window = Window(0, 0, HEIGHT, WIDTH) if everything else window
        verb(None if everything else [Area.rectangle(window)])
        self.areas_made += 1
        kind = "accepted" if accept else "rejected"
        lock = Locked(self.areas_made, window, self.now, kind, everything)
        self.did(replace(self.now, locks=(*self.now.locks, lock)))
        if everything:
            assert self.session.proposals.current is None

    @precondition(lambda self: len(self.now.locks) < 5)
    @rule(window=_window, label=st.sampled_from((0, 1, 2, None)), teaches=st.booleans())
    def draw(self, window, label, teaches):
        area = Area.rectangle(window)
        self.session.drawing.draw(area, label, tool="polygon", teaches=teaches)
        self.areas_made += 1
        teaches = teaches and label is not None
        stroke = Locked(self.areas_made, window, Model(), "drawn", label=label, teaches=teaches)
        self.did(replace(self.now, locks=(*self.now.locks, stroke)))

    @precondition(lambda self: len(self.now.locks) < 4)
    @rule(window=_window, verdict=st.sampled_from(("seen", "unsure", "right")))
    def review(self, window, verdict):
        if verdict == "right":
            finish(self.session.refine(), self.session.handle)
        self.session.review.mark(window, verdict)
        model = self.now
        if verdict == "right":
            self.areas_made += 1
            cut = window & Window(0, 0, HEIGHT, WIDTH)
            model = replace(model, locks=(*model.locks, Locked(self.areas_made, cut, self.now)))
        self.did(replace(model, marks=model.marks + 1))

    @precondition(lambda self: self.now.learned is not None)
    @rule()
    def only_near(self):
        self.session.proposals.only_near()
        assert self.session.proposals.current is None
        if not self.now.learned.near:
            self.did(replace(self.now, learned=replace(self.now.learned, near=True)))

    @precondition(lambda self: self.now.locks)
    @rule(data=st.data())
    def unlock(self, data):
        index = data.draw(st.integers(0, len(self.now.locks) - 1))
        self.session.document.unlock(self.session.document.step.locks[index])
        left = (*self.now.locks[:index], *self.now.locks[index + 1 :])
        learned = self.now.learned
        if learned is not None:
            learned = learned.without({}, {lock.number for lock in left})
        self.did(replace(self.now, locks=left, learned=learned))

    @rule(label=st.integers(0, 2), place=st.integers(0, 2), change=st.integers(0, 5))
    def change_classes(self, label, place, change):
        table = self.session.document.class_table
        wanted = (
            table.renamed(label, f"class {label}" if place else f"land {label}"),
            table.recoloured({label: f"#00{place}{label}ff"}),
            table.with_hidden(label, not table.entry(label).hidden),
            table.moved(label, place),
            table.merged({label, place}, "both") if place != label else table.separated([label]),
            ClassTable(),
        )[change]
        before = self.session.document.step.value(ClassTable)
        self.session.document.set_classes(wanted)
        if wanted != before:
            self.did(replace(self.now, classes=wanted))

    @rule()
    def export(self):
        session = self.session
        path = Path(self.folder.name) / "map.tif"
        finish(session.refine(), session.handle)
        labels = merged(session.maps["disca"], session.document.merged_values)
        finish(
            write_geotiff(
                labels, path, raster=session.raster, classes=session.document.saved_classes
            )
        )
        with quiet_opening(), rasterio.open(path) as file:
            saved = session.document.merged_values[_drawn(session, "disca")]
            np.testing.assert_array_equal(file.read(1), saved)
        areas = Path(self.folder.name) / "areas.geojson"
        write_locks(
            [lock.area for lock in session.document.locks],
            areas,
            raster=session.raster,
            classes=session.document.classes,
        )
        found = read_locks(areas, raster=session.raster)
        assert [a.digest for a in found] == [lock.area.digest for lock in session.document.locks]
        session.document.exported("disca", str(path))

    @precondition(lambda self: len(self.past) > 1)
    @rule()
    def reopen(self):
        self.session.close()
        self.session = restore.resume(self.journal, open_raster(self.image), self.network)

    # ---------------------------------------------------------------- what must hold

    @invariant()
    def the_journal_says_what_the_session_knows(self):
        assert self.session.document.clicks == Clicks(self.now.clicks)
        assert len(self.session.document.history) == len(self.past)
        assert self.session.document.position == self.at
        assert len(self.session.document.marks) == self.now.marks
        assert [(n.number, n.kind) for n in self.session.document.step.locks] == [
            (n.number, n.kind) for n in self.now.locks
        ]
        assert (self.session.document.adapted is None) == (self.now.learned is None)
        assert self.session.document.step.value(ClassTable) == self.now.classes
        if len(self.past) > 1:
            record = read_journal(self.journal)
            assert record.counts[0] == len(self.now.clicks)
            assert record.counts[2] == sum(lock.kind == "area" for lock in self.now.locks)

    @rule()
    def the_map_is_that_of_a_run_from_scratch(self):
        finish(self.session.refine(), self.session.handle)
        for name, wanted in self.scratch.maps(self.now).items():
            assert self.session.map_state.up_to_date(name) == 1.0
            np.testing.assert_array_equal(_drawn(self.session, name), wanted, err_msg=name)

    def teardown(self):
        try:
            self.the_map_is_that_of_a_run_from_scratch()
        finally:
            self.session.close()
            self.session.raster.close()
            assert not list(Path(self.folder.name).glob("*.lock"))
            self.folder.cleanup()


def _drawn(session, name):
    return session.maps[name].read(Window.whole(session.raster.shape))


def _near(clicks, radius):
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    near = np.zeros((HEIGHT, WIDTH), dtype=np.bool_)
    for click in clicks:
        near |= np.hypot(rows - click.row, cols - click.col) <= radius
    return near


class _Scratch:
    """Maps of models, by sessions that never knew anything else."""

    def __init__(self, network, compute, image):
        self._network, self._compute, self._image = network, compute, image
        self._maps = {}
        self._unlocked = {}
        self._values = {}

    def maps(self, model):
        if model not in self._maps:
            maps = dict(self._free(model))
            disir = maps["disir"]
            free = np.ones((HEIGHT, WIDTH), dtype=np.bool_)
            locked = np.zeros_like(free)
            for lock in model.locks:
                if lock.kind == "drawn":
                    continue
                if lock.kind == "area":
                    locked[(lock.window & Window.whole(free.shape)).slices] = True
                then = self._free(lock.then)
                here = np.zeros_like(free)
                here[(lock.window & Window.whole(free.shape)).slices] = True
                if lock.changed:
                    here &= then["disir"] != then["disca"]
                fixed = disir
                if lock.kind == "accepted":  # what is drawn lies over it
                    bare = tuple(one for one in lock.then.locks if one.kind != "drawn")
                    fixed = self.maps(replace(lock.then, locks=bare))["disca"]
                elif lock.kind == "area":
                    fixed = self.maps(lock.then)["disca"]
                if lock.kind == "accepted":  # later clicks count
                    here &= disir == then["disir"]
                    for click in set(model.clicks) - set(lock.then.clicks):
                        here &= ~_near((click,), 12) | (fixed == click.label)
                for name in ("disir", "disca"):
                    maps[name] = np.where(here & free, fixed, maps[name])
                free &= ~here
            self._draw(model, locked, maps)
            self._maps[model] = maps
        return self._maps[model]

    def _draw(self, model, locked, maps):
        drawn = np.full((HEIGHT, WIDTH), 255, dtype=np.uint8)
        for stroke in model.locks:
            if stroke.kind == "drawn":
                part = (stroke.window & Window.whole(drawn.shape)).slices
                drawn[part] = 255 if stroke.label is None else stroke.label
        for name in ("disir", "disca"):
            maps[name] = np.where((drawn != 255) & ~locked, drawn, maps[name])

    def _free(self, model):
        """Maps as they would be if nothing were locked now."""
        model = replace(model, locks=self._needed(model))
        if model not in self._unlocked:
            maps = self._drawn(model)
            if model.learned is not None and model.learned.near:
                near = _near(model.clicks, 8)
                maps["disca"] = np.where(near, maps["disca"], maps["disir"])
            self._unlocked[model] = maps
        return self._unlocked[model]

    def _needed(self, model):
        """Locks that were learned from."""
        return model.locks if _areas_of(model.learned) else ()

    def _drawn(self, model):
        with open_raster(self._image) as raster:
            session = Session(raster, self._network, compute=self._compute)
            if _areas_of(model.learned):
                run = self._run(model.learned, model, everywhere=True)
                session.document._record(Step("from scratch", Clicks(model.clicks), run))
            else:
                self._adapt(session, model.learned)
                session.document.set_clicks(Clicks(model.clicks))
            finish(session.refine(), session.handle)
            return {name: _drawn(session, name) for name in MAPS}

    def _adapt(self, session, learned):
        """With the verbs of everyday, where no areas were learned from."""
        if learned is not None:
            self._adapt(session, learned.before)
            session.document.set_clicks(Clicks(learned.clicks))
            finish(session.adapt(RECIPES[learned.recipe]), session.handle)

    def _run(self, learned, model, *, everywhere=False):
        if learned is None:
            return None
        locks = {lock.number: lock for lock in model.locks}
        return AdaptationRun(
            AdaptationResult(None),
            RECIPES[learned.recipe],
            clicks=Clicks(learned.clicks),
            locks=tuple(self._lock(locks[number]) for number in learned.areas),
            base=self._run(learned.before, model),
            near_only=learned.near and not everywhere,
        )

    def _lock(self, lock):
        if lock not in self._values:
            then = lock.then
            if lock.kind == "drawn":
                pixels = drawn_pixels(Area.rectangle(lock.window), (HEIGHT, WIDTH))
                self._values[lock] = Stroke(lock.number, pixels, lock.label, "polygon")
                return self._values[lock]
            self._values[lock] = Lock(
                lock.number,
                Area.rectangle(lock.window),
                "disir" if lock.kind == "rejected" else "disca",
                Clicks(then.clicks),
                self._run(then.learned, then),
                tuple(
                    self._lock(under)
                    for under in then.locks
                    if under.window & lock.window and (lock.kind == "area" or under.kind != "drawn")
                ),
                lock.kind,
                lock.changed,
            )
        return self._values[lock]


def _areas_of(learned):
    return bool(learned) and (bool(learned.areas) or _areas_of(learned.before))


@pytest.fixture
def machine(monkeypatch):
    set_tiles(monkeypatch, 56, 8)
    network = make_tiny_network()
    compute = Compute.choose("cpu", "float32")
    return lambda: Machine(network, compute)


def check(machine, examples, steps, phases=tuple(Phase)):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_verbs_gives_the_map_of_a_run_from_scratch(machine):
    check(machine, examples=12, steps=20)


@pytest.mark.slow
def test_many_long_orders_of_verbs_do(machine):
    check(machine, examples=150, steps=50)


@pytest.fixture
def forgetful(monkeypatch):
    """Sessions that forget to learn again without a removed click."""
    from napari_disca.session.steps.step_values import AdaptationRun

    monkeypatch.setattr(AdaptationRun, "edited", lambda self, edit, locks: self)


class _Chosen:
    """What Hypothesis hands to rules, with a value that is not drawn at random."""

    def __init__(self, value):
        self._value = value

    def draw(self, _strategy):
        return self._value


@pytest.mark.usefixtures("forgetful")
def test_the_check_would_notice_a_wrong_map(machine):
    made = machine()
    clicks = [Click(10, 10, 0), Click(30, 40, 1), Click(50, 20, 2), Click(40, 70, 0)]
    for click in clicks:
        made.click(click)
    made.adapt(0)
    made.the_map_is_that_of_a_run_from_scratch()
    made.delete(_Chosen(clicks[:2]))
    with pytest.raises(AssertionError, match="disca"):
        made.teardown()


@pytest.mark.slow
@pytest.mark.usefixtures("forgetful")
def test_random_orders_of_verbs_would_notice_it(machine):
    with pytest.raises(AssertionError):
        check(machine, examples=600, steps=20, phases=(Phase.generate,))
