"""An image of 2 x 2 tiles, for tests of sessions."""

from __future__ import annotations

import pytest

from builders import picture_of, set_tiles


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 96 pixels that read 16 more on each side."""
    set_tiles(monkeypatch, 96, 16)


@pytest.fixture
def picture():
    """144 x 160 pixels in three bands: 2 x 2 of `small_tiles`."""
    return picture_of(18, 20)
