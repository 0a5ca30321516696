"""Values of a journal's lines, checked: a journal that was not written here may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_disca.annotations.areas import Area
from napari_disca.annotations.clicks import Click
from napari_disca.core.errors import JournalError

_LONGEST_TEXT = 10_000


def clicks_field(triples: Any) -> list[Click]:
    """Clicks of a list of ``[row, col, label]``."""
    if not isinstance(triples, list):
        raise JournalError(f"{str(triples)[:40]!r} is no list of clicks")
    return [click_field(triple) for triple in triples]


def click_field(triple: Any) -> Click:
    """Click of ``[row, col, label]``."""
    row, col, label = triple
    return Click(whole_field(row), whole_field(col), whole_field(label))


def areas_field(lists: Any) -> tuple[Area, ...]:
    """Areas of lists of rings."""
    return tuple(
        Area(tuple(tuple((real_field(r), real_field(c)) for r, c in ring) for ring in rings))
        for rings in lists
    )


def whole_field(value: Any) -> int:
    """A whole number."""
    if type(value) is not int or abs(value) >= 2**40:
        raise JournalError(f"{str(value)[:40]} is no number that can be meant")
    return value


def real_field(value: Any) -> float:
    """A number."""
    if type(value) not in (int, float):
        raise JournalError(f"{str(value)[:40]} is no number")
    return float(value)


def text_field(fields: Mapping[str, Any], name: str) -> str:
    """The text of a name, not overlong."""
    value = fields[name]
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise JournalError(f"{name} is no text")
    return value
