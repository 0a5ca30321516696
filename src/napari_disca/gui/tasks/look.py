"""A look at a file on a thread of its own, which need not be waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_disca.gui.tasks.waiting import wait_for

#: Seconds for which the window waits before it goes on without: most files answer in that time.
PATIENCE = 0.3
#: Alive until their work is done, whoever forgets them.
_AT_WORK: set[Look] = set()


class Look(QObject):
    """Runs a function on another thread and hands on what it returns, unless it was dropped.

    For files: a damaged one takes most of a minute to be examined, and a server may not answer.
    The thread is a daemon, so that the program can end meanwhile.

    Parameters
    ----------
    function : callable
    found : callable
        Gets what the function returned, on the thread that made this object.
    failed : callable
        Gets the exception that it raised.
    unwanted : callable, optional
        Closes what the function returned if the look was dropped; may run on either thread.
    """

    _ended = Signal()

    def __init__(
        self,
        function: Callable[[], Any],
        found: Callable[[Any], object],
        failed: Callable[[Exception], object],
        unwanted: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__()
        self._function, self._found, self._failed = function, found, failed
        self._unwanted = unwanted
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._result: Any = None
        self._error: Exception | None = None
        self._dropped = self._delivered = False
        self._ended.connect(self._deliver)

    def start(self, patience: float | None = None) -> None:
        """Begin; wait a moment in which the user's input waits too, then return in any case.

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
        """Let nothing come of it; what was found, or will be, is closed."""
        with self._lock:
            if self._dropped or self._delivered:
                return
            self._dropped = True
            found = self._done.is_set() and self._error is None
        if found and self._unwanted is not None:
            self._unwanted(self._result)

    def _run(self) -> None:
        try:
            self._result = self._function()
        except Exception as error:
            self._error = error
        with self._lock:
            self._done.set()
            unwanted = self._dropped and self._error is None
        if unwanted and self._unwanted is not None:
            self._unwanted(self._result)
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
            self._found(self._result)
