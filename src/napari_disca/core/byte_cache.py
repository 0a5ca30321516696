"""A cache of values whose sizes together stay below a number of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from cachetools import Cache, LRUCache

K = TypeVar("K")
V = TypeVar("V")


class ByteCache(LRUCache[K, V]):
    """Mapping limited in bytes; the values that were not used for longest are evicted first.

    Values are added with `put`. It is not safe to use from several threads at once.

    Parameters
    ----------
    limit : int
        Bytes of all values together.
    size_of : callable
        Gives the bytes of a value.
    """

    def __init__(self, limit: int, size_of: Callable[[V], int]) -> None:
        # No limit of cachetools' own: `put` and `set_limit` evict, and return what they evict.
        super().__init__(math.inf, size_of)
        self.limit = limit

    def put(self, key: K, value: V) -> list[tuple[K, V]]:
        """Add a value, unless it alone is larger than the limit.

        Returns
        -------
        list of (key, value)
            What was evicted for it.
        """
        if self.getsizeof(value) <= self.limit:
            self[key] = value
        return self._evicted()

    def peek(self, key: K) -> V | None:
        """Return a value, or None, without marking it as used."""
        return Cache.__getitem__(self, key) if key in self else None

    def set_limit(self, limit: int) -> list[tuple[K, V]]:
        """Change the limit in bytes.

        Returns
        -------
        list of (key, value)
            What was evicted to stay below the new limit.
        """
        self.limit = limit
        return self._evicted()

    def _evicted(self) -> list[tuple[K, V]]:
        evicted = []
        while self.currsize > self.limit:
            evicted.append(self.popitem())
        return evicted
