"""Waits for slow work while the window stays alive."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

T = TypeVar("T")

#: Seconds for which the window may stand still: most functions return earlier.
_AT_ONCE = 0.03
#: Seconds between two checks in that time.
_PAUSE = 0.001
#: Milliseconds between two checks after it.
_LOOK = 15


def run_on_thread(function: Callable[[], T]) -> T:
    """Run a function on another thread and return its result.

    Meanwhile the window is drawn and tasks run; the user's input is handled afterwards. For files:
    examining a damaged one takes up to a minute, and a server may not answer.

    Raises
    ------
    Exception
        Whatever the function raises.
    """
    app = QCoreApplication.instance()
    if app is None or QThread.currentThread() is not app.thread():
        return function()
    future: Future[T] = Future()
    threading.Thread(
        target=_run, args=(future, function), name="napari-disca-file", daemon=True
    ).start()
    wait_for(future.done)
    return future.result()


def wait_for(done: Callable[[], bool], seconds: float = math.inf) -> None:
    """Wait until a condition holds, while the window is drawn; the user's input waits.

    Parameters
    ----------
    done : callable
        Whether the condition holds.
    seconds : float
        Wait so long at most.
    """
    until = time.monotonic() + seconds
    at_once = min(until, time.monotonic() + _AT_ONCE)
    while not done() and time.monotonic() < at_once:
        time.sleep(_PAUSE)
    if done() or time.monotonic() >= until:
        return
    loop, timer = QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() or time.monotonic() >= until else None)
    timer.start(_LOOK)
    try:
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    finally:
        timer.stop()


def _run(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)
