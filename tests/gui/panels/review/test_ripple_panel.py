"""The list of what an adaptation changed: which region stays chosen while the list is made anew."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractSlider

from napari_disca.core.tiling import Window
from napari_disca.gui.panels.review.ripple_panel import RipplePanel
from napari_disca.session.regions.changed_regions import Region

CLASSES = ("land", "building")
#: The largest first; the window of the first covers that of the last.
LARGE = Region(0, 1, 900, Window(0, 0, 50, 50), (10, 10))
MIDDLE = Region(0, 1, 400, Window(100, 100, 30, 30), (110, 110))
SMALL = Region(0, 1, 20, Window(40, 2, 5, 5), (42, 4))


@pytest.fixture
def panel(qtbot) -> RipplePanel:
    panel = RipplePanel()
    qtbot.addWidget(panel)
    panel.show_regions((LARGE, MIDDLE, SMALL), CLASSES, "", follow=True)
    panel.choose_next()
    assert panel.selected == LARGE
    return panel


def test_the_next_largest_is_chosen_after_a_judged_one_and_not_one_inside_its_window(panel):
    panel.mark_judged()
    panel.show_regions((MIDDLE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == MIDDLE


def test_a_judged_region_stays_chosen_until_it_is_gone(panel):
    panel.mark_judged()
    panel.show_regions((LARGE, MIDDLE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == LARGE
    panel.show_regions((MIDDLE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == MIDDLE


def test_a_region_that_grows_stays_chosen(panel):
    grown = Region(0, 1, 1200, Window(0, 0, 60, 50), (12, 10))
    panel.show_regions((grown, MIDDLE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == grown


def test_nothing_is_chosen_from_an_interim_list_in_place_of_a_region_that_is_gone(panel):
    flown = []
    panel.visited.connect(flown.append)
    panel.mark_judged()
    panel.show_regions((SMALL,), CLASSES, "", follow=True, interim=True)
    assert panel.selected is None
    panel.show_regions((MIDDLE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == MIDDLE
    assert flown == [MIDDLE]


def test_a_region_that_an_interim_list_does_not_have_yet_is_chosen_again(panel):
    panel.show_regions((SMALL,), CLASSES, "", follow=True, interim=True)
    panel.show_regions((MIDDLE, LARGE, SMALL), CLASSES, "", follow=True)
    assert panel.selected == LARGE


def test_whoever_left_the_list_is_not_led_back_to_a_region_by_a_new_list(panel):
    flown = []
    panel.visited.connect(flown.append)
    panel.choose_none()
    panel.show_regions((LARGE, MIDDLE), CLASSES, "", follow=True)
    assert panel.selected is None
    assert not flown


def test_the_strength_is_moved_by_keys(panel, qtbot):
    slider = panel.slider.findChild(QAbstractSlider)
    panel.show_strength(1.0)
    moved = []
    panel.strength.connect(moved.append)
    for key, expected in (
        (Qt.Key.Key_Right, 1.1),
        (Qt.Key.Key_Up, 1.2),
        (Qt.Key.Key_Left, 1.1),
        (Qt.Key.Key_PageUp, 1.6),
        (Qt.Key.Key_PageDown, 1.1),
        (Qt.Key.Key_Down, 1.0),
        (Qt.Key.Key_Home, 0.0),
        (Qt.Key.Key_End, 3.0),
    ):
        qtbot.keyClick(slider, key)
        assert panel.slider.value() == pytest.approx(expected)
        assert moved[-1] == pytest.approx(expected)
    qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert panel.slider.value() == 3.0


def test_regions_without_a_scale_are_told_in_pixels():
    from napari_disca.gui.panels.review.ripple_panel import line_of

    region = Region(0, 1, 1234, Window(0, 0, 50, 50), (3, 3), 0.834)
    names = ["land", "roof"]
    assert line_of(region, names) == "land → roof, 1,234 pixels, 83 % sure"
    for metres, text in (
        (90.0, "90 m²"),
        (8000.0, "0.8 ha"),
        (2840.0, "0.28 ha"),
        (3.4e5, "34 ha"),
        (2.5e6, "2.5 km²"),
    ):
        sized = Region(0, 1, 9, Window(0, 0, 3, 3), (0, 0), None, metres)
        assert line_of(sized, names) == f"land → roof, {text}"
