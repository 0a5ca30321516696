"""Narrows values that Qt's types call optional."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def not_none(value: T | None) -> T:
    """Return a value that is not None: PyQt's types call every C++ pointer optional.

    Raises
    ------
    TypeError
        If it is None.
    """
    if value is None:
        raise TypeError("Qt returned None where it should return a value")
    return value
