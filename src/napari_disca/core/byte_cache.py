"""A cache of values whose sizes together stay below a number of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from cachetools import Cache, LRUCache

K = TypeVar("K")
V = TypeVar("V")


class ByteCache(LRUCache[K, V]):
    """Values by key; those that were not used for longest are forgotten first.

    A mapping, except that values come in with `put`. Not for several threads at once.

    Parameters
    ----------
    limit : int
        Bytes of all values together.
    size_of : callable
        From a value to its bytes.
    """

    def __init__(self, limit: int, size_of: Callable[[V], int]) -> None:
        # The limit can change and whoever forgets wants to know what: `put` and `allow` see to it.
        super().__init__(math.inf, size_of)
        self.limit = limit

    def put(self, key: K, value: V) -> list[tuple[K, V]]:
        """Keep a value, unless it is larger than the limit.

        Returns
        -------
        list of (key, value)
            What was forgotten for it.
        """
        if self.getsizeof(value) <= self.limit:
            self[key] = value
        return self._forgotten()

    def peek(self, key: K) -> V | None:
        """Return a value, or None, without it counting as used."""
        return Cache.__getitem__(self, key) if key in self else None

    def allow(self, limit: int) -> list[tuple[K, V]]:
        """Change the limit.

        Returns
        -------
        list of (key, value)
            What was forgotten, because it is above the limit.
        """
        self.limit = limit
        return self._forgotten()

    def _forgotten(self) -> list[tuple[K, V]]:
        gone = []
        while self.currsize > self.limit:
            gone.append(self.popitem())
        return gone
