"""Reads and checks the values of a journal's lines, which may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import JournalError

_LONGEST_TEXT = 10_000


def clicks_field(triples: Any) -> list[Click]:
    """Return the clicks of a list of ``[row, col, label]``."""
    if not isinstance(triples, list):
        raise JournalError(f"{str(triples)[:40]!r} is not a list of clicks")
    return [click_field(triple) for triple in triples]


def click_field(triple: Any) -> Click:
    """Return the click of ``[row, col, label]``."""
    row, col, label = triple
    return Click(whole_field(row), whole_field(col), whole_field(label))


def areas_field(lists: Any) -> tuple[Area, ...]:
    """Return the areas of lists of rings."""
    return tuple(
        Area(tuple(tuple((real_field(r), real_field(c)) for r, c in ring) for ring in rings))
        for rings in lists
    )


def whole_field(value: Any) -> int:
    """Return a value that must be a whole number."""
    if type(value) is not int or abs(value) >= 2**40:
        raise JournalError(f"{str(value)[:40]} is not a valid whole number")
    return value


def real_field(value: Any) -> float:
    """Return a value that must be a number."""
    if type(value) not in (int, float):
        raise JournalError(f"{str(value)[:40]} is not a number")
    return float(value)


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """Return the text of a field, limited in length."""
    value = fields[name]
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise JournalError(f"{name} is not a text")
    return value
