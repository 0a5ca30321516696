"""Sessions from their journals: the same clicks, history, locks and maps."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta

import numpy as np
import pytest

from builders import make_tiny_network, picture_of, write_image
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click
from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.errors import JournalError, RasterError
from napari_disca.core.events import Unreadable, finish
from napari_disca.core.tiling import Window
from napari_disca.raster import open_raster
from napari_disca.recipes import Disca
from napari_disca.session import restore
from napari_disca.session.journal.journal import Journal
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.maps.weights import RunRelearned
from napari_disca.session.session import MAPS, Session
from napari_disca.session.steps.step_values import AdaptationRun
from sessions import drawn, run

QUICK = Disca(passes=2, rate=3e-3, crop_size=64)
STROKE = {"do": "stroke", "title": "", "tool": "brush", "label": 1, "teaches": True}
PLACE = {"do": "review", "window": [0, 0, 9, 9], "verdict": "seen", "map": "disir"}
ONWARD = Disca(
    parameters="all", optimiser="sgd", rate=1e-4, passes=1, start="current", anchor="guided"
)


pytestmark = pytest.mark.usefixtures("small_tiles")


@pytest.fixture
def network():
    return make_tiny_network()


@pytest.fixture
def image_file(tmp_path):
    """Large enough for 2 x 2 tiles."""
    return write_image(tmp_path / "city.tif", np.moveaxis(picture_of(18, 20), -1, 0))


@pytest.fixture
def session(image_file, network, compute):
    made = Session(open_raster(image_file), network, compute=compute)
    restore.begin(made, "")
    yield made
    made.close()


def journal_file(image_file):
    return image_file.with_name("city.tif.disca.jsonl")


def again(image_file, network, **options):
    return restore.replay(journal_file(image_file), open_raster(image_file), network, **options)


def assert_same(first, second):
    assert first.document.clicks == second.document.clicks
    assert [step.title for step in first.document.history] == [
        step.title for step in second.document.history
    ]
    assert first.document.position == second.document.position
    assert (
        first.document.step.locks == second.document.step.locks
        or first.document.adapted is not None
    )
    assert [lock.digest for lock in first.document.step.locks] == [
        lock.digest for lock in second.document.step.locks
    ]
    assert first.document.strokes == second.document.strokes
    assert first.document.marks == second.document.marks
    assert (first.document.adapted is None) == (second.document.adapted is None)
    if first.document.adapted is not None:
        assert first.document.adapted.key == second.document.adapted.key
    run(first, first.refine())
    run(second, second.refine())
    for name in MAPS:
        assert second.map_state.up_to_date(name) == 1.0
        np.testing.assert_array_equal(drawn(first, name), drawn(second, name), err_msg=name)
    assert first.lock_counts() == second.lock_counts()


def story(session):
    """Something of everything."""
    first, second = session.document.click(20, 20, 2), session.document.click(100, 100, 1)
    session.document.click(60, 80, 0)
    run(session, session.adapt(QUICK))
    session.document.lock(Area.rectangle(Window(10, 10, 60, 70)))
    session.document.move(second, 90, 95)
    run(session, session.adapt(ONWARD))
    session.document.undo()
    session.document.redo()
    run(session, session.adapt(ONWARD))
    session.document.relabel(session.document.clicks.items[2], 1)
    (lock,) = session.document.lock(Area((((80, 80), (80, 140), (140, 80)),)))
    session.document.unlock(lock)
    session.document.remove(first)
    run(session, session.refine())
    session.review.mark(Window(100, 100, 20, 20), "right")
    session.review.mark(Window(30, 90, 20, 20), "wrong", click=Click(35, 95, 2), note="a shed")
    session.review.mark(Window(60, 90, 20, 20), "note", note="ask the owner")
    session.drawing.draw(BrushPath(((12.34567, 20), (110.5, 140.25)), 7.77), 2)
    session.drawing.draw(Area((((80, 80), (80, 140), (140, 80)),)), 1, tool="lasso", only=(0, 2))
    session.drawing.draw(BrushPath(((50, 60),), 12), None, teaches=False)
    session.document.go(4)
    session.document.go(len(session.document.history) - 1)


@pytest.mark.parametrize("cache", [True, False])
def test_a_story_told_again_gives_the_same_maps(session, image_file, network, cache):
    run(session, session.predict())
    story(session)
    other = again(image_file, network, cache=cache)
    assert_same(session, other)
    for position in (len(session.document.history) - 3, 5, 2, 0):
        session.document.go(position)
        other.document.go(position)
        assert_same(session, other)


def test_reopening_learns_nothing_again(session, image_file, network, monkeypatch):
    story(session)
    run(session, session.refine())
    session.close()

    def refuse(*args, **kwargs):
        raise AssertionError("a recipe was run again")

    monkeypatch.setattr("napari_disca.recipes.disca.Disca.adapt", refuse)
    other = restore.resume(journal_file(image_file), open_raster(image_file), network)
    assert not other.must_learn
    run(other, other.refine())
    np.testing.assert_array_equal(drawn(session, "disca"), drawn(other, "disca"))
    other.close()


def test_a_session_goes_on_with_its_journal(session, image_file, network):
    session.document.click(20, 20, 2)
    session.close()
    for number in range(1, 3):
        other = restore.resume(journal_file(image_file), open_raster(image_file), network)
        assert len(other.document.clicks) == number
        other.document.click(number, number, 0)
        other.close()
    assert len(read_journal(journal_file(image_file)).events) == 3
    assert len(again(image_file, network).document.clicks) == 3


def test_what_changes_while_it_is_learned_is_told_right(session, image_file, network):
    """A click is removed, one added, the network reset, and a step undone under a running job."""
    first = session.document.click(20, 20, 2)
    session.document.click(100, 100, 1)
    run(session, session.adapt(QUICK))
    job = session.adapt(ONWARD)
    event = next(job)
    while not isinstance(event, AdaptationRun):
        event = next(job)
    session.document.remove(first)
    session.document.click(50, 60, 0)
    session.document.reset_network()
    session.handle(event)
    job.close()
    assert session.document.adapted.clicks.items == (Click(100, 100, 1),)
    assert session.must_learn, "what was removed must not have been learned"
    assert session.document.adapted.base is not None
    assert_same(session, again(image_file, network))


def test_a_run_whose_clicks_all_went_is_not_adopted(session):
    click = session.document.click(20, 20, 2)
    job = session.adapt(QUICK)
    event = next(job)
    while not isinstance(event, AdaptationRun):
        event = next(job)
    session.document.remove(click)
    steps = len(session.document.history)
    session.handle(event)
    job.close()
    assert session.document.adapted is None
    assert len(session.document.history) == steps


def test_another_image_network_or_a_changed_one_is_refused(session, image_file, network):
    session.document.click(20, 20, 2)
    record = read_journal(journal_file(image_file))
    with pytest.raises(JournalError, match="another network, 'for-tests'"):
        restore.restored(record, open_raster(image_file), make_tiny_network(seed=9))
    with pytest.raises(JournalError, match=r"another image, 'city\.tif'"):
        restore.restored(record, open_raster(np.zeros((144, 160, 3), np.uint8)), network)
    with pytest.raises(JournalError, match="does not say where its network"):
        restore.network_of(record.header)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ({"do": "dance"}, "'dance' is not an action"),
        ({}, "'None' is not an action"),
        ({"do": ["clicks"]}, "unhashable|not an action"),
        ({"do": "clicks", "add": [[1, 1, 0]]}, "lacks 'title'"),
        ({"do": "clicks", "title": "t", "add": [[1, 1]]}, "not enough values"),
        ({"do": "clicks", "title": "t", "add": [[1, 1, 7]]}, "classes are 0 to 2"),
        ({"do": "clicks", "title": "t", "add": [[1, 999, 0]]}, "outside the image"),
        ({"do": "clicks", "title": "t", "add": [[1.5, 9, 0]]}, "is not a valid whole number"),
        ({"do": "clicks", "title": "t", "add": [[True, 9, 0]]}, "is not a valid whole number"),
        ({"do": "clicks", "title": "t", "remove": [[1, 1, 0]]}, "does not exist"),
        ({"do": "clicks", "title": "t", "set": 5}, "not a list of clicks"),
        ({"do": "go", "to": 99}, "no step 99"),
        ({"do": "go", "to": -1}, "no step -1"),
        ({"do": "lock", "title": "", "map": "sea", "areas": [[[[0, 0], [9, 0], [9, 9]]]]}, "'sea'"),
        ({"do": "lock", "title": "", "map": "disca", "areas": [[[[0, 0], [9, 0]]]]}, "encloses"),
        ({"do": "lock", "title": "", "map": "disca", "areas": [[[["a", 0]] * 3]]}, "not a number"),
        ({"do": "unlock", "locks": [4]}, "lacks 4"),
        ({**STROKE, "pixels": [0, 3, 0]}, "not sorted"),
        ({**STROKE, "pixels": [0, 3, 10_000]}, "outside"),
        ({**STROKE, "pixels": {"0": 1}}, "runs of pixels"),
        ({**STROKE, "pixels": [0, 3, 4], "label": 9}, "no class 9"),
        ({**STROKE, "pixels": [0, 3, 4], "label": "sea"}, "number"),
        ({**STROKE, "pixels": [0, 3, 4], "tool": "hammer"}, "hammer"),
        ({**STROKE, "pixels": [0, 3, 4], "tool": ["brush"]}, "brush"),
        ({**STROKE, "pixels": [0, 3, 4], "teaches": 1}, "teaches"),
        ({**STROKE, "pixels": [0, 3, 4], "only": [-1]}, "no class -1"),
        ({**STROKE, "path": [[0, 0]], "radius": 1e9}, "radius"),
        ({**STROKE, "path": [[0, "a"]], "radius": 4}, "not a number"),
        ({**STROKE, "path": [], "radius": 4}, "vertices"),
        ({**STROKE, "rings": [[[0, 0], [9, 0]]]}, "encloses"),
        (STROKE, "lacks"),
        ({**PLACE, "window": [0, 0, 500, 9]}, "not in the image"),
        ({**PLACE, "window": [0, 0, 9]}, "unpack"),
        ({**PLACE, "verdict": "good"}, "good"),
        ({**PLACE, "verdict": "wrong"}, "corrected by a click"),
        ({**PLACE, "verdict": "note"}, "empty"),
        ({**PLACE, "verdict": "wrong", "click": [0, 0, 77]}, "77"),
        ({"do": "adapt", "recipe": {"kind": "os.system"}, "seed": 0, "weights": ""}, "no recipe"),
        (
            {"do": "adapt", "recipe": {"kind": "disca", "passes": "x"}, "seed": 0, "weights": ""},
            "'x'",
        ),
        (
            {"do": "adapt", "recipe": {"kind": "disca", "x": 1}, "seed": 0, "weights": ""},
            "no field",
        ),
        ({"do": "learned", "run": 3, "weights": "x"}, "run is not a text"),
    ],
)
def test_events_that_make_no_sense_are_refused_in_one_line(
    session, image_file, network, event, message
):
    session.document.click(20, 20, 2)
    session.close()
    path = journal_file(image_file)
    path.write_text(path.read_text() + json.dumps(event) + "\n")
    with pytest.raises(JournalError, match=message) as caught:
        again(image_file, network)
    assert str(caught.value).startswith("line 3 of city.tif.disca.jsonl cannot be repeated")
    assert "\n" not in str(caught.value)
    assert caught.value.line == 3
    before = restore.resume(path, open_raster(image_file), network, before=3)
    assert before.document.clicks == session.document.clicks
    before.close()


def test_an_endless_story_is_not_told(session, image_file, network, monkeypatch):
    session.document.click(20, 20, 2)
    session.close()
    monkeypatch.setattr(restore, "_MOST_WORK", 50_000)
    path = journal_file(image_file)
    path.write_text(path.read_text() + '{"do": "go", "to": 0}\n{"do": "go", "to": 1}\n' * 100)
    with pytest.raises(JournalError, match="more clicks and steps"):
        again(image_file, network)


def test_weights_that_come_out_differently_are_told(session, image_file, network):
    session.document.click(20, 20, 2)
    run(session, session.adapt(QUICK))
    session.close()
    path = journal_file(image_file)
    path.write_text(path.read_text().replace(session.document.adapted.weights, "0123456789abcdef"))
    other = again(image_file, network)
    said = []
    other.document.troubled.connect(said.append)
    assert other.must_learn
    events = []
    finish(other.refine(), lambda event: (events.append(event), other.handle(event)))
    assert [e.expected for e in events if isinstance(e, RunRelearned)] == ["0123456789abcdef"]
    assert "learned again" in said[0]


def test_a_journal_must_know_a_session_from_its_first_step(image_file, network, compute):
    session = Session(open_raster(image_file), network, compute=compute)
    session.document.click(1, 1, 1)
    with pytest.raises(JournalError, match="from its first step"):
        restore.begin(session, "")
    assert not journal_file(image_file).exists()
    other = Session(open_raster(image_file), network, compute=compute)
    restore.begin(other, "")
    other.close()


def test_trouble_with_the_disk_is_told_once_and_the_session_lives(session, monkeypatch):
    said = []
    session.document.troubled.connect(said.append)
    with monkeypatch.context() as patch:
        patch.setattr(
            "napari_disca.session.journal.journal.os.fsync",
            lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        session.document.click(1, 1, 1)
        session.document.click(2, 2, 1)
        # The disk is waited for on another thread; a window calls `check_journal` when it fails.
        end = time.monotonic() + 10
        while not session.document.journal.trouble and time.monotonic() < end:
            time.sleep(0.01)
        session.document.check_journal()
        session.document.check_journal()
    assert len(said) == 1
    assert "No space left" in said[0]
    session.document.click(3, 3, 1)
    assert len(read_journal(session.document.journal.path).events) == 3


def test_another_file_in_the_place_of_the_journal_is_told(session, image_file, network):
    said = []
    session.document.troubled.connect(said.append)
    session.document.click(1, 1, 1)
    journal_file(image_file).write_text("another file")
    session.document.click(2, 2, 1)
    session.document.click(3, 3, 1)
    assert len(said) == 1
    assert "it is left as it is" in said[0]
    assert journal_file(image_file).read_text() == "another file"
    session.close()
    beside = image_file.with_name("city.tif.disca.1.jsonl")
    assert beside.name in said[0]
    other = restore.resume(beside, open_raster(image_file), network)
    assert other.document.clicks == session.document.clicks
    other.close()


def test_a_journal_takes_kilobytes(session, image_file):
    for number in range(200):
        session.document.click(number % 140, number % 150, number % 3)
    assert journal_file(image_file).stat().st_size < 200 * 150 + 1000


def test_said_as_one_would_say_it(session, image_file):
    session.document.click(1, 1, 1)
    session.document.click(2, 2, 1)
    record = read_journal(journal_file(image_file))
    now = record.last + timedelta(days=1)
    assert restore.record_summary(record, now) == f"2 clicks, yesterday {record.last:%H:%M}"
    session.drawing.draw(Area.rectangle(Window(0, 0, 9, 9)), 1, tool="polygon")
    session.drawing.draw(Area.rectangle(Window(0, 9, 9, 9)), 2, tool="polygon")
    session.review.mark(Window(20, 20, 9, 9), "unsure")
    session.review.mark(Window(40, 40, 9, 9), "seen")
    session.document.go(2)
    session.document.go(len(session.document.history) - 1)
    said = restore.record_summary(read_journal(journal_file(image_file)), now)
    assert said.startswith("2 clicks, 2 strokes, 1 judged place, ")
    then = datetime(2026, 11, 24, 18, 2)
    for later, expected in (
        (datetime(2026, 11, 24, 19), "today 18:02"),
        (datetime(2026, 11, 25, 1), "yesterday 18:02"),
        (datetime(2026, 12, 25, 1), "24 November 18:02"),
        (datetime(2027, 1, 2), "2026-11-24 18:02"),
    ):
        assert restore.time_text(then, later) == expected


# -------------------------------------------------------------------- locks, and bad tiles


def test_locked_pixels_stay_whatever_comes(session):
    run(session, session.predict())
    session.document.click(20, 20, 2)
    run(session, session.refine())
    (lock,) = session.document.lock(Area((((5, 5), (5, 90), (100, 40)),)))
    inside = lock.area.mask(Window.whole(session.raster.shape))
    labels = drawn(session, "disir")[inside]
    initial = drawn(session, "initial")
    session.document.click(30, 40, 0)
    session.document.click(15, 30, 1)
    run(session, session.adapt(Disca(passes=8, rate=3e-2, crop_size=64)))
    for name in ("disir", "disca"):
        np.testing.assert_array_equal(drawn(session, name)[inside], labels)
    np.testing.assert_array_equal(drawn(session, "initial"), initial)
    locked, flipped = session.lock_counts()
    assert locked == inside.sum()
    session.document.unlock(lock)
    run(session, session.refine())
    assert session.lock_counts() == (0, 0)
    session.document.undo()
    run(session, session.refine())
    free = Session(session.raster, session.network, compute=session.compute)
    free.document.set_clicks(session.document.clicks)
    free.handle(session.document.adapted)
    run(free, free.refine())
    np.testing.assert_array_equal(drawn(session, "disca")[inside], labels)
    assert flipped == session.lock_counts()[1]


def test_the_counter_counts_what_the_map_would_be_without_the_lock(session):
    session.document.click(20, 20, 2)
    run(session, session.refine())
    (lock,) = session.document.lock(Area.rectangle(Window(0, 0, 120, 120)))
    session.document.click(60, 60, 1)
    run(session, session.adapt(Disca(passes=8, rate=3e-2, crop_size=64)))
    inside = lock.area.mask(Window.whole(session.raster.shape))
    locked = drawn(session, "disca")
    _, flipped = session.lock_counts()
    # The same weights without the lock.
    network = session.current_network
    free = Session(session.raster, network, compute=session.compute)
    free.document.set_clicks(session.document.clicks)
    run(free, free.refine())
    assert flipped == (drawn(free, "disir") != locked)[inside].sum() > 0


def test_where_areas_meet_the_first_counts_also_after_it_is_unlocked(session):
    whole = Window.whole(session.raster.shape)
    (first,) = session.document.lock(Area.rectangle(Window(0, 0, 50, 50)))
    run(session, session.refine())
    shown_first = drawn(session, "disir")
    session.document.click(25, 25, int(shown_first[25, 25] + 1) % 3)
    session.document.click(45, 60, int(shown_first[45, 60] + 1) % 3)
    (second,) = session.document.lock(Area.rectangle(Window(30, 30, 50, 50)))
    run(session, session.refine())
    shown = drawn(session, "disir")
    np.testing.assert_array_equal(shown[:50, :50], shown_first[:50, :50])
    session.document.click(40, 40, int(shown[40, 40] + 1) % 3)
    session.document.unlock(first)
    run(session, session.refine())
    mask = second.area.mask(whole)
    np.testing.assert_array_equal(drawn(session, "disir")[mask], shown[mask])


def test_checked_pixels_are_learned_from(session, monkeypatch):
    seen = []
    real = Disca.adapt

    def spy(self, network, crops, **options):
        seen.extend(crops)
        return real(self, network, crops, **options)

    monkeypatch.setattr(Disca, "adapt", spy)
    session.document.click(20, 20, 2)
    run(session, session.refine())
    (lock,) = session.document.lock(Area.rectangle(Window(90, 90, 50, 60)))
    before = drawn(session, "disir")
    run(session, session.adapt(QUICK))
    checked = [
        (crop.window.top + row, crop.window.left + col, label)
        for crop in seen
        for row, col, label in zip(
            crop.checked_rows, crop.checked_cols, crop.checked_labels, strict=True
        )
    ]
    assert len(checked) > 30
    mask = lock.area.mask(Window.whole(session.raster.shape))
    assert all(mask[row, col] and before[row, col] == label for row, col, label in checked)


def test_learning_from_checked_pixels_keeps_more_of_them(image_file, network, compute):
    flipped = {}
    # Where only the norms learn, what few of them can do decides more than what was checked.
    strong = Disca(parameters="all", passes=8, rate=1e-2, crop_size=64, regulariser="none")
    for locks in (True, False):
        session = Session(open_raster(image_file), network, compute=compute)
        run(session, session.refine())
        shown = drawn(session, "disir")
        session.document.click(20, 20, int(shown[20, 20] + 1) % 3)
        session.document.lock(Area.rectangle(Window(60, 0, 84, 160)), map="disir")
        if locks:
            run(session, session.adapt(strong))
        else:
            # The same without: the run learned before the area was locked.
            session.document.undo()
            run(session, session.adapt(strong))
            session.document.lock(Area.rectangle(Window(60, 0, 84, 160)), map="disir")
            run(session, session.refine())
        flipped[locks] = session.lock_counts()[1]
    assert flipped[True] < flipped[False]


def test_a_tile_that_cannot_be_read_is_left_out_and_tried_again(session, monkeypatch):
    real = session.raster.read
    broken = [True]

    def failing(window, bands=None):
        if broken[0] and window.top > 0 and window.left > 0:
            raise RasterError("city.tif is damaged\nor cut short")
        return real(window, bands)

    monkeypatch.setattr(session.raster, "read", failing)
    events = []
    finish(session.predict(), lambda event: (events.append(event), session.handle(event)))
    (bad,) = [event for event in events if isinstance(event, Unreadable)]
    assert "\n" not in bad.reason
    assert session.unreadable == {3: "city.tif is damaged or cut short"}
    assert session.map_state.up_to_date("initial") == 0.75
    with pytest.raises(RasterError, match="damaged"):
        session.check_complete()
    session.document.click(20, 20, 1)
    run(session, session.refine())
    assert session.map_state.up_to_date("disir") == 0.75
    broken[0] = False
    run(session, session.refine())
    assert session.map_state.up_to_date("disir") == 1.0
    assert not session.unreadable
    session.check_complete()


def test_a_second_session_on_a_journal_is_refused(session, image_file, network):
    session.document.click(1, 1, 1)
    with pytest.raises(JournalError, match="another window"):
        restore.resume(journal_file(image_file), open_raster(image_file), network)
    assert isinstance(session.document.journal, Journal)
