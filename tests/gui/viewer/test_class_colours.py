"""Which colours classes are shown in, and what is told of them."""

from __future__ import annotations

from napari_disca.gui.viewer.class_colours import ClassColours
from napari_disca.networks import LandClass

APART = (LandClass("roof", "#d95f02"), LandClass("street", "#7570b3"))
ALIKE = (LandClass("road", "#7570b3"), LandClass("water", "#2c7fb8"))


def test_colours_that_are_told_apart_stay_and_nothing_is_told():
    colours = ClassColours()
    assert colours.shown(APART) == APART
    assert colours.warning(APART) == ""


def test_colours_that_look_alike_are_replaced_and_it_is_told():
    colours = ClassColours()
    shown = colours.shown(ALIKE)
    assert [land.name for land in shown] == ["road", "water"]
    assert [land.color for land in shown] != [land.color for land in ALIKE]
    expected = "Road and water would look alike to some eyes: safer colours"
    assert colours.warning(ALIKE) == expected


def test_the_user_has_the_last_word_and_is_still_told():
    colours = ClassColours()
    said = colours.toggle(ALIKE)
    assert said == "Classes are shown in the network's colours; files keep the network's"
    assert colours.shown(ALIKE) == ALIKE
    assert colours.warning(ALIKE) == "Road and water look alike to some eyes"
    colours.toggle(ALIKE)
    assert colours.shown(ALIKE) != ALIKE
