from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from napari_disca.core import threads
from napari_disca.core.threads import FreedMemory


def test_freed_memory_is_returned_when_it_has_grown(monkeypatch):
    """Not after the first tile, whose memory the next one uses, and not at each tile."""
    free, trimmed = [], []
    malloc = SimpleNamespace(
        mallinfo2=lambda: SimpleNamespace(fordblks=free[-1]),
        malloc_trim=lambda kept: trimmed.append(free[-1] >> 20),
    )
    monkeypatch.setattr(threads, "_malloc", lambda: malloc)
    clock = [100.0]
    monkeypatch.setattr(threads.time, "monotonic", lambda: clock[0])
    freed = FreedMemory()
    for mebibytes in (40, 50, 57, 30, 57, 73, 80, 90, 91):
        free.append(mebibytes << 20)
        freed.return_unused()
        clock[0] += 1
    assert trimmed == [57, 80]
    free.append(200 << 20)
    freed.return_unused()
    free.append(300 << 20)
    clock[0] += 0.9
    freed.return_unused()
    assert trimmed == [57, 80, 200], "counted once a second"


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is the C library of Linux")
def test_what_glibc_counts():
    malloc = threads._malloc()
    if malloc is None:
        pytest.skip("the C library is not glibc, or older than 2.33")
    counts = malloc.mallinfo2()
    assert 0 < counts.fordblks < counts.arena
    assert counts.uordblks + counts.fordblks == counts.arena
    malloc.malloc_trim(0)
    freed = FreedMemory()
    freed.return_unused()
    freed.return_unused()


def test_other_systems_return_memory_by_themselves(monkeypatch):
    monkeypatch.setattr(threads.sys, "platform", "win32")
    threads._malloc.cache_clear()
    try:
        FreedMemory().return_unused()
    finally:
        threads._malloc.cache_clear()
