from __future__ import annotations

import gc
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.core.shared_tuple import SharedTuple


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_shared_tuple_is_a_tuple(data):
    """Against tuples, with nodes of three members; no version changes later."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_disca.core.shared_tuple._WIDTH", 3)
        start = tuple(data.draw(st.lists(st.integers(0, 50), max_size=30)))
        versions = [(SharedTuple(start), start)]
        for _ in range(data.draw(st.integers(0, 20))):
            shared, plain = data.draw(st.sampled_from(versions))
            what = data.draw(st.sampled_from(["add", "remove", "replace"]))
            if what == "add":
                new = data.draw(st.lists(st.integers(0, 50), max_size=12))
                shared, plain = shared.added(*new), (*plain, *new)
            elif what == "remove":
                gone = data.draw(st.sets(st.integers(0, 50)))
                shared = shared.kept(lambda n, gone=gone: n not in gone)
                plain = tuple(n for n in plain if n not in gone)
            else:
                old, new = data.draw(st.integers(0, 50)), data.draw(st.integers(0, 50))
                shared = shared.mapped(lambda n, old=old, new=new: new if n == old else n)
                plain = tuple(new if n == old else n for n in plain)
            versions.append((shared, plain))
        for shared, plain in versions:
            assert tuple(shared) == plain
            assert tuple(reversed(shared)) == plain[::-1]
            assert len(shared) == len(plain)
            assert shared == SharedTuple(plain) == plain == shared
            assert hash(shared) == hash(SharedTuple(plain)) == hash(plain)
            assert [shared[i] for i in range(-len(plain), len(plain))] == [*plain, *plain]
            assert shared[1:-1] == plain[1:-1]
            assert shared != SharedTuple((*plain, 7))
            assert shared != SharedTuple((*plain[1:], 99))
            for other, plain_other in versions:
                gone, come = shared.changes(other)
                counted = Counter(plain)
                counted.subtract(gone)
                counted.update(come)
                assert +counted == Counter(plain_other)
                assert min(counted.values(), default=0) >= 0


def test_what_it_refuses():
    shared = SharedTuple(range(100))
    for index in (100, -101):
        with pytest.raises(IndexError, match=f"no item {index} among 100"):
            shared[index]
    assert shared != list(range(100))
    assert shared != (*range(99), 3)
    assert SharedTuple() == SharedTuple(())
    assert not SharedTuple()


def test_no_change_returns_the_same_object():
    shared = SharedTuple(range(1000))
    assert shared.added() is shared
    assert shared.mapped(lambda n: n) is shared
    assert shared.kept(lambda n: True) is shared


def test_changes_are_found_without_a_look_at_what_is_shared():
    class Watched:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("compared")

        __hash__ = object.__hash__

    items = [Watched() for _ in range(5000)]
    before = SharedTuple(items[:4990])
    after = before.added(*items[4990:])
    assert [len(found) for found in before.changes(after)] == [0, 10]
    assert [len(found) for found in after.changes(before)] == [10, 0]
    without = after.kept(lambda item: item is not items[1234])
    gone, come = after.changes(without)
    assert gone[0] is items[1234]
    assert (len(gone), len(come)) == (1, 0)
    assert before.changes(before) == ([], [])


def history(length: int) -> list[SharedTuple[object]]:
    steps = [SharedTuple[object]()]
    for _ in range(length):
        steps.append(steps[-1].added(object()))
    return steps


def test_a_history_grows_with_its_length():
    sizes = []
    for length in (2000, 8000):
        gc.collect()  # also what Python keeps of freed tuples, whose use is not traced
        tracemalloc.start()
        try:
            steps = history(length)
            sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        assert [len(step) for step in steps] == list(range(length + 1))
    assert sizes[1] < 5 * sizes[0]
    assert sizes[1] < 8000 * 600


def test_removing_one_item_copies_little():
    full = SharedTuple(object() for _ in range(10_000))
    items = list(full)
    tracemalloc.start()
    try:
        others = [full.kept(lambda item, gone=gone: item is not gone) for gone in items[::1000]]
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert all(len(other) == 9999 for other in others)
    assert size < len(others) * 2000
