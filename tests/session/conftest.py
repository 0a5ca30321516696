"""An image of 2 x 2 tiles, for tests of sessions."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 96 pixels that read 16 more on each side."""
    monkeypatch.setattr("napari_disca.inference.tiles.TILE_SIZE", 96)
    monkeypatch.setattr("napari_disca.inference.tiles.TILE_HALO", 16)


@pytest.fixture
def picture():
    """144 x 160 pixels in three bands: 2 x 2 of `small_tiles`."""
    rng = np.random.default_rng(5)
    return np.kron(rng.integers(0, 255, (18, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
