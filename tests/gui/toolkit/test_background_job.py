from __future__ import annotations

import threading
import time

import pytest

from napari_disca.core.events import Progress

pytest.importorskip("napari")
from qtpy.QtCore import QObject

from napari_disca.gui.toolkit import background_job
from napari_disca.gui.toolkit.background_job import BackgroundJob


@pytest.fixture
def owner(qtbot):
    return QObject()


@pytest.fixture
def background(owner):
    made = BackgroundJob(owner)
    yield made
    made.end()


def counting():
    yield Progress("one", 1, 2)
    return 42


def test_a_result_arrives_before_the_end_is_told(qtbot, background):
    told = []
    background.progressed.connect(lambda event: told.append(event.done))
    background.finished.connect(lambda: told.append(f"running: {background.running}"))
    background.start(counting(), told.append)
    assert background.running
    qtbot.waitUntil(lambda: len(told) == 3, timeout=5000)
    assert told == [1, 42, "running: False"]


def test_nothing_arrives_from_a_dropped_job(qtbot, background):
    told, ended = [], threading.Event()

    def job():
        try:
            yield Progress("one", 1, 2)
            return 42
        finally:
            ended.set()

    background.progressed.connect(told.append)
    background.finished.connect(lambda: told.append("finished"))
    background.start(job(), told.append)
    ended.wait(5)
    time.sleep(0.05)  # its signals wait for this thread now
    background.drop()
    assert not background.running
    second = []
    background.start(counting(), second.append)
    qtbot.waitUntil(lambda: second == [42], timeout=5000)
    qtbot.waitUntil(lambda: not background.running, timeout=5000)
    assert [type(one) for one in told] == [Progress, str]  # those of the second job


@pytest.mark.parametrize("dropped", [False, True])
def test_an_error_is_shown_unless_the_job_was_dropped(qtbot, background, monkeypatch, dropped):
    shown = []
    monkeypatch.setattr(background_job, "tell_error", shown.append)

    def job():
        yield Progress("one", 1, 2)
        raise ValueError("bad")

    background.start(job(), shown.append)
    if dropped:
        time.sleep(0.1)
        background.drop()
    qtbot.wait(300)
    assert [str(one) for one in shown] == ([] if dropped else ["bad"])
    assert not background.running
