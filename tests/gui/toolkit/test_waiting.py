"""What takes long is waited for while the window lives."""

from __future__ import annotations

import threading
import time

import pytest
from qtpy.QtCore import QTimer

from napari_disca.gui.toolkit.waiting import run_on_thread


@pytest.fixture
def ticks(qtbot):
    """Times at which the window's thread was free."""
    seen, timer = [], QTimer()
    timer.timeout.connect(lambda: seen.append(time.monotonic()))
    timer.start(10)
    yield seen
    timer.stop()


def test_the_window_lives_meanwhile(ticks):
    def slow():
        time.sleep(1.0)
        return threading.current_thread()

    thread = run_on_thread(slow)
    assert thread is not threading.main_thread()
    assert len(ticks) >= 5


@pytest.mark.parametrize("seconds", [0, 0.2])
def test_errors_come_through(qtbot, seconds):
    def broken():
        time.sleep(seconds)
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        run_on_thread(broken)


def test_a_timeout_of_the_function_is_its_own(qtbot):
    def late():
        raise TimeoutError("the server")

    with pytest.raises(TimeoutError, match="the server"):
        run_on_thread(late)


def test_on_another_thread_it_is_just_called(qtbot):
    found = []
    thread = threading.Thread(target=lambda: found.append(run_on_thread(threading.current_thread)))
    thread.start()
    thread.join()
    assert found == [thread]
