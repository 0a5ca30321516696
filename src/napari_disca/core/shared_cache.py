"""A cache that several threads may use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K")
V = TypeVar("V")


class SharedCache(Generic[K, V]):
    """The values that were used last, by key; safe to use from several threads.

    cachetools' own caches are not: even reading changes their order, and fails while another thread
    writes.

    Parameters
    ----------
    most : int
        Number of values, or what their sizes together may be at most.
    size_of : callable, optional
        Gives the size of a value.
    """

    def __init__(self, most: int, size_of: Callable[[V], int] | None = None) -> None:
        self._values: LRUCache[K, V] = LRUCache(most, size_of)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return a value; None if it is not in the cache."""
        with self._lock:
            return self._values.get(key)

    def put(self, key: K, value: V) -> None:
        """Add a value, unless it alone is larger than allowed."""
        with self._lock, suppress(ValueError):
            self._values[key] = value
