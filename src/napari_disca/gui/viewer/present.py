"""What Qt may leave out, as far as its types tell, and does not."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """Value that is there: PyQt types whatever is a pointer in C++ as possibly None.

    Raises
    ------
    TypeError
        If it is not.
    """
    if value is None:
        raise TypeError("Qt gave nothing where it has to give something")
    return value
