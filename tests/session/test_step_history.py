"""The history: steps that share what they hold, whatever is undone, redone and removed."""

from __future__ import annotations

import gc
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.annotations.areas import Area
from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.tiling import Window
from napari_disca.networks import LandClass
from napari_disca.recipes import AdaptationResult, recipe_named
from napari_disca.session import step_history
from napari_disca.session.document import Document
from napari_disca.session.steps.actions import Adopt
from napari_disca.session.steps.draw_action import Draw
from napari_disca.session.steps.review_marks import Mark, MarkPlace
from napari_disca.session.steps.step_values import AdaptationRun

CLASSES = (LandClass("roof", "#ff0000"), LandClass("street", "#00ff00"))


@pytest.fixture
def document() -> Document:
    return Document((2000, 2000), CLASSES)


def place(number: int) -> Window:
    """Places that do not overlap."""
    return Window(20 * (number // 100), 20 * (number % 100), 10, 10)


def lock(document: Document, number: int) -> None:
    document.lock(Area.rectangle(place(number)), map="disir")


def lock_over_the_others(document: Document, number: int) -> None:
    document.lock(Area.rectangle(Window(0, 0, 2 + number % 7, 9)), map="disir")


def stroke(document: Document, number: int) -> None:
    row, col = place(number).centre
    document.do(Draw(BrushPath(((row, col),), 1.0), 1, "brush"))


def mark(document: Document, number: int) -> None:
    document.do(MarkPlace(Mark(place(number), "seen" if number % 3 else "unsure")))


def size_of(objects: object) -> int:
    """Bytes of all distinct objects that others refer to."""
    seen: set[int] = set()
    waiting, size = [objects], 0
    while waiting:
        one = waiting.pop()
        if id(one) not in seen and not isinstance(one, type):
            seen.add(id(one))
            size += sys.getsizeof(one)
            waiting += gc.get_referents(one)
    return size


@pytest.mark.parametrize(
    ("work", "count"), [(lock, 3000), (lock_over_the_others, 900), (stroke, 3000), (mark, 3000)]
)
def test_memory_grows_with_the_number_of_steps(document, work, count):
    """3 000 locks took 42 MB, and 3 000 over each other twice as much."""
    for number in range(count):
        work(document, number)
    steps = document.history
    assert len(steps) == count + 1
    first, all_of_them = size_of(steps[: 1 + count // 3]), size_of(steps)
    assert all_of_them < 3.5 * first, all_of_them
    assert all_of_them < 6e6


def test_an_event_looks_at_what_it_changes(document, monkeypatch):
    for number in range(300):
        lock(document, number)
        mark(document, number)
    looked_at = []
    counted = step_history._counted

    def watched(locks, marks):
        locks, marks = list(locks), list(marks)
        looked_at.append(len(locks) + len(marks))
        return counted(locks, marks)

    monkeypatch.setattr(step_history, "_counted", watched)
    lock(document, 300)
    document.undo()
    document.redo()
    document.unlock(document.locks[77])
    document.undo()
    assert sum(looked_at) == 5


def adopt(document: Document, number: int) -> None:
    document.click(number, number, number % 2)
    made = AdaptationRun(
        AdaptationResult(None), recipe_named("default"), seed=number, clicks=document.clicks
    )
    document.do(Adopt(made))


def unlock(document: Document, number: int) -> None:
    if locks := document.step.locks:
        document.unlock(*locks[number % len(locks) :: 1 + number % 5])


def go(document: Document, number: int) -> None:
    document.go(number % len(document.history))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([lock, lock_over_the_others, stroke, mark, adopt, unlock, go]),
            st.integers(0, 200),
        ),
        max_size=40,
    )
)
def test_every_step_stays_what_it_was(work):
    """Also its counts in the journal, which are not made anew at every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_disca.core.shared_tuple._WIDTH", 3)
        document, events = Document((2000, 2000), CLASSES), []
        document.journal = SimpleNamespace(path="j", trouble="", append=events.append)
        seen = {}
        for what, number in work:
            what(document, number)
            for step in document.history:
                seen.setdefault(id(step), (step, tuple(step.locks), step.clicks.items))
            if events:
                assert events[-1]["now"] == counts_of(document)
        for position, step in enumerate(document.history):
            document.go(position)
            assert document.step is step
            if events:
                assert seen[id(step)] == (step, tuple(step.locks), step.clicks.items)
                assert events[-1]["now"] == counts_of(document)


def counts_of(document: Document) -> list[int]:
    kinds = Counter(lock.kind for lock in document.step.locks)
    done = document.history[1 : document.position + 1]
    return [
        len(document.clicks),
        sum(step.kind == "adapt" for step in done),
        kinds["area"],
        kinds["drawn"],
        sum(mark.verdict != "seen" for mark in document.marks),
    ]
