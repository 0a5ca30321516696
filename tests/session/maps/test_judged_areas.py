"""Locked areas, as they are written over the labels of tiles."""

from __future__ import annotations

import gc
from collections import Counter
from types import SimpleNamespace

import numpy as np

from builders import make_card, make_tiny_network
from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.tiling import Tiling, Window
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.raster import open_raster
from napari_disca.session.maps import judged_areas
from napari_disca.session.maps.judged_areas import JudgedAreas
from napari_disca.session.session import Session
from napari_disca.session.steps.step_values import Lock
from sessions import run


def test_the_mask_of_an_area_is_made_once_for_all_maps_of_a_tile(small_tiles, picture, monkeypatch):
    session = Session(open_raster(picture), make_tiny_network())
    run(session, session.refine())
    made: Counter[Window] = Counter()
    mask = Area.mask

    def counted(area, window):
        made[window] += 1
        return mask(area, window)

    session.document.lock(Area.rectangle(Window(20, 30, 100, 110)))
    monkeypatch.setattr(Area, "mask", counted)
    run(session, session.refine())
    assert len(made) == len(session.tiling) == 4
    assert set(made.values()) == {1}


def test_locks_share_the_clicks_that_they_keep(monkeypatch):
    """Each of them kept all its clicks, tile by tile: locks times clicks, for ever."""
    monkeypatch.setattr(judged_areas, "_ASSIGNED", 5)
    network_view = NetworkView(open_raster(np.zeros((300, 300, 3), np.uint8)), make_card())
    tiling = Tiling(network_view.shape, 96, 16)
    areas = JudgedAreas(SimpleNamespace(network_view=network_view, tiling=tiling))
    rng = np.random.default_rng(0)
    locks, clicks = [], Clicks()
    for number in range(40):
        clicks = clicks.added(Click(*rng.integers(0, 300, 2).tolist(), number % 2))
        if number % 7 == 6:
            clicks = clicks.removed(clicks.items[number // 2])
        area = Area.rectangle(Window(number, 0, 5, 5))
        locks.append(Lock(number, area, "disir", clicks, None, ()))
    for number in [*range(40), *rng.integers(0, 40, 100).tolist(), *range(39, 30, -1)]:
        of_lock = areas._clicks_of(locks[number])
        assert of_lock == TileClicks.assign(locks[number].clicks, network_view, tiling)
        assert areas._clicks_of(locks[number]) is of_lock
    own = {id(lock.clicks) for lock in locks}
    kept = [one for one in gc.get_referrers(TileClicks) if type(one) is TileClicks]
    assert sum(id(one.clicks) in own for one in kept) < 10
