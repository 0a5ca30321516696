from __future__ import annotations

from napari_disca.core.byte_cache import ByteCache


def test_what_was_not_used_for_longest_is_handed_back():
    cache = ByteCache(10, len)
    assert cache.put("a", "xxxx") == []
    assert cache.put("b", "yyyy") == []
    assert cache.get("a") == "xxxx"
    assert cache.put("c", "zzzz") == [("b", "yyyy")]
    assert sorted(cache) == ["a", "c"]


def test_to_peek_is_not_to_use():
    cache = ByteCache(8, len)
    cache.put("a", "xxxx")
    cache.put("b", "yyyy")
    assert cache.peek("a") == "xxxx"
    assert cache.peek("none") is None
    assert cache.put("c", "zzzz") == [("a", "xxxx")]


def test_what_is_larger_than_all_may_be_is_not_kept():
    cache = ByteCache(3, len)
    cache.put("a", "xx")
    assert cache.put("b", "yyyy") == []
    assert list(cache) == ["a"]


def test_a_lower_limit_holds_at_once():
    cache = ByteCache(10, len)
    cache.put("a", "xxxx")
    cache.put("b", "yyyy")
    assert cache.set_limit(5) == [("a", "xxxx")]
    assert cache.currsize == 4
    assert cache.set_limit(0) == [("b", "yyyy")]
