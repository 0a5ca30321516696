"""How threads share the cores with the window and with each other."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress


def keep_cores_free() -> None:
    """Tell OpenMP's waiting threads to sleep rather than spin.

    Spinning threads on a busy core make everything several times slower, the window included.
    Takes effect only when called before torch is imported for the first time, so programs call
    it first; a value the user has set is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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


#: Niceness of background work: the window gets three times the share of a core that both want.
_BACKGROUND = 5
