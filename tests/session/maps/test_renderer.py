from __future__ import annotations

import numpy as np

from napari_disca.session.maps.rendered_tiles import RecentTiles, RenderedTile


def noise(seed, side=60):
    return RenderedTile(
        np.random.default_rng(seed).integers(0, 5, (side, side)).astype(np.uint8), 3, seed
    )


def test_recent_tiles_come_back_with_their_counts():
    recent = RecentTiles(1 << 20)
    recent.put(4, "state", noise(7))
    back = recent.get(4, "state")
    np.testing.assert_array_equal(back.labels, noise(7).labels)
    assert (back.locked, back.flipped) == (3, 7)
    assert recent.get(4, "other") is None
    assert recent.get(5, "state") is None


def test_recent_tiles_forget_what_was_not_used_for_longest():
    small = RecentTiles(5000)
    for tile in range(10):
        small.put(tile, "state", noise(tile))
        small.get(0, "state")
    cached = [tile for tile in range(10) if small.has(tile, "state")]
    assert 2 <= len(cached) < 6
    assert cached[0] == 0, "it was just used"
    assert cached[-1] == 9
    small.forget(0)
    assert not small.has(0, "state")
    assert small.has(9, "state")
    small.forget()
    assert not small.has(9, "state")
