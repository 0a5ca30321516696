"""Positions and classes in a Points layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.layers import Points

from napari_disca.gui.viewer.layers.click_points import (
    CLASS,
    features_of,
    has_labels,
    is_prefix,
    labels_of,
    put_positions,
)

NAMES = ["road", "roof", "tree"]


@pytest.fixture
def layer():
    return Points(np.zeros((3, 2)), features=features_of((0, 2, 2), NAMES))


def test_classes_are_those_of_the_table(layer):
    np.testing.assert_array_equal(labels_of(layer, NAMES), [0, 2, 2])
    np.testing.assert_array_equal(labels_of(layer, NAMES[::-1]), [2, 0, 0])
    layer.features = pd.DataFrame({CLASS: ["tree", "sea", None]})
    np.testing.assert_array_equal(labels_of(layer, NAMES), [2, -1, -1])
    layer.features = pd.DataFrame({CLASS: pd.Categorical(["tree", None, "tree"], NAMES)})
    np.testing.assert_array_equal(labels_of(layer, NAMES), [2, -1, 2])
    layer.features = pd.DataFrame({"other": [1, 2, 3]})
    assert labels_of(layer, NAMES) is None


def test_other_columns_and_names_are_noticed(layer):
    labels = np.array([0, 2, 2], np.int16)
    assert has_labels(layer, labels, NAMES)
    assert not has_labels(layer, labels[::-1], NAMES)
    layer.features = features_of((0, 2, 2), NAMES).assign(other=1)
    assert not has_labels(layer, labels, NAMES)
    empty = Points(np.empty((0, 2)), features=features_of((), NAMES))
    assert has_labels(empty, labels[:0], NAMES)
    assert not has_labels(empty, labels[:0], ["sea", "roof", "tree"])


def test_prefixes():
    assert is_prefix(np.array([], np.int16), np.array([1, 2], np.int16))
    assert is_prefix(np.array([1], np.int16), np.array([1, 2], np.int16))
    assert not is_prefix(np.array([2], np.int16), np.array([1, 2], np.int16))
    assert not is_prefix(np.array([1, 2, 3], np.int16), np.array([1, 2], np.int16))


def test_as_many_points_are_moved_and_others_are_new_data(layer):
    events = []
    layer.events.data.connect(lambda event: events.append(event.action))
    moved = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    put_positions(layer, moved)
    np.testing.assert_array_equal(layer.data, moved)
    np.testing.assert_array_equal(layer.extent.data, [[1, 2], [5, 6]])
    assert not events
    put_positions(layer, moved[:2])
    np.testing.assert_array_equal(layer.data, moved[:2])
    assert events
    moved[:] = 0
    assert layer.data.any(), "a copy"


def test_data_of_a_script_that_cannot_be_written_are_replaced(layer):
    fixed = np.ones((3, 2))
    fixed.flags.writeable = False
    layer.data = fixed
    put_positions(layer, np.zeros((3, 2)))
    assert not layer.data.any()
    assert fixed.all()
