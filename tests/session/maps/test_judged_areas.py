"""Locked areas, as they are written over the labels of tiles."""

from __future__ import annotations

from collections import Counter

from builders import make_tiny_network
from napari_disca.annotations.areas import Area
from napari_disca.core.tiling import Window
from napari_disca.raster import open_raster
from napari_disca.session.session import Session
from sessions import run


def test_the_mask_of_an_area_is_made_once_for_all_maps_of_a_tile(small_tiles, picture, monkeypatch):
    session = Session(open_raster(picture), make_tiny_network())
    run(session, session.refine())
    made: Counter[Window] = Counter()
    mask = Area.mask

    def counted(area, window):
        made[window] += 1
        return mask(area, window)

    session.lock(Area.rectangle(Window(20, 30, 100, 110)))
    monkeypatch.setattr(Area, "mask", counted)
    run(session, session.refine())
    assert len(made) == len(session.tiling) == 4
    assert set(made.values()) == {1}
