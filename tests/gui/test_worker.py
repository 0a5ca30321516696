from __future__ import annotations

import threading

import pytest

from napari_disca.events import Progress

pytest.importorskip("napari")
from napari_disca.gui.worker import JobWorker, job_thread


@pytest.fixture
def thread():
    with job_thread() as made:
        yield made


def test_a_result_is_returned_after_its_events(qtbot, thread):
    def job():
        yield Progress("one", 1, 2)
        yield Progress("two", 2, 2)
        return 42

    worker = JobWorker(job(), thread)
    seen = []
    worker.progressed.connect(seen.append)
    with qtbot.waitSignal(worker.returned, timeout=5000) as blocker:
        worker.start()
    assert blocker.args == [42]
    assert [event.done for event in seen] == [1, 2]


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), ValueError("no")])
def test_any_error_reaches_the_window(qtbot, thread, error):
    def job():
        yield Progress("one", 1, 2)
        raise error

    worker = JobWorker(job(), thread)
    with qtbot.waitSignals([worker.errored, worker.finished], timeout=5000, order="strict"):
        worker.start()


def test_cancel_closes_the_job_on_the_worker_thread(qtbot, thread):
    closed = []
    started = threading.Event()

    def job():
        try:
            while True:
                started.set()
                yield Progress("for ever", 0, 1)
        finally:
            closed.append(threading.current_thread())

    worker = JobWorker(job(), thread)
    with qtbot.waitSignals([worker.aborted, worker.finished], timeout=5000):
        worker.start()
        assert started.wait(5)
        worker.quit()
    assert len(closed) == 1
    assert closed[0] is not threading.main_thread()


def test_after_its_thread_has_gone_it_only_ends(qtbot):
    def job():
        raise AssertionError("it was run")
        yield

    thread = job_thread()
    thread.shutdown()
    worker = JobWorker(job(), thread)
    with qtbot.waitSignals([worker.aborted, worker.finished], timeout=5000):
        worker.start()
