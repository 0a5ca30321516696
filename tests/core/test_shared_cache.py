from __future__ import annotations

import random
import sys
import threading

from napari_disca.core.shared_cache import SharedCache


def test_what_was_not_used_for_longest_goes():
    cache = SharedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert [cache.get(key) for key in "abc"] == [1, None, 3]
    assert len(cache) == 2


def test_it_may_be_limited_by_size():
    cache = SharedCache(5, len)
    cache.put("a", "12")
    cache.put("b", "123")
    cache.put("c", "1234")
    assert [cache.get(key) for key in "abc"] == [None, None, "1234"]
    cache.put("d", "123456")
    assert (cache.get("c"), cache.get("d")) == ("1234", None), "too large for any room"


def test_several_threads_may_use_it():
    """cachetools' LRUCache raises KeyError and RuntimeError here."""
    cache, errors = SharedCache(8), []

    def use(seed):
        rng = random.Random(seed)
        try:
            for _ in range(20_000):
                key = rng.randrange(12)
                if (value := cache.get(key)) is None:
                    cache.put(key, key)
                else:
                    assert value == key
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert errors == []
