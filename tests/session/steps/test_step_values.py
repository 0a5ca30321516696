from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.shared_tuple import SharedTuple
from napari_disca.core.tiling import Window
from napari_disca.recipes import AdaptationResult, recipe_named
from napari_disca.session.steps.step_values import (
    AdaptationRun,
    Edit,
    Lock,
    click_fields,
    run_fields,
)

_click = st.builds(Click, st.integers(0, 3), st.integers(0, 3), st.integers(0, 2))
_clicks = st.builds(lambda items: Clicks(tuple(items)), st.lists(_click, max_size=7))


@settings(max_examples=300, deadline=None)
@given(before=_clicks, after=_clicks)
def test_an_edit_says_all_or_says_that_it_does_not(before, after):
    edit = Edit.between(before, after)
    assert edit.exact == (edit.applied(before) == after)
    if edit.exact:
        survivors = {new for click in before if (new := edit.of(click)) is not None}
        assert survivors <= set(after)
    else:
        assert "set" in click_fields(edit, after)


@settings(max_examples=100, deadline=None)
@given(before=_clicks, click=_click)
def test_a_click_takes_one_entry(before, click):
    edit = Edit.between(before, before.added(click))
    if before.added(click) != before:
        assert edit.exact
        below = [c for c in before if c.pixel == click.pixel and c != click]
        assert edit.changed == tuple((c, click) for c in below)
        assert edit.added == (click,) or before.items[-1:] == tuple(below)
        assert not edit.removed


def test_moves_and_other_classes_keep_their_age():
    before = Clicks((Click(0, 0, 0), Click(1, 1, 1), Click(2, 2, 2)))
    moved = before.replaced(Click(1, 1, 1), Click(5, 5, 1)).replaced(Click(2, 2, 2), Click(2, 2, 0))
    edit = Edit.between(before, moved)
    assert edit.changed == ((Click(1, 1, 1), Click(5, 5, 1)), (Click(2, 2, 2), Click(2, 2, 0)))
    assert click_fields(edit, moved) == {"change": [[[1, 1, 1], [5, 5, 1]], [[2, 2, 2], [2, 2, 0]]]}


def run(clicks, locks=(), base=None, recipe="default"):
    return AdaptationRun(
        AdaptationResult(None),
        recipe_named(recipe),
        clicks=clicks,
        locks=SharedTuple(locks),
        base=base,
    )


NONE = SharedTuple[Lock]()
THREE = Clicks((Click(0, 0, 0), Click(1, 1, 1), Click(2, 2, 2)))


def test_a_run_that_learned_from_a_removed_click_is_another_run():
    first = run(THREE)
    assert first.edited(lambda click: click, ()) is first
    without = first.edited(lambda click: None if click.row == 1 else click, ())
    assert without.clicks == THREE.removed(Click(1, 1, 1))
    assert without.key == run(without.clicks).key != first.key
    assert not without.weights
    assert first.edited(lambda click: None, ()) is None


def test_runs_that_go_on_from_others_change_with_them():
    first = run(THREE, recipe="authors-plugin")
    second = run(THREE.added(Click(3, 3, 0)), base=first, recipe="authors-plugin")
    without = second.edited(lambda click: None if click.row == 0 else click, ())
    assert without.base.clicks == first.clicks.removed(Click(0, 0, 0))
    assert without.key != second.key
    only_new = second.edited(lambda click: click if click.row == 3 else None, ())
    assert only_new.base is None
    assert only_new.clicks == Clicks((Click(3, 3, 0),))


def test_a_run_forgets_an_area_that_was_unlocked():
    lock = Lock(1, Area.rectangle(Window(0, 0, 3, 3)), "disca", THREE, None, ())
    learned = run(THREE, (lock,))
    assert learned.edited(lambda click: click, (lock,)) is learned
    without = learned.edited(lambda click: click, ())
    assert without.key == run(THREE).key != learned.key


def test_what_is_as_in_the_session_is_not_written():
    plain = run(THREE)
    assert set(run_fields(plain, THREE, NONE, None)) == {"recipe", "seed", "weights"}
    odd = run_fields(plain, Clicks(), NONE, None)
    assert odd["clicks"] == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    chained = run(THREE, base=plain, recipe="authors-plugin")
    assert "base" not in run_fields(chained, THREE, NONE, plain)
    assert run_fields(chained, THREE, NONE, None)["base"]["recipe"]["kind"] == "functionspace"
