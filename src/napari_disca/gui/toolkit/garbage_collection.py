"""Garbage collections that do not hold up the window.

Python holds all threads while it looks through all objects: with napari and torch in memory that
takes 0.4 s, again and again while something learns.
"""

from __future__ import annotations

import gc

_open: set[int] = set()


def spare_objects(owner: object) -> None:
    """Leave all existing objects out of garbage collections until `collect_objects` is called.

    Objects outside cycles are freed as usual; new objects are collected as usual. Nothing is done
    where the program has frozen objects itself, as they could not be told apart afterwards.
    """
    if not _open and gc.get_freeze_count():
        return
    _open.add(id(owner))
    gc.freeze()


def collect_objects(owner: object) -> None:
    """Let all objects be collected again, unless another owner has still left some out."""
    if id(owner) in _open:
        _open.remove(id(owner))
        if not _open:
            gc.unfreeze()
