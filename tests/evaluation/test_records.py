from __future__ import annotations

import json
import math

import pytest

from napari_disca.evaluation import (
    Record,
    clicks_to_target,
    gestures_to_target,
    summary,
    summary_rows,
    write_json,
)


def record(image="a", recipe="disir", miou=(0.5, 0.6, 0.7), **changes):
    fields = {
        "mode": "sequential",
        "clicks": 2,
        "iou_per_class": {"land": 0.7},
        "collateral": 0.01,
        "collateral_inside": 0.02,
        "collateral_outside": None,
        "kept_clicks": 1.0,
        "seconds": 0.25,
    }
    return Record(image=image, recipe=recipe, miou=miou, **(fields | changes))


RECORDS = [
    record("a", "disir", (0.50, 0.60, 0.70)),
    record("b", "disir", (0.70, 0.70, 0.72)),
    record(
        "a", "default", (0.50, 0.60, 0.80), collateral=0.03, seconds=1.0, disir=(0.50, 0.59, 0.74)
    ),
    record(
        "b", "default", (0.70, 0.70, 0.69), collateral=0.05, seconds=2.0, disir=(0.70, 0.70, 0.71)
    ),
]


def cells(line):
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_table_has_means_gains_and_the_worst_image():
    header, _, disir, default = summary(RECORDS).splitlines()
    assert cells(header) == [
        "recipe", "mode", "images", "before", "1 click", "2 clicks", "gain", "worst vs disir",
        "same clicks", "worst", "collateral", "inside", "outside", "kept", "s/answer",
    ]  # fmt: skip
    # Gains 20 and 2: mean 11, standard error |20 - 2| / 2 = 9.
    assert cells(disir)[:8] == ["disir", "sequential", "2", "60.0", "65.0", "71.0", "+11.0 ± 9.0",
                                "-"]  # fmt: skip
    assert cells(disir)[8:10] == ["-", "-"]
    assert cells(default)[6:8] == ["+14.5 ± 15.5", "-3.0"]
    # With the clicks that it got itself: 6 and -2.
    assert cells(default)[8:10] == ["+2.0 ± 4.0", "-2.0"]
    assert cells(default)[10:] == ["4.0", "2.0", "-", "100.0", "1.50"]


def test_the_table_without_disir_without_records_and_with_refusals():
    _, _, line = summary([record(recipe="mine", refused=2)]).splitlines()
    assert line.startswith("mine (2 refused)")
    assert cells(line)[6:8] == ["+20.0", "-"]
    assert summary([]) == "nothing was measured"


def test_what_was_not_measured_is_a_dash():
    one_shot = record(recipe="default", mode="one-shot", miou=(0.5, None, 0.7))
    line = summary([one_shot]).splitlines()[2]
    assert cells(line)[3:6] == ["50.0", "-", "70.0"]


def test_images_of_which_nothing_is_known_are_left_out():
    nan = float("nan")
    fields = ("collateral", "collateral_inside", "collateral_outside", "kept_clicks", "seconds")
    nothing = {"miou": (nan, nan, nan)} | dict.fromkeys(fields)
    lines = summary(RECORDS).splitlines()
    for first in (True, False):
        unknown = [record("c", recipe, **nothing) for recipe in ("disir", "default")]
        found = summary(unknown + RECORDS if first else RECORDS + unknown).splitlines()
        assert [cells(line) for line in found] == [cells(line) for line in lines]
    assert cells(summary(unknown).splitlines()[2])[2:] == ["0", *["-"] * 12]


def test_modes_are_lines_of_their_own():
    both = [record(), record(mode="one-shot", miou=(0.5, None, 0.65))]
    assert len(summary(both).splitlines()) == 4


def test_clicks_to_a_target():
    assert clicks_to_target(RECORDS[:1], 0.5) == 0
    assert clicks_to_target(RECORDS[:1], 0.6) == 1
    # `a` needs 2 clicks, `b` does not reach it with 2 and counts 3.
    assert clicks_to_target(RECORDS[2:], 0.75) == 2.5
    assert math.isnan(clicks_to_target([], 0.5))


def test_json_has_one_record_per_image_and_recipe(tmp_path):
    odd = record("c", miou=(math.nan, None, 0.5))
    path = write_json([*RECORDS, odd], tmp_path / "new" / "figures.json")
    read = json.loads(path.read_text(encoding="utf-8"))
    assert len(read) == 5
    promised = {"image", "recipe", "mode", "clicks", "miou", "iou_per_class", "collateral"}
    assert promised | {"kept_clicks", "seconds"} <= read[0].keys()
    assert read[0]["miou"] == [0.5, 0.6, 0.7]
    assert read[2]["recipe"] == "default"
    assert read[4]["miou"] == [None, None, 0.5]
    assert [p.name for p in path.parent.iterdir()] == ["figures.json"]


def test_before_after_and_gain():
    assert RECORDS[0].before == 0.5
    assert RECORDS[0].after == 0.7
    assert RECORDS[0].gain == pytest.approx(0.2)


def test_verdicts_are_gestures_in_the_table_and_to_a_target():
    some = record("a", miou=(0.2, 0.5, 0.8), gestures=(0, 3, 5), verdicts=3)
    assert gestures_to_target([some], 0.5) == 3
    assert gestures_to_target([some], 0.9) == 6
    assert gestures_to_target([record("a", miou=(0.2, 0.5, 0.8))], 0.8) == 2
    header, row = summary_rows([some])
    assert dict(zip(header, row, strict=True))["verdicts"] == "3.0"
    assert dict(zip(header, row, strict=True))["gestures"] == "5.0"
    assert "gestures" not in summary([record("a", miou=(0.2, 0.5, 0.8))])
