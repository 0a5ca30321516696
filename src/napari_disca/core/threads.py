"""Settings of threads and of malloc that leave cores to the window and spare memory."""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path


def limit_spinning() -> None:
    """Tell OpenMP's waiting threads to sleep soon instead of spinning.

    Threads that spin on a busy core slow down everything several times, the window included.
    Spinning for a few microseconds is harmless and saves a tenth of a network's time, because
    its layers are short. Takes effect only before torch is imported for the first time, so
    programs call it first. Environment variables that the user has set are left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def limit_network_threads() -> None:
    """Let networks compute with all cores but one, which stays free for the window.

    Not on a machine of two cores, where that would halve the speed; `lower_thread_priority` helps
    there. A number that the user has set (``OMP_NUM_THREADS``) is left alone.
    """
    import torch

    cores = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ and cores > 2:
        torch.set_num_threads(cores - 1)


def lower_thread_priority() -> None:
    """Lower the priority of this thread, and of those it will start, below the window's.

    Linux only, where threads have priorities of their own; other systems favour the window
    in front by themselves.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND)


@lru_cache(maxsize=1)
def reuse_freed_memory() -> None:
    """Let glibc keep the memory that a tile has freed instead of returning it to the system.

    A network allocates and frees the same large blocks for every tile. By default each block is
    returned to the system, which clears its pages before the next use: 5 to 10 % of the time. One
    arena for all threads lets them reuse each other's blocks, which also lowers the peak. Does
    nothing on other systems than Linux.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_THRESHOLD, _KEPT)
            mallopt(_TRIM_THRESHOLD, _KEPT)
            mallopt(_ARENA_MAX, 1)


class FreedMemory:
    """Returns freed memory that is not used again to the system.

    Small values that stay, such as labels kept for undo, are allocated where a tile has freed large
    blocks. These blocks then do not fit there any more, and the memory between such values grows
    from click to click. By itself, glibc returns only the end of its memory. Does nothing on other
    systems than Linux.
    """

    def __init__(self) -> None:
        self._next = -math.inf
        #: Unused bytes after the tile that followed the last return; None before it.
        self._usual: int | None = None

    def return_unused(self) -> None:
        """Return freed memory if there is 16 MiB more of it than usual; call it after a tile.

        That includes the memory that every tile uses, which costs the next one up to a tenth of a
        second; so a second and a half passes between two looks.
        """
        malloc, now = _malloc(), time.monotonic()
        if malloc is None or now < self._next:
            return
        self._next = now + _SECONDS
        unused = _resident() - malloc.mallinfo2().uordblks
        if self._usual is None:
            self._usual = unused
        elif unused > self._usual + _RETURNED:
            malloc.malloc_trim(0)
            self._usual = None


def _resident() -> int:
    """Return the bytes of this process in memory, without those of files; Linux only."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return (int(pages[1]) - int(pages[2])) * mmap.PAGESIZE


class _Mallinfo(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


@lru_cache(maxsize=1)
def _malloc() -> ctypes.CDLL | None:
    """Return the C library if it is glibc 2.33 or later."""
    if sys.platform != "linux" or not Path("/proc/self/statm").exists():
        return None
    library = ctypes.CDLL(None)
    try:
        library.mallinfo2.restype = _Mallinfo
        library.malloc_trim.argtypes = (ctypes.c_size_t,)
    except AttributeError:
        return None
    return library


FREED_MEMORY = FreedMemory()
#: Bytes by which unused memory grows before it is returned, and seconds until the next look at it.
_RETURNED, _SECONDS = 16 << 20, 1.5
#: Parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Bytes of freed memory that are kept.
_KEPT = 256 << 20
#: Niceness of background work: the window gets three times its share of a core that both use.
_BACKGROUND = 5
