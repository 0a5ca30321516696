from __future__ import annotations

from typing import Any, Literal

import pytest

from napari_disca.core.typed_values import (
    checked_value,
    choices_of,
    is_choice,
    is_typed,
    text_of,
    value_of_text,
)

Side = Literal["left", "right side"]


@pytest.mark.parametrize(
    ("hint", "value", "text"),
    [
        (bool, True, "true"),
        (int, -3, "-3"),
        (float, 2e-7, "2e-07"),
        (float, 0.1234567891, "0.1234567891"),
        (float, float("inf"), "inf"),
        (str, "none", "none"),
        (str, "1", "1"),
        (Side, "right side", "right side"),
        (Side | None, None, "none"),
        (Literal[1, 2], 2, "2"),
        (int | None, None, "none"),
        (int | None, 4, "4"),
        (bool | int | float | str, 0.5, "0.5"),
        (bool | int | float | str, True, "true"),
        (bool | int | float | str, "left", "left"),
        (tuple[int, ...], (4, 8), "4,8"),
        (tuple[int, ...], (), ""),
        (tuple[int, ...], (4,), "4"),
        (tuple[float, str], (0.5, "a"), "0.5,a"),
        (tuple[int, ...] | None, None, "none"),
    ],
)
def test_values_are_written_and_read(hint, value, text):
    assert text_of(value) == text
    read = value_of_text(text, hint)
    assert read == value
    assert type(read) is type(value)
    assert checked_value(value, hint) == value
    assert is_typed(hint)


def test_what_else_a_text_may_be():
    assert value_of_text("right-side", Side) == "right side"
    assert value_of_text(" (4, 8) ", tuple[int, ...]) == (4, 8)
    assert value_of_text("", int | None) is None
    assert value_of_text("3", float) == 3.0
    assert checked_value([4, 8], tuple[int, ...]) == (4, 8)
    assert checked_value(3, float) == 3
    assert checked_value({"a": 1}, Any) == {"a": 1}


@pytest.mark.parametrize(
    ("hint", "text", "words"),
    [
        (int, "2.5", "is not a whole number"),
        (int | None, "x", "is not a whole number or none"),
        (float, "x", "is not a number"),
        (bool, "1", "is not true or false"),
        (Side, "up", "is unknown; use left or right side"),
        (Literal["auto"] | float, "x", "is not auto or a number"),
        (tuple[int, int], "1", "is not a list with commas"),
        (tuple[int, ...], "1,x", "is not a list with commas"),
    ],
)
def test_a_text_that_stands_for_no_value(hint, text, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        value_of_text(text, hint)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, True), (int, 2.0), (int, None), (bool, 1), (float, True), (float, "1"), (str, 1),
        (Literal[1, 2], True), (Side, "right-side"), (int | None, "none"), (tuple[int, ...], 4),
        (tuple[int, int], [4]), (tuple[int, ...], ["4"]),
    ],
)  # fmt: skip
def test_a_value_of_another_type(hint, value):
    with pytest.raises(ValueError, match=r"^is "):
        checked_value(value, hint)


def test_kinds_of_types():
    assert choices_of(Side | None) == ("left", "right side", None)
    assert is_choice(Side | None)
    assert not is_choice(Side | int)
    assert not is_typed(dict[str, int])
    assert not is_typed(tuple[dict[str, int], ...])
