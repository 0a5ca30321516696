from __future__ import annotations

import numpy as np
import pytest

from napari_disca.annotations.simulated_annotator import IGNORE
from napari_disca.core.errors import DataError
from napari_disca.evaluation import ClassMap
from napari_disca.networks import LandClass

CLASSES = tuple(LandClass(n, "#000000") for n in ("building", "land", "road", "water"))


def test_a_network_of_four_judged_on_building_and_other():
    class_map = ClassMap.parse("building=1, *=0", CLASSES)
    assert class_map.ids == (1, 0, 0, 0)
    assert class_map == ClassMap.of({0: 1, 1: 0, 2: 0, 3: 0}, CLASSES)
    assert class_map == ClassMap.parse("0=1,1=0,road=0,3=0", CLASSES)
    labels = np.array([[0, 1, 2, 3, IGNORE]], np.uint8)
    assert class_map.apply(labels).tolist() == [[1, 0, 0, 0, IGNORE]]
    assert class_map.candidates(0) == [1, 2, 3]
    assert class_map.name(0) == "land+road+water"
    assert class_map.size == 2


def test_without_a_map_ids_stay():
    same = ClassMap.of(None, CLASSES)
    labels = np.array([[0, 1, 2, 3, IGNORE]], np.uint8)
    np.testing.assert_array_equal(same.apply(labels), labels)
    assert [same.name(i) for i in range(4)] == ["building", "land", "road", "water"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("building=1", "lacks class 'land'"),
        ("house=1,*=0", "names 'house', but the network's classes are building, land"),
        ("building:1,*=0", "'building:1' in the class map .* is not like building=1"),
        ("", "is not like building=1"),
        ("building=-1,*=0", "is not like building=1"),
        ("9=1,*=0", "names class 9"),
        ("building=255,*=0", "class 'building' is mapped onto mask id 255; ids are 0 to 254"),
    ],
)
def test_what_is_no_class_map_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        ClassMap.parse(text, CLASSES)


def test_a_mask_with_an_id_that_nothing_means_is_refused():
    class_map = ClassMap.parse("building=1,*=0", CLASSES)
    class_map.checked(np.array([[0, 1, IGNORE]], np.uint8), "a.png")
    with pytest.raises(DataError, match=r"the mask of a\.png holds id 3, but the network knows 0 "):
        class_map.checked(np.array([[0, 3]], np.uint8), "a.png")
