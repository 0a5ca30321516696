"""Flush files to disk (fsync) on another thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class DiskSync:
    """Flushes files to disk (fsync) on a thread of its own.

    What a program has written survives when the program is killed. To survive a power cut it has
    to be flushed to disk, which may take seconds. Requests are handled in order. A new request
    replaces one that has not begun, since a flush covers everything written before it.

    Parameters
    ----------
    done : callable
        Called on that thread with the number of the last request, and with None or the `OSError`
        of the flush.
    """

    def __init__(self, done: Callable[[int, OSError | None], object]) -> None:
        self._done = done
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        #: Number and file descriptor of the request that waits.
        self._waiting: tuple[int, int] | None = None

    def request(self, number: int, file: int) -> None:
        """Request a flush of a file, which the caller may close meanwhile.

        Raises
        ------
        OSError
            If the program has too many open files.
        """
        copy = os.dup(file)
        with self._lock:
            before, self._waiting = self._waiting, (number, copy)
            if before is not None:
                os.close(before[1])
                return
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "napari-disca-disk")
            self._thread.submit(self._sync)

    def wait(self) -> None:
        """Wait until all requests are handled."""
        if self._thread is not None:
            self._thread.submit(int).result()

    def close(self) -> None:
        """Accept no more requests; those that were made are still handled."""
        with self._lock:
            if self._thread is not None:
                self._thread.shutdown(wait=False)
                self._thread = None

    def _sync(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        number, file = waiting
        trouble: OSError | None = None
        try:
            os.fsync(file)
        except OSError as error:
            trouble = error
        finally:
            os.close(file)
        self._done(number, trouble)
