from __future__ import annotations

import json
import time

import numpy as np
import pytest

from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.tiling import Tile, Window
from napari_disca.inference.predict import TileClicks
from napari_disca.session.tile_versions import TileVersions

NONE = TileClicks({})
ONE = TileClicks({2: Clicks((Click(1, 1, 0),))})
OTHER = TileClicks({2: Clicks((Click(1, 1, 1),))})


def tile(index):
    return Tile(index, Window(0, 0, 1, 1), Window(0, 0, 1, 1))


def drawn(clicks, weights="w"):
    states = TileVersions(("a", "b"), 4)
    for index in range(4):
        states.put("a", index, clicks.state(weights, tile(index)))
    return states


def test_states_come_back_as_they_were_put():
    states = drawn(ONE)
    for index in range(4):
        assert states.get("a", index) == ONE.state("w", tile(index))
        assert states.get("b", index) is None
    assert states.drawn("a").all()
    assert not states.drawn("b").any()


@pytest.mark.parametrize(
    ("clicks", "weights", "stale", "touched"),
    [
        (ONE, "w", [], []),
        (OTHER, "w", [2], [2]),
        (NONE, "w", [2], [2]),
        (ONE, "v", [0, 1, 2, 3], []),
        (OTHER, "v", [0, 1, 2, 3], [2]),
    ],
)
def test_what_is_stale_and_what_was_clicked(clicks, weights, stale, touched):
    states = drawn(ONE)
    assert np.flatnonzero(states.stale("a", weights, clicks)).tolist() == stale
    assert np.flatnonzero(states.touched("a", clicks)).tolist() == touched
    assert states.stale("b", weights, clicks).all()


def test_a_copy_stays_as_it_was():
    states = drawn(NONE)
    copy = states.copy()
    states.put("a", 1, "v+other")
    assert copy.get("a", 1) == "w"
    assert states.get("a", 1) == "v+other"


def test_they_survive_a_file_if_it_is_about_the_same(tmp_path):
    path = tmp_path / "states.json"
    states = drawn(ONE)
    states.save(path, "this image")
    again = TileVersions(("a", "b"), 4)
    again.put("a", 0, "something else")
    assert not again.load(path, "another image")
    assert again.load(path, "this image")
    assert [again.get("a", i) for i in range(4)] == [states.get("a", i) for i in range(4)]
    assert not TileVersions(("a", "b"), 5).load(path, "this image")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"about": "x"}', '{"about": "x", "names": [], "drawn": {"a": [[9]]}}']
)
def test_a_damaged_file_is_no_file(tmp_path, text):
    path = tmp_path / "states.json"
    path.write_text(text)
    assert not TileVersions(("a",), 4).load(path, "x")
    json_of_numbers = {"about": "x", "names": [""], "drawn": {"a": [[0, 0, 0, 7], [0] * 4]}}
    path.write_text(json.dumps(json_of_numbers))
    assert not TileVersions(("a",), 4).load(path, "x")


def test_asking_costs_nothing_worth_mentioning_for_a_huge_map():
    states = TileVersions(("a",), 100_000)
    began = time.perf_counter()
    for _ in range(20):
        states.stale("a", "w", ONE)
    assert (time.perf_counter() - began) / 20 < 0.02
