"""Settings of threads and of malloc that leave cores to the window and spare memory."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from functools import lru_cache


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


#: Parameters of mallopt, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
#: Bytes of freed memory that are kept.
_KEPT = 256 << 20
#: Niceness of background work: the window gets three times its share of a core that both use.
_BACKGROUND = 5
