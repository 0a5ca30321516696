"""Which colours classes are shown in, and what is told of them."""

from __future__ import annotations

from napari_disca.gui.viewer.colours.class_colormap import class_colormap
from napari_disca.gui.viewer.colours.class_colours import first_colours, is_safe, warning
from napari_disca.networks import LandClass

APART = (LandClass("roof", "#d95f02"), LandClass("street", "#7570b3"))
ALIKE = (LandClass("road", "#7570b3"), LandClass("water", "#2c7fb8"))


def test_colours_that_are_told_apart_stay_and_nothing_is_told():
    assert first_colours(APART) == APART
    assert not is_safe(APART)
    assert warning(APART, APART) == ""


def test_colours_that_look_alike_are_replaced_and_it_is_told():
    shown = first_colours(ALIKE)
    assert [land.name for land in shown] == ["road", "water"]
    assert [land.color for land in shown] != [land.color for land in ALIKE]
    assert is_safe(shown)
    assert warning(ALIKE, shown) == "Road and water would look alike to some eyes: safer colours"


def test_whoever_wants_the_networks_colours_is_still_told():
    assert warning(ALIKE, ALIKE) == "Road and water look alike to some eyes"


def test_nothing_is_told_of_classes_that_are_one_when_saved():
    assert warning(APART, (APART[0], APART[0])) == ""


def test_the_class_of_all_the_rest_does_not_cover_the_image():
    classes = (LandClass("Other", "#ffd54a"), LandClass("roof", "#d95f02"))
    colours = class_colormap(classes).color_dict
    assert 0 < colours[1][3] < 0.5
    assert colours[2][3] == 1
    assert class_colormap(classes, alone=0).color_dict[1][3] == 1
