from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_disca.annotations.clicks import Click
from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.evaluation.metrics import collateral, confusion, iou, mean_iou, share_right

TRUTH = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [2, 2, IGNORE, IGNORE]], np.uint8)
GUESS = np.array([[0, 0, 1, 1], [0, 2, 1, 0], [2, 2, 0, 1]], np.uint8)


def test_figures_by_hand():
    table = confusion(GUESS, TRUTH, 3)
    assert table.tolist() == [[3, 1, 1, 0], [1, 2, 0, 0], [0, 0, 2, 0]]
    # 0: 3 of 5 + 1; 1: 2 of 3 + 1; 2: 2 of 2 + 1.
    assert iou(table) == {0: pytest.approx(3 / 6), 1: pytest.approx(2 / 4), 2: pytest.approx(2 / 3)}
    assert mean_iou(table) == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 3)


def test_only_classes_of_the_reference_count():
    truth = np.array([[0, 0, 0, IGNORE]], np.uint8)
    guess = np.array([[0, 0, 4, 4]], np.uint8)
    assert iou(confusion(guess, truth, 5)) == {0: pytest.approx(2 / 3)}
    assert mean_iou(confusion(guess, truth, 5)) == pytest.approx(2 / 3)


def test_nothing_known_has_no_mean():
    nothing = np.full((3, 4), IGNORE, np.uint8)
    assert math.isnan(mean_iou(confusion(GUESS, nothing, 3)))


def test_a_pixel_that_was_not_drawn_is_wrong():
    table = confusion(np.full((1, 4), IGNORE, np.uint8), np.zeros((1, 4), np.uint8), 2)
    assert table.tolist() == [[0, 0, 4], [0, 0, 0]]
    assert mean_iou(table) == 0.0


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.uint8, (700, 3), elements=st.sampled_from([0, 1, 2, IGNORE]), fill=st.just(1)),
    arrays(np.uint8, (700, 3), elements=st.integers(0, 2), fill=st.just(0)),
)
def test_confusion_counts_every_known_pixel_once(truth, guess):
    table = confusion(guess, truth, 3)
    for label in range(3):
        for predicted in range(3):
            both = ((truth == label) & (guess == predicted)).sum()
            assert table[label, predicted] == both


def test_collateral_by_hand():
    #         right: 8 pixels        of these wrong after: 3, one inside the clicked half
    before = np.array([[0, 0, 1, 1, 0], [0, 0, 1, 1, 1]], np.uint8)
    truth = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, IGNORE]], np.uint8)
    after = np.array([[0, 1, 0, 0, 1], [0, 0, 1, 1, 0]], np.uint8)
    clicked = np.zeros((2, 5), np.bool_)
    clicked[:, :2] = True
    harm = collateral(before, after, truth, clicked)
    assert harm.all == pytest.approx(3 / 8)
    assert harm.inside == pytest.approx(1 / 4)
    assert harm.outside == pytest.approx(2 / 4)


def test_collateral_of_a_perfect_answer_and_of_a_map_that_was_all_wrong():
    truth = np.zeros((2, 2), np.uint8)
    everywhere = np.ones((2, 2), np.bool_)
    harm = collateral(truth, truth, truth, everywhere)
    assert (harm.all, harm.inside, harm.outside) == (0.0, 0.0, None)
    harm = collateral(truth + np.uint8(1), truth, truth, everywhere)
    assert (harm.all, harm.inside, harm.outside) == (None, None, None)


def test_kept_clicks():
    labels = np.array([[0, 1], [2, 0]], np.uint8)
    clicks = [Click(0, 0, 0), Click(0, 1, 1), Click(1, 0, 0), Click(1, 1, 1)]
    assert share_right(labels, clicks) == 0.5
    assert share_right(labels, []) is None
