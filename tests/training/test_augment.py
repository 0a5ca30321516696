from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.raster.values.scaling import HIGHEST, LOWEST
from napari_disca.training.augment import Augmentation, random_crop

#: No change of the pixels but where they come from.
STILL = dict.fromkeys(
    ("light", "blur", "noise", "hole", "sensor", "haze", "shadow", "coarse", "jpeg"), 0
)
PLAIN = Augmentation(**STILL)
MEAN = np.array([0.5, 0.25, 0.75], np.float32)


def blocks(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels in blocks of 16 pixels, and an image with one band per class: 255 where it is."""
    coarse = np.random.default_rng(seed).integers(0, 3, (height // 16 + 1, width // 16 + 1))
    labels = np.kron(coarse, np.ones((16, 16)))[:height, :width].astype(np.uint8)
    image = (np.eye(3)[labels] * 255).astype(np.uint8)
    return image, labels


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(20, 150),
    width=st.integers(20, 150),
    turn=st.sampled_from([0.0, 1.0]),
)
def test_labels_follow_the_image(seed, height, width, turn):
    image, labels = blocks(height, width)
    augmentation = Augmentation(**STILL, turn=turn)
    rng = np.random.default_rng(seed)
    view, target = random_crop(image, labels, 64, rng, augmentation, MEAN)
    # Away from the blocks' borders a pixel of the view shows one class only.
    pure = (view.max(axis=0) > 0.9999) & (target != IGNORE)
    np.testing.assert_array_equal(view.argmax(axis=0)[pure], target[pure])
    assert pure.sum() > 0.25 * (target != IGNORE).sum()


@pytest.mark.parametrize("seed", range(6))
def test_what_lies_beyond_the_image_is_not_known(seed):
    image, labels = blocks(40, 40)
    augmentation = Augmentation(**STILL, scale=(1, 1), turn=0)
    _, target = random_crop(image, labels, 64, np.random.default_rng(seed), augmentation, MEAN)
    labelled = target != IGNORE
    assert 38 * 38 <= labelled.sum() <= 41 * 41
    rows, cols = np.flatnonzero(labelled.any(axis=1)), np.flatnonzero(labelled.any(axis=0))
    assert labelled[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1].all()


def test_unknown_labels_stay_unknown():
    image, labels = blocks(100, 100)
    labels[:] = IGNORE
    _, target = random_crop(image, labels, 64, np.random.default_rng(0), PLAIN, MEAN)
    assert (target == IGNORE).all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    light=st.floats(0, 5),
    shape=st.tuples(st.integers(1, 80), st.integers(1, 80)),
    bands=st.integers(1, 5),
    size=st.sampled_from([32, 64]),
    dtype=st.sampled_from([np.uint8, np.int16]),
)
def test_views_are_finite_and_in_range(seed, light, shape, bands, size, dtype):
    rng = np.random.default_rng(seed)
    values = [0, 1, 127, 255] if dtype == np.uint8 else [-255, -3, 0, 128, 400, 510]
    image = rng.choice(values, (*shape, bands)).astype(dtype)
    labels = rng.integers(0, 4, shape).astype(np.uint8)
    often = dict.fromkeys(STILL, 0.7) | {"light": light}
    augmentation = Augmentation(**often)
    mean = np.full(bands, 0.5, np.float32)
    view, target = random_crop(image, labels, size, rng, augmentation, mean)
    assert view.shape == (bands, size, size)
    assert view.dtype == np.float32
    assert np.isfinite(view).all()
    assert view.min() >= LOWEST
    assert view.max() <= HIGHEST
    assert target.shape == (size, size)
    assert set(np.unique(target)) <= {0, 1, 2, 3, IGNORE}


def test_a_hole_is_the_mean_and_not_known():
    image, labels = blocks(200, 200)
    augmentation = Augmentation(**(STILL | {"hole": 1}), scale=(1, 1), turn=0)
    view, target = random_crop(image, labels, 64, np.random.default_rng(2), augmentation, MEAN)
    hole = (view == MEAN[:, None, None]).all(axis=0)
    assert hole.any()
    assert (target[hole] == IGNORE).all()
    assert (target[~hole] != IGNORE).all()


@pytest.mark.parametrize("scale", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_magnification_is_what_was_asked_for(scale, seed):
    """Labels that count columns tell how many of them a view of 64 pixels spans."""
    labels = np.broadcast_to(np.arange(200, dtype=np.uint8), (200, 200))
    image = np.zeros((200, 200, 3), np.uint8)
    augmentation = Augmentation(**STILL, scale=(scale, scale), turn=0)
    _, target = random_crop(image, labels, 64, np.random.default_rng(seed), augmentation, MEAN)
    assert abs(int(target.max()) - int(target.min()) + 1 - 64 / scale) <= 1


def test_the_same_seed_gives_the_same_view():
    image, labels = blocks(120, 90)
    one = random_crop(image, labels, 64, np.random.default_rng(7), Augmentation(), MEAN)
    two = random_crop(image, labels, 64, np.random.default_rng(7), Augmentation(), MEAN)
    other = random_crop(image, labels, 64, np.random.default_rng(8), Augmentation(), MEAN)
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    assert not np.array_equal(one[0], other[0])


def test_the_image_received_is_left_as_it_was():
    image, labels = blocks(80, 80)
    before = image.copy(), labels.copy()
    random_crop(image, labels, 64, np.random.default_rng(0), Augmentation(hole=1), MEAN)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_a_view_has_the_values_that_a_network_reads_later():
    """Training and inference end their values at the same two numbers."""
    image, labels = blocks(100, 100)
    wide = image.astype(np.int16) * 2 - 128
    view, _ = random_crop(wide, labels, 64, np.random.default_rng(0), PLAIN, MEAN)
    assert (view.min(), view.max()) == (LOWEST, HIGHEST)


@pytest.mark.parametrize("kind", ["sensor", "haze", "shadow", "coarse", "jpeg"])
def test_what_an_augmentation_changes(kind):
    image, labels = blocks(100, 100)
    rng = np.random.default_rng(0)
    image = np.clip(image // 2 + 60 + rng.integers(-20, 20, image.shape), 0, 255).astype(np.uint8)
    plain, reference = random_crop(image, labels, 64, np.random.default_rng(1), PLAIN, MEAN)
    changed, same = random_crop(
        image, labels, 64, np.random.default_rng(1), Augmentation(**(STILL | {kind: 1})), MEAN
    )
    np.testing.assert_array_equal(reference, same)
    assert 0.002 < np.abs(changed - plain).mean() < 0.5
    if kind == "shadow":
        assert (changed <= plain + 1e-6).all()
    if kind == "coarse":
        assert np.diff(changed, axis=2).std() < np.diff(plain, axis=2).std()
    if kind == "jpeg":
        assert (changed.min(), changed.max()) >= (0, 0)
