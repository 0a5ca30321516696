from __future__ import annotations

import json
import time

import numpy as np
import pytest

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.tiling import Window
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.session.maps.lock_index import LockIndex, TileGrid
from napari_disca.session.maps.tile_versions import Target, TileVersions
from napari_disca.session.steps.step_values import Lock

NONE = TileClicks({})
ONE = TileClicks({2: Clicks((Click(1, 1, 0),))})
OTHER = TileClicks({2: Clicks((Click(1, 1, 1),))})
GRID = TileGrid(np.array([0, 10, 20]), np.array([0, 10, 20]))
FREE = LockIndex.empty(GRID)


def lock(number, window):
    return Lock(number, Area.rectangle(window), "disir", Clicks(), None, ())


#: The lower two tiles.
LOCKED = FREE.updated((lock(1, Window(12, 0, 3, 20)),), GRID)


def target(clicks=NONE, weights="w", locks=FREE):
    return Target(weights, clicks, locks)


def drawn(wanted):
    versions = TileVersions(("a", "b"), 4)
    for tile in range(4):
        versions.put("a", tile, wanted.version(tile))
    return versions


def test_versions_tell_weights_clicks_and_locks_apart():
    versions = {
        target(clicks, weights, locks).version(2)
        for clicks in (NONE, ONE, OTHER)
        for weights in ("v", "w")
        for locks in (FREE, LOCKED)
    }
    assert len(versions) == 12
    assert target(ONE, locks=LOCKED).unlocked(2) == target(ONE).version(2)


@pytest.mark.parametrize("wanted", [target(), target(ONE), target(ONE, locks=LOCKED)])
def test_versions_come_back_as_they_were_put(wanted):
    versions = drawn(wanted)
    for tile in range(4):
        assert versions.get("a", tile) == wanted.version(tile)
        assert versions.get("b", tile) is None
    assert versions.rendered("a").all()
    assert not versions.rendered("b").any()


@pytest.mark.parametrize(
    ("wanted", "stale", "touched"),
    [
        (target(ONE), [], []),
        (target(OTHER), [2], [2]),
        (target(), [2], [2]),
        (target(ONE, "v"), [0, 1, 2, 3], []),
        (target(OTHER, "v"), [0, 1, 2, 3], [2]),
        (target(ONE, locks=LOCKED), [2, 3], []),
    ],
)
def test_what_is_stale_and_what_was_clicked(wanted, stale, touched):
    versions = drawn(target(ONE))
    assert np.flatnonzero(versions.stale("a", wanted)).tolist() == stale
    assert versions.stale_count("a", wanted) == len(stale)
    assert np.flatnonzero(versions.touched("a", wanted.clicks)).tolist() == touched
    assert versions.stale("b", wanted).all()


def test_what_is_stale_is_followed_through_clicks_locks_and_drawing():
    """Counted in steps it is what comparing every tile gives."""
    rng = np.random.default_rng(0)
    versions = TileVersions(("a",), 4)
    clicks = [NONE, ONE, OTHER, TileClicks({0: Clicks((Click(2, 2, 0),)), **ONE.by_tile})]
    for _ in range(300):
        wanted = target(
            clicks[rng.integers(4)],
            "vw"[int(rng.integers(8) > 6)],
            (FREE, LOCKED)[int(rng.integers(9) > 7)],
        )
        if rng.integers(2):
            shown = target(clicks[rng.integers(4)]) if rng.integers(2) else wanted
            tile = int(rng.integers(4))
            versions.put("a", tile, shown.version(tile))
        expected = [versions.get("a", tile) != wanted.version(tile) for tile in range(4)]
        assert versions.stale("a", wanted).tolist() == expected
        assert versions.stale_count("a", wanted) == sum(expected)


def test_a_copy_stays_as_it_was():
    versions = drawn(target())
    copy = versions.copy()
    versions.put("a", 1, "v+other")
    assert copy.get("a", 1) == "w"
    assert versions.get("a", 1) == "v+other"


def test_they_survive_a_file_if_it_is_about_the_same(tmp_path):
    path = tmp_path / "versions.json"
    versions = drawn(target(ONE, locks=LOCKED))
    versions.save(path, "this image", beside=1)
    saved = json.loads(path.read_text())
    assert saved["beside"] == 1
    again = TileVersions(("a", "b"), 4)
    again.put("a", 0, "something else")
    assert not again.load(saved, "another image")
    assert again.load(saved, "this image")
    assert [again.get("a", i) for i in range(4)] == [versions.get("a", i) for i in range(4)]
    assert not TileVersions(("a", "b"), 5).load(saved, "this image")


@pytest.mark.parametrize(
    "saved",
    [
        {},
        [],
        None,
        {"about": "x"},
        {"about": "x", "names": [], "shown": {"a": [[9]]}},
        {"about": "x", "names": [""], "shown": {"a": [[0, 0, 0, 7], [0] * 4, [0] * 4]}},
        {"about": "x", "names": [""], "shown": {"a": [[0] * 4, [0] * 4]}},
    ],
)
def test_what_is_damaged_is_not_taken_over(saved):
    assert not TileVersions(("a",), 4).load(saved, "x")


def seconds_to_ask(side):
    """To ask how much is up to date while a map with a lock is being computed, with some clicks."""
    borders = np.arange(0, 10 * side + 1, 10)
    grid = TileGrid(borders, borders)
    locks = LockIndex.empty(grid).updated((lock(1, Window(0, 0, 5 * side, 10 * side)),), grid)
    clicks = TileClicks({7 * i: Clicks((Click(i, i, 0),)) for i in range(14)})
    wanted = target(clicks, locks=locks)
    versions = TileVersions(("a",), side * side)
    versions.stale_count("a", wanted)
    times = []
    for tile in range(50):
        began = time.perf_counter()
        versions.put("a", tile, wanted.version(tile))
        assert versions.stale_count("a", wanted) == side * side - tile - 1
        versions.stale_count("a", target(clicks, locks=locks))
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def test_asking_costs_the_same_for_a_huge_map():
    """68 121 tiles against 100."""
    assert seconds_to_ask(261) < 3 * seconds_to_ask(10) + 0.0001
