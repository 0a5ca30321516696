"""The session's layers stay where the image is."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_disca.gui.viewer.layers.following import Following, pixel_size
from napari_disca.gui.viewer.layers.placement import on_cells

TURN = np.array([[0.8, -0.6], [0.6, 0.8]])


@pytest.fixture
def image():
    return Image(np.zeros((40, 60), np.uint8), name="scene")


@pytest.fixture
def said():
    return []


@pytest.fixture
def following(image, said, qtbot):
    made = Following(image, said.append)
    yield made
    made.end()


@pytest.fixture
def clicks(following):
    layer = Points(np.array([[3.0, 4.0]]), name="Clicks", **following.placement())
    following.add(layer)
    return layer


CHANGES = {
    "scale": (2.0, 3.0),
    "translate": (-7.0, 11.5),
    "rotate": TURN,
    "shear": [0.3],
    "affine": np.array([[0.9, 0.2, 5.0], [-0.1, 1.2, 7.0], [0, 0, 1]]),
}


@pytest.mark.parametrize("part", CHANGES)
def test_layers_follow_while_the_image_changes(image, following, clicks, part):
    cells = Image(np.zeros((10, 15)), **on_cells(following.placement(), (4, 4)))
    following.add(cells, lambda place: on_cells(place, (4, 4)))
    setattr(image, part, CHANGES[part])
    for at in ((0, 0), (3, 4), (39, 59)):
        np.testing.assert_allclose(clicks.data_to_world(at), image.data_to_world(at), atol=1e-9)
        # Where one points at a pixel of the image, one points at the same of the clicks.
        world = image.data_to_world(at)
        np.testing.assert_allclose(clicks.world_to_data(world), at, atol=1e-9)
    np.testing.assert_allclose(
        cells.data_to_world((2, 3)), image.data_to_world((9.5, 13.5)), atol=1e-9
    )


def test_all_of_it_at_once_and_units(image, following, clicks):
    for part, value in CHANGES.items():
        setattr(image, part, value)
    image.units = ("meter", "meter")
    np.testing.assert_allclose(clicks.data_to_world((30, 20)), image.data_to_world((30, 20)))
    assert clicks.units == image.units


@pytest.mark.parametrize("part", CHANGES)
def test_a_layer_that_is_moved_alone_is_put_back_and_told(
    image, following, clicks, said, qtbot, part
):
    setattr(clicks, part, CHANGES[part])
    qtbot.waitUntil(lambda: bool(said), timeout=5000)
    np.testing.assert_allclose(clicks.data_to_world((30, 20)), image.data_to_world((30, 20)))
    assert said == ["'Clicks' lies where the image lies; move the image's layer instead"]


def test_a_layer_that_is_forgotten_stays(image, following, clicks):
    following.forget(clicks)
    image.scale = (2, 2)
    assert tuple(clicks.scale) == (1, 1)
    following.forget(clicks)


def test_the_size_of_a_pixel_knows_the_affine(image):
    image.scale = (2, 2)
    image.affine = np.diag([3.0, 3.0, 1.0])
    assert pixel_size(image) == pytest.approx(6)
