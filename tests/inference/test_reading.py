"""What was chosen by hand is found again in a view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from builders import make_card
from napari_disca.inference.reading import Reading
from napari_disca.raster import ArrayRaster, Scaling, ValueScale

CARD = make_card(bands=("red", "green", "blue"))


def image(count: int = 5, fill: int | None = None) -> ArrayRaster:
    pixels = np.random.default_rng(0).integers(300, 3000, (64, 80, count), dtype=np.int16)
    if fill is not None:
        pixels[:20] = fill
    raster = ArrayRaster(pixels, bands_axis="last")
    if count == 5:
        raster.color_interp = ("blue", "green", "red", "red edge", "nir")
    return raster


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"bands": (5, 3, 2)},
        {"factor": 2.0},
        {"scaling": Scaling("dtype")},
        {"scaling": Scaling("range", 0.0, 4095.0), "bands": (1, 1, 1)},
        {"scaling": Scaling("percentile"), "factor": 0.5},
        {"find_fill": False},
        {"find_fill": False, "bands": (5, 3, 2), "scaling": Scaling("percentile")},
    ],
)
def test_a_view_says_what_was_chosen(choice: dict[str, Any]) -> None:
    reading = Reading(**choice)
    found = Reading.of(reading.view(image(fill=-9999), CARD))
    assert found == reading


def test_what_equals_the_usual_needs_no_choice() -> None:
    assert Reading.of(Reading(bands=(3, 2, 1)).view(image(), CARD)) == Reading()


def test_a_scaling_of_another_image_stays_as_it_is() -> None:
    other = Reading().view(image(fill=-9999), CARD).scale
    view = Reading(scaling=other).view(image(3), CARD)
    assert Reading.of(view) == Reading(scaling=other)


def test_an_image_that_needs_a_choice_keeps_it() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (7, 64, 80), dtype=np.uint8)
    view = Reading(bands=(4, 4, 4)).view(ArrayRaster(pixels, bands_axis="first"), CARD)
    assert Reading.of(view).bands == (4, 4, 4)


def test_a_scale_survives_its_journal() -> None:
    scale = Reading(find_fill=False, scaling=Scaling("range", -5, 99)).view(image(), CARD).scale
    again = ValueScale.from_json(scale.to_json())
    assert again == scale
    assert (again.wanted, again.find_fill) == (Scaling("range", -5, 99), False)
    old = {k: v for k, v in scale.to_json().items() if k not in ("wanted", "find_fill")}
    assert ValueScale.from_json(old).wanted is None
    assert ValueScale.from_json({**old, "wanted": "a later kind"}).wanted is None
