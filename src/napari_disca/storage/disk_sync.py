"""Files put on disk in the background."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class DiskSync:
    """Waits on a thread of its own until what was written to a file is on disk.

    What a program has written survives that the program is killed; that it is on disk lets it
    survive a power cut, and may take seconds. Requests are met in their order; one that is still
    waiting is met by the next, which covers what was written before it, too.

    Parameters
    ----------
    done : callable
        Called on that thread with the number of the request that was met last, and with None or
        the `OSError` that kept it from the disk.
    """

    def __init__(self, done: Callable[[int, OSError | None], object]) -> None:
        self._done = done
        self._lock = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        #: Number of the request and the file that are waiting.
        self._waiting: tuple[int, int] | None = None

    def ask(self, number: int, file: int) -> None:
        """Ask for a file's content to be put on disk; the file may be closed meanwhile.

        Raises
        ------
        OSError
            If no more files can be open.
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
        """Wait until all that was asked for is done."""
        if self._thread is not None:
            self._thread.submit(int).result()

    def close(self) -> None:
        """Ask for no more; what was asked for is still done."""
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
