"""Verdicts on places: steps of the history, and how much of the map they cover."""

from __future__ import annotations

import json

import numpy as np
import pytest

from builders import make_tiny_network, picture_of, set_tiles
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import AreaError, ClickError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import write_review
from napari_disca.raster import open_raster
from napari_disca.session.session import Session
from napari_disca.session.steps.review_marks import CHECKED, SEEN, Mark, review_cells

WHOLE = Window(0, 0, 160, 192)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    set_tiles(monkeypatch, 64, 16)


@pytest.fixture
def session(compute):
    made = Session(open_raster(picture_of(20, 24)), make_tiny_network(), compute=compute)
    finish(made.refine(), made.handle)
    return made


def test_what_is_right_is_locked_and_one_undo_takes_it_back(session):
    session.review.mark(Window(32, 32, 64, 32), "right")
    assert session.document.locked_at(40, 40)
    assert [mark.verdict for mark in session.document.marks] == ["right"]
    assert session.document.position == 1
    session.document.undo()
    assert not session.document.marks
    assert not session.document.locks
    session.document.redo()
    assert session.document.locked_at(40, 40)
    assert session.document.marks


def test_what_is_wrong_is_clicked_in_the_same_step(session):
    session.review.mark(Window(32, 32, 64, 32), "wrong", click=Click(50, 40, 2))
    assert session.document.clicks.items == (Click(50, 40, 2),)
    assert session.document.step.title == "review: wrong"
    session.document.undo()
    assert not session.document.clicks.items
    assert not session.document.marks


def test_shares_count_what_was_seen_and_what_was_checked(session):
    assert session.review.shares() == (0.0, 0.0)
    session.review.mark(Window(0, 0, 80, 192), "seen")
    seen, checked = session.review.shares()
    assert (seen, checked) == (pytest.approx(0.5, abs=0.11), 0.0)
    session.review.mark(Window(0, 0, 80, 96), "right")
    assert session.review.shares() == (seen, pytest.approx(seen / 2))
    session.review.mark(WHOLE, "unsure")
    assert session.review.shares() == (1.0, pytest.approx(seen / 2))
    session.document.go(0)
    assert session.review.shares() == (0.0, 0.0)


def test_cells_belong_to_the_place_that_holds_their_middle(session):
    cells = review_cells([Mark(Window(0, 0, 9, 25), "seen")], session.network_view)
    rows, cols = np.nonzero(cells == SEEN)
    assert (rows.max(), cols.max()) == (0, 1)
    whole = review_cells([Mark(WHOLE, "right")], session.network_view)
    assert (whole == CHECKED).all()
    # What was only seen later is still checked.
    again = review_cells([Mark(WHOLE, "right"), Mark(WHOLE, "seen")], session.network_view)
    assert (again == CHECKED).all()


def test_tiles_come_there_and_back_until_all_are_seen(session):
    rows, cols = session.tiling.grid
    found = list(session.review.unseen_tiles())
    assert len(found) == rows * cols
    assert found[0].top == found[cols - 1].top == 0
    assert found[cols].left == found[cols - 1].left  # the row below begins where this one ends
    session.review.mark(found[0], "seen")
    assert next(session.review.unseen_tiles()) == found[1]
    for tile in found:
        session.review.mark(tile, "right")
    assert not list(session.review.unseen_tiles())
    assert session.review.shares() == (1.0, 1.0)


@pytest.mark.parametrize(
    ("window", "verdict", "more"),
    [
        (Window(0, 0, 10, 10), "fine", {}),
        (Window(500, 0, 10, 10), "seen", {}),
        (Window(0, 0, 10, 10), "wrong", {}),
        (Window(0, 0, 10, 10), "right", {"click": Click(1, 1, 1)}),
        (Window(0, 0, 10, 10), "wrong", {"click": Click(900, 1, 1)}),
        (Window(0, 0, 10, 10), "note", {}),
        (Window(0, 0, 10, 10), "note", {"note": "x" * 5000}),
    ],
)
def test_what_makes_no_sense_changes_nothing(session, window, verdict, more):
    with pytest.raises((AreaError, ClickError)):
        session.review.mark(window, verdict, **more)
    assert session.document.position == 0


def test_what_is_not_drawn_yet_cannot_be_right(session):
    session.document.click(40, 40, 1)
    with pytest.raises(AreaError, match="not finished"):
        session.review.mark(Window(32, 32, 64, 32), "right")


def test_the_review_is_saved_as_polygons(session, tmp_path):
    session.review.mark(Window(32, 32, 64, 32), "right")
    session.review.mark(Window(0, 0, 10, 20), "note", note="ask the owner")
    path = write_review(
        session.document.marks,
        tmp_path / "review.geojson",
        raster=session.raster,
        classes=session.document.classes,
    )
    first, second = json.loads(path.read_text())["features"]
    assert first["properties"]["checked"] is True
    assert second["properties"]["note"] == "ask the owner"
    xs, ys = zip(*second["geometry"]["coordinates"][0], strict=True)
    assert (max(xs) - min(xs), max(ys) - min(ys)) == (20, 10)
