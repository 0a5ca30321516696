"""A click that confirms the map changes nothing; one that corrects brings its own class alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from builders import make_network
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.networks import build_network
from napari_disca.raster import open_raster
from napari_disca.session.session import Session


@pytest.fixture(scope="module")
def network():
    """A decoder of random weights, in which clicks are felt strongly and far away."""
    torch.manual_seed(0)
    card = replace(make_network().card, architecture="lite-unet", options={})
    made = build_network(card)
    with torch.no_grad():
        for module in made.clicks:
            module.weight.abs_()
        for level in made.levels:
            level.click.weight.mul_(20)
    return made


@pytest.fixture
def session(network, compute):
    rng = np.random.default_rng(0)
    # Wide enough for clicks in what one tile reads and another keeps.
    picture = np.kron(rng.integers(0, 256, (16, 22, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    made = Session(open_raster(picture), network, compute=compute, factor=1.0)
    finish(made.predict(), made.handle)
    return made


def drawn(session, name="disir"):
    return session.maps[name].read(Window.whole(session.raster.shape)).copy()


def test_clicks_that_confirm_change_nothing(session):
    before = drawn(session, "initial")
    # Also beside the border of two tiles, 384 pixels from the corner, which both read.
    for row, col in ((20, 30), (200, 380), (200, 390), (380, 400), (400, 381), (500, 650)):
        session.document.click(row, col, int(before[row, col]))
    finish(session.refine(), session.handle)
    np.testing.assert_array_equal(drawn(session), before)


def test_a_click_that_corrects_brings_its_own_class_alone(session):
    before = drawn(session, "initial")
    row, col = 200, 300
    label = int((before[row, col] + 1) % len(session.document.classes))
    session.document.click(row, col, label)
    session.document.click(210, 320, int(before[210, 320]))
    finish(session.refine(), session.handle)
    after = drawn(session)
    assert after[row, col] == label
    changed = after != before
    assert changed.any()
    assert (after[changed] == label).all()
