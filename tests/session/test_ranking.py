"""The second class of a pixel: the first one is what the map shows."""

from __future__ import annotations

import numpy as np
import pytest

from builders import make_card, make_network
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.raster import open_raster
from napari_disca.raster.arrays import ArrayRaster
from napari_disca.recipes import RECIPES, Disca
from napari_disca.session.session import Session

RECIPES_TRIED = {"disca": Disca(passes=2, rate=3e-3, crop_size=64), "default": RECIPES["default"]}


pytestmark = pytest.mark.usefixtures("small_tiles")


@pytest.fixture
def session(picture, compute):
    return Session(open_raster(picture), make_network(), compute=compute)


def disagreeing(session, name):
    """Share of pixels whose best class is not what the map shows."""
    shown = session.maps[name].read(Window.whole(session.raster.shape))
    other = 0
    for row in range(0, shown.shape[0], 7):
        for col in range(0, shown.shape[1], 7):
            ranking = session.ranking(name, row, col)
            key = ranking.key
            if key not in disagreeing.by_tile:
                disagreeing.by_tile[key] = finish(ranking.job())
            (first, most), (second, less) = disagreeing.by_tile[key].at(*ranking.place)
            assert first != second
            assert 1 >= most >= less >= 0
            assert most + less <= 1.01
            other += first != shown[row, col]
    return other


@pytest.mark.parametrize("recipe", RECIPES_TRIED.values(), ids=RECIPES_TRIED)
def test_the_best_class_is_the_one_of_the_map(session, recipe):
    disagreeing.by_tile = {}
    finish(session.refine(), session.handle)
    assert not disagreeing(session, "initial")
    for row, col, label in ((20, 30, 1), (100, 130, 2), (60, 95, 0)):
        session.document.click(row, col, label)
    finish(session.refine(), session.handle)
    before = session.ranking("disir", 20, 30).key
    assert not disagreeing(session, "disir")
    finish(session.adapt(recipe), session.handle)
    assert session.ranking("disir", 20, 30).key == before
    assert not disagreeing(session, "disca")
    session.proposals.only_near()
    finish(session.refine(), session.handle)
    assert not disagreeing(session, "disca")


def test_on_a_grid_of_its_own_pixels_look_where_they_lie(compute):
    rng = np.random.default_rng(6)
    picture = np.kron(rng.integers(0, 255, (12, 14, 3)), np.ones((16, 16, 1))).astype(np.uint8)
    session = Session(open_raster(picture), make_network(), compute=compute, factor=0.5)
    finish(session.refine(), session.handle)
    disagreeing.by_tile = {}
    count = len(range(0, 192, 7)) * len(range(0, 224, 7))
    # Classes are resampled from logits on the way to the image, so that borders differ: many here.
    assert disagreeing(session, "initial") < 0.25 * count
    assert session.ranking("initial", 191, 223).place == (95, 111)


def test_where_there_is_no_data_nothing_is_said(compute):
    values = np.zeros((3, 100, 110), dtype=np.uint8)
    values[:, :, 60:] = 90
    raster = ArrayRaster(values, nodata=0)
    session = Session(raster, make_network(make_card(3)), compute=compute)
    finish(session.refine(), session.handle)
    assert finish(session.ranking("initial", 10, 100).job()) is not None
