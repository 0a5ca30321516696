"""How waiting threads behave; to be settled before torch is imported."""

from __future__ import annotations

import os


def keep_cores_free() -> None:
    """Tell OpenMP's waiting threads to sleep rather than spin.

    Spinning threads on a busy core make everything several times slower, the window included.
    Takes effect only when called before torch is imported for the first time, so programs call
    it first; a value the user has set is left alone.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
