from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from napari_disca.core import threads
from napari_disca.core.threads import FreedMemory


def test_memory_is_returned_when_more_of_it_is_unused(monkeypatch):
    """Not the memory that the next tile uses, and not at each tile."""
    now = SimpleNamespace(used=0, resident=0, seconds=100.0)
    trimmed = []
    malloc = SimpleNamespace(
        mallinfo2=lambda: SimpleNamespace(uordblks=now.used << 20),
        malloc_trim=lambda kept: trimmed.append(now.resident),
    )
    monkeypatch.setattr(threads, "_malloc", lambda: malloc)
    monkeypatch.setattr(threads, "_resident", lambda: now.resident << 20)
    monkeypatch.setattr(threads.time, "monotonic", lambda: now.seconds)
    freed = FreedMemory()

    def look(used: int, resident: int, seconds: float = 1.5) -> None:
        now.used, now.resident = used, resident
        freed.return_unused()
        now.seconds += seconds

    look(300, 340)  # the first tile
    look(400, 450)  # more is used
    look(400, 456)
    assert not trimmed
    look(400, 457)
    look(400, 455)  # the tile after that
    look(400, 471)
    assert trimmed == [457]
    look(390, 462)
    assert trimmed == [457, 462]
    look(390, 440, seconds=1.4)
    look(390, 600, seconds=0.2)
    assert trimmed == [457, 462], "not more often"
    look(390, 601)
    assert trimmed == [457, 462, 601]


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is the C library of Linux")
def test_what_glibc_counts():
    malloc = threads._malloc()
    if malloc is None:
        pytest.skip("the C library is not glibc, or older than 2.33")
    counts = malloc.mallinfo2()
    assert 0 < counts.fordblks < counts.arena
    assert counts.uordblks + counts.fordblks == counts.arena
    assert counts.uordblks < threads._resident()
    FreedMemory().return_unused()


def test_other_systems_return_memory_by_themselves(monkeypatch):
    monkeypatch.setattr(threads.sys, "platform", "win32")
    threads._malloc.cache_clear()
    try:
        FreedMemory().return_unused()
    finally:
        threads._malloc.cache_clear()
