"""Colours as all eyes see them."""

from __future__ import annotations

import numpy as np
import pytest

from napari_disca.gui.viewer.colours.colour_vision import (
    SAFE,
    alike,
    lab,
    lab_without_green,
    rgb_of,
    safer,
)


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("#ffffff", (100, 0, 0)),
        ("#000000", (0, 0, 0)),
        ("#ff0000", (53.24, 80.09, 67.20)),
        ("#00ff00", (87.73, -86.18, 83.18)),
        ("#0000ff", (32.30, 79.19, -107.86)),
    ],
)
def test_cielab_is_that_of_the_books(colour, expected):
    np.testing.assert_allclose(lab(rgb_of(colour)), expected, atol=0.02)


def test_greys_stay_greys_without_green_cones():
    grey = np.repeat(np.linspace(0, 1, 9)[:, None], 3, axis=1)
    np.testing.assert_allclose(lab_without_green(grey), lab(grey), atol=0.02)


def test_red_and_green_of_one_lightness_look_alike_to_some_only():
    colours = ["#a07020", "#5f8420"]
    assert np.linalg.norm(np.diff(lab([rgb_of(c) for c in colours]), axis=0)) > 30
    ((first, second, distance),) = alike(colours)
    assert (first, second) == (0, 1)
    assert distance < 10


def test_the_nearest_pair_comes_first_and_what_is_far_is_left_out():
    pairs = alike(["#7570b3", "#2c7fb8", "#e6d3a3", "#e6d3a4"])
    assert [pair[:2] for pair in pairs] == [(2, 3), (0, 1)]
    assert alike(["#000000"]) == []
    assert alike(["#000000", "#ffffff"]) == []


def test_the_safe_colours_are_told_apart_by_all_eyes_and_over_what_lies_beneath():
    colours = np.array([rgb_of(colour) for colour in SAFE])
    for seen in (lab(colours), lab_without_green(colours)):
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
        np.fill_diagonal(apart, 99)
        assert apart.min() > 20
    # Forest, soil, asphalt, a bright roof, water, meadow.
    beneath = [(60, 80, 50), (150, 130, 105), (110, 110, 110), (165, 165, 165), (50, 70, 80)]
    for surface in np.array(beneath) / 255:
        mixed = (colours[:5] + surface) / 2
        assert np.linalg.norm(lab(mixed) - lab(surface), axis=1).min() > 25


def test_safer_colours_keep_what_a_colour_says():
    """Of the shipped network: buildings stay red, vegetation green, water blue."""
    shipped = ["#d95f02", "#e6d3a3", "#7570b3", "#1b9e3e", "#2c7fb8"]
    assert alike(shipped)
    assert safer(shipped) == ["#f0331f", "#ffd54a", "#7b2ff7", "#12c95a", "#29c5ff"]
    assert safer([]) == []
    assert safer(["#123456"] * 11) == ["#123456"] * 11
