from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from builders import make_card
from napari_disca.core.errors import ExportError
from napari_disca.core.events import Patch
from napari_disca.core.tiling import Tiling
from napari_disca.inference.network_view import NetworkView
from napari_disca.raster import open_raster
from napari_disca.session.maps.maps import Maps
from napari_disca.storage.label_pyramid import LabelPyramid


@pytest.fixture
def maps(compute):
    network_view = NetworkView(open_raster(np.zeros((128, 128, 3), np.uint8)), make_card())
    return Maps(network_view, Tiling((128, 128), 64, 0), compute)


def patch(maps, number, tile=0):
    """A tile of one value in everything: its version, labels, uncertainty and counts."""
    keep = maps._tiling[tile].keep
    labels = np.full(keep.shape, number, np.uint8)
    unsure = np.full((4, 4), 1 + number, np.uint8)
    return Patch("disir", keep, labels, tile, f"v{number}", 1 + number, number, unsure)


def test_what_a_tile_shows_is_of_one_moment(maps):
    """A job asks while the owner paints: version, labels, uncertainty and counts agree."""
    tile = maps._tiling[0]
    maps.paint(patch(maps, 0))
    wrong, asked, end = [], [], threading.Event()

    def ask():
        while not end.is_set():
            version, shown = maps.shown("disir", tile)
            number = int(version.removeprefix("v"))
            asked.append(number)
            same = (shown.labels == number).all() and (shown.uncertainty == 1 + number).all()
            if not (same and (shown.locked, shown.flipped) == (1 + number, number)):
                wrong.append(version)

    reader = threading.Thread(target=ask)
    reader.start()
    for i in range(2000):
        maps.paint(patch(maps, i % 5))
    end.set()
    reader.join()
    assert asked
    assert not wrong


def test_a_version_is_told_after_what_belongs_to_it(maps, monkeypatch):
    seen = []
    put = maps.versions.put

    def spy(name, tile, version):
        number = int(version.removeprefix("v"))
        seen.append((maps.uncertainty[name][:4, :4] == 1 + number).all())
        assert (maps.pyramids[name].levels[0][:64, :64] == 1 + number).all()
        put(name, tile, version)

    monkeypatch.setattr(maps.versions, "put", spy)
    maps.paint(patch(maps, 3))
    assert seen == [True]


def test_a_full_disk_leaves_a_tile_as_it_was(maps, monkeypatch):
    maps.paint(patch(maps, 1))

    def full(self, window, labels):
        raise ExportError("no room")

    monkeypatch.setattr(LabelPyramid, "paint", full)
    with pytest.raises(ExportError):
        maps.paint(patch(maps, 2))
    version, shown = maps.shown("disir", maps._tiling[0])
    assert version == "v1"
    assert (shown.labels == 1).all()
    assert (shown.uncertainty == 2).all()


def test_locked_pixels_are_counted_as_tiles_are_painted(maps):
    assert maps.lock_counts("disir") == (0, 0)
    for number, tile in ((4, 0), (2, 1), (3, 0)):
        maps.paint(patch(maps, number, tile))
    assert maps.lock_counts("disir") == (4 + 3, 3 + 2)
    assert maps.lock_counts("disca") == (0, 0)
    maps.paint(replace(patch(maps, 3), locked=0, flipped=0))
    assert maps.lock_counts("disir") == (3, 2)
