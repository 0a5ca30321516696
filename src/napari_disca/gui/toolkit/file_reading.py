"""Reads files on another thread, so that the window need not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from qtpy.QtCore import QObject, Signal

from napari_disca.gui.toolkit.waiting import wait_for

T = TypeVar("T")

#: Seconds for which the window waits for the result: most files answer in that time.
PATIENCE = 0.3
#: Keeps running readings alive until they have ended.
_AT_WORK: set[FileReading[Any]] = set()


class FileReading(QObject, Generic[T]):
    """Runs a function on another thread and passes its result on, unless it was dropped.

    For files: examining a damaged one takes up to a minute, and a server may not answer. The
    thread is a daemon, so that the program can end meanwhile.

    Parameters
    ----------
    function : callable
    found : callable
        Gets what the function returned, on the thread that made this object.
    failed : callable
        Gets the exception that it raised.
    unwanted : callable, optional
        Closes the result of a dropped reading; may run on either thread.
    """

    _ended = Signal()

    def __init__(
        self,
        function: Callable[[], T],
        found: Callable[[T], object],
        failed: Callable[[Exception], object],
        unwanted: Callable[[T], object] | None = None,
    ) -> None:
        super().__init__()
        self._function, self._found, self._failed = function, found, failed
        self._unwanted = unwanted
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._result: T | None = None
        self._error: Exception | None = None
        self._dropped = self._delivered = False
        self._ended.connect(self._deliver)

    def start(self, patience: float | None = None) -> None:
        """Start the thread, and wait a moment for the result: most files answer at once.

        Parameters
        ----------
        patience : float, optional
            Seconds; `PATIENCE` by default.
        """
        _AT_WORK.add(self)
        threading.Thread(target=self._run, name="napari-disca-file", daemon=True).start()
        wait_for(
            lambda: self._done.is_set() or self._dropped,
            PATIENCE if patience is None else patience,
        )
        if self._done.is_set():
            self._deliver()

    def drop(self) -> None:
        """Drop the result; what was read, or will be, is closed."""
        with self._lock:
            if self._dropped or self._delivered:
                return
            self._dropped = True
            found = self._done.is_set() and self._error is None
        if found and self._unwanted is not None:
            self._unwanted(cast(T, self._result))

    def _run(self) -> None:
        try:
            self._result = self._function()
        except Exception as error:
            self._error = error
        with self._lock:
            self._done.set()
            unwanted = self._dropped and self._error is None
        if unwanted and self._unwanted is not None:
            self._unwanted(cast(T, self._result))
        self._ended.emit()

    def _deliver(self) -> None:
        _AT_WORK.discard(self)
        with self._lock:
            if self._dropped or self._delivered:
                return
            self._delivered = True
        if self._error is not None:
            self._failed(self._error)
        else:
            self._found(cast(T, self._result))
