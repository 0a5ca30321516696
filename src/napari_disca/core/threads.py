"""How threads share the cores, and memory, with the window and with each other."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from contextlib import suppress
from functools import lru_cache


def keep_cores_free() -> None:
    """Tell OpenMP's waiting threads to sleep rather than spin for long.

    Spinning threads on a busy core make everything several times slower, the window included. A
    few microseconds harm nobody, and spare a tenth of a network's time: its layers are short.
    Takes effect only when called before torch is imported for the first time, so programs call
    it first; a value the user has set is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")


def leave_a_core() -> None:
    """Let networks compute with all cores but one, which a window needs to stay smooth.

    On a machine of two cores that would halve the speed; `give_way` is what helps there. What
    the user has set (``OMP_NUM_THREADS``) is left alone.
    """
    import torch

    cores = torch.get_num_threads()
    if "OMP_NUM_THREADS" not in os.environ and cores > 2:
        torch.set_num_threads(cores - 1)


def give_way() -> None:
    """Let this thread, and those it will start, run only where the window does not want to.

    Linux only, where threads have priorities of their own; elsewhere systems favour the window
    in front by themselves.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BACKGROUND)


@lru_cache(maxsize=1)
def keep_pages() -> None:
    """Let glibc keep a tile's worth of freed memory instead of giving it back to the system.

    A network allocates and frees the same large blocks for every tile. By default each goes back
    to the system, which has to clear its pages the next time: 5 to 10 % of the work. One arena
    for all threads lets them reuse each other's, so that the peak is lower, too. Elsewhere
    nothing is done.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # musl has no mallopt
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(_MMAP_THRESHOLD, _KEPT)
            mallopt(_TRIM_THRESHOLD, _KEPT)
            mallopt(_ARENA_MAX, 1)


#: malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEPT = 256 << 20
#: Niceness of background work: the window gets three times the share of a core that both want.
_BACKGROUND = 5
