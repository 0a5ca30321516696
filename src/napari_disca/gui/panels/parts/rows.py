"""The chosen row of a list."""

from __future__ import annotations

from qtpy.QtWidgets import QListWidget


def go_along(view: QListWidget, steps: int, count: int) -> None:
    """Choose the row some rows further down (or up), or the last one before the end.

    Parameters
    ----------
    view : QListWidget
    steps : int
        Negative: up.
    count : int
        Rows that can be chosen, from the top; nothing happens if there are none.
    """
    if count:
        view.setCurrentRow(min(max(view.currentRow() + steps, 0), count - 1))
