from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_network
from napari_disca.annotations.clicks import Click, Clicks
from napari_disca.core.tiling import Window
from napari_disca.inference.click_constraint import constrained
from napari_disca.inference.network_view import NetworkView
from napari_disca.inference.predict import CONSTRAINT_RADIUS, Predictor
from napari_disca.inference.tile_clicks import TileClicks
from napari_disca.inference.tiles import tiling_for
from napari_disca.networks.compute import Compute
from napari_disca.raster import open_raster

BOX = Window(100, 200, 40, 50)
places = st.tuples(st.integers(90, 150), st.integers(190, 260), st.integers(0, 3))


def logits(seed: int) -> torch.Tensor:
    return 5 * torch.randn(4, *BOX.shape, generator=torch.Generator().manual_seed(seed))


@given(st.lists(places, max_size=6), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_the_clicked_class_wins_and_far_pixels_stay(found, seed):
    clicks = Clicks(tuple(Click(*place) for place in found))
    before = logits(seed)
    after = constrained(before, clicks, BOX, 3)
    assert torch.equal(before, logits(seed)), "left as it was"
    far = np.ones(BOX.shape, bool)
    for click in clicks.inside(BOX):
        at = click.row - BOX.top, click.col - BOX.left
        rivals = [
            c for c in clicks if c != click and np.hypot(*(np.subtract(c.pixel, click.pixel))) < 3
        ]
        if not rivals:
            assert int(after[:, at[0], at[1]].argmax()) == click.label
        rows, cols = np.ogrid[: BOX.height, : BOX.width]
        far &= np.hypot(rows - at[0], cols - at[1]) >= 3
    assert torch.equal(after[:, far], before[:, far])


def test_nothing_is_touched_where_the_network_follows():
    before = logits(0)
    before[2, 10, 10] = 50.0
    assert constrained(before, Clicks((Click(110, 210, 2),)), BOX, 8) is before


def test_neighbours_that_were_nearly_of_that_class_follow():
    before = torch.zeros(2, *BOX.shape)
    before[0] = 1.0  # class 1 lacks 1 everywhere
    after = constrained(before, Clicks((Click(120, 225, 1),)), BOX, 8).argmax(0)
    rows, cols = np.ogrid[: BOX.height, : BOX.width]
    # raised by 1.5 in the middle: more than 1 within a third of the radius
    expected = np.hypot(rows - 20, cols - 25) < 8 / 3
    np.testing.assert_array_equal(after.numpy(), expected)


@given(st.permutations([Click(118 + 3 * i, 222 + 2 * i % 7, i % 3) for i in range(5)]))
@settings(deadline=None)
def test_the_order_of_the_clicks_does_not_matter(order):
    before = torch.randn(3, *BOX.shape, generator=torch.Generator().manual_seed(0)) * 100
    clicks = [Clicks(tuple(order)), Clicks(tuple(sorted(order, key=lambda c: c.pixel)))]
    one, other = (constrained(before.bfloat16(), found, BOX, 8) for found in clicks)
    assert one.equal(other)


def drawn(network, network_view, clicks):
    tiling = tiling_for(network_view)
    assigned = TileClicks.assign(clicks, network_view, tiling)
    predictor = Predictor(network, network_view, Compute(torch.device("cpu"), torch.float32))
    labels = np.full(network_view.raster.shape, 77, np.uint8)
    for tile in tiling:
        window, patch = predictor.labels(tile, assigned.of(tile))
        labels[window.slices] = patch
    return labels


@pytest.mark.parametrize("factor", [0.25, 0.6, 1.0, 1.7])
def test_a_click_is_obeyed_on_the_map_of_any_grid(factor):
    """Also beside a tile's border, and by a network that does not care for clicks."""
    network = make_network()
    for name, parameter in network.named_parameters():
        if name == "stem.0.weight":
            parameter.data[:, 3:] = 0
    rng = np.random.default_rng(0)
    raster = open_raster(rng.integers(0, 255, (700, 720, 3), dtype=np.uint8))
    network_view = NetworkView(raster, network.card, factor=factor)
    tiling = tiling_for(network_view)
    border = network_view.image_window(tiling[0].keep).right
    places = [(40, border - 1), (90, border), (140, border + 3), (300, 300), (301, 300), (699, 719)]
    clicks = Clicks(tuple(Click(r, min(c, 719), i % 3) for i, (r, c) in enumerate(places)))
    labels = drawn(network, network_view, clicks)
    assert [labels[c.pixel] for c in clicks] == [c.label for c in clicks]
    # Also where two share a pixel of the network's grid, and whichever was made first.
    backwards = drawn(network, network_view, Clicks(clicks.items[::-1]))
    np.testing.assert_array_equal(backwards, labels)


def test_what_follows_a_click_is_not_cut_at_a_tiles_border(monkeypatch):
    """Both tiles raise the class by as much, up to what differs in what they see."""
    network = make_network()
    for parameter in network.parameters():
        parameter.data.zero_()  # all classes are equally likely everywhere: class 0
    raster = open_raster(np.zeros((512, 900, 3), dtype=np.uint8) + 9)
    network_view = NetworkView(raster, network.card, factor=1.0)
    tiling = tiling_for(network_view)
    border = tiling[0].keep.right
    clicks = Clicks((Click(200, border + 2, 1),))
    labels = drawn(network, network_view, clicks)
    rows, cols = np.ogrid[:512, :900]
    disc = np.hypot(rows - 200, cols - border - 2) < CONSTRAINT_RADIUS
    np.testing.assert_array_equal(labels == 1, disc)
