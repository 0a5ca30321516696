from __future__ import annotations

import threading
import time

import pytest

from napari_disca.core.events import Progress

pytest.importorskip("napari")
from napari_disca.gui.toolkit.worker import JobWorker, job_threads


@pytest.fixture
def threads():
    with job_threads() as made:
        yield made


def test_a_result_is_returned_after_its_events(qtbot, threads):
    def job():
        yield Progress("one", 1, 2)
        yield Progress("two", 2, 2)
        return 42

    worker = JobWorker(job(), threads)
    seen = []
    worker.progressed.connect(seen.append)
    with qtbot.waitSignal(worker.returned, timeout=5000) as blocker:
        worker.start()
    assert blocker.args == [42]
    assert [event.done for event in seen] == [1, 2]


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory"), ValueError("no")])
def test_any_error_reaches_the_window(qtbot, threads, error):
    def job():
        yield Progress("one", 1, 2)
        raise error

    worker = JobWorker(job(), threads)
    with qtbot.waitSignals([worker.errored, worker.finished], timeout=5000, order="strict"):
        worker.start()


def test_cancel_closes_the_job_on_the_worker_thread(qtbot, threads):
    closed = []
    started = threading.Event()

    def job():
        try:
            while True:
                started.set()
                yield Progress("for ever", 0, 1)
        finally:
            closed.append(threading.current_thread())

    worker = JobWorker(job(), threads)
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

    threads = job_threads()
    threads.shutdown()
    worker = JobWorker(job(), threads)
    with qtbot.waitSignals([worker.aborted, worker.finished], timeout=5000):
        worker.start()


def test_an_abandoned_job_says_nothing_any_more(qtbot, threads):
    step, closed = threading.Event(), threading.Event()

    def job():
        try:
            yield Progress("a long step comes", 0, 1)
            assert step.wait(30)
            yield Progress("too late", 1, 1)
        finally:
            closed.set()

    worker = JobWorker(job(), threads)
    seen, ends = [], []
    worker.progressed.connect(seen.append)
    worker.finished.connect(lambda: ends.append(time.monotonic()))
    with qtbot.waitSignal(worker.progressed, timeout=5000):
        worker.start()
    began = time.monotonic()
    with qtbot.waitSignals([worker.aborted, worker.finished], timeout=5000):
        worker.abandon()
    assert ends[0] - began < 0.5
    other = JobWorker(iter_job(), threads)
    with qtbot.waitSignal(other.returned, timeout=5000):  # it does not wait for the step
        other.start()
    step.set()
    assert closed.wait(30)
    qtbot.wait(20)
    assert [event.stage for event in seen] == ["a long step comes"]


def test_a_job_takes_no_thread_of_others(qtbot, threads):
    """Not even to wait on: two pyramids being built would leave none on a small machine."""
    from qtpy.QtCore import QThreadPool

    pool = QThreadPool.globalInstance()
    running, go = threading.Event(), threading.Event()

    def job():
        running.set()
        assert go.wait(30)
        yield Progress("one", 1, 1)

    worker = JobWorker(job(), threads)
    with qtbot.waitSignal(worker.finished, timeout=5000):
        worker.start()
        assert running.wait(5)
        taken = pool.activeThreadCount()
        go.set()  # whatever comes of it, nothing runs on after the test
    assert taken == 0


def test_more_jobs_run_at_once_than_qt_has_threads(qtbot):
    from qtpy.QtCore import QThreadPool

    everybody = threading.Barrier(QThreadPool.globalInstance().maxThreadCount() + 2, timeout=20)

    def job():
        everybody.wait()
        return "met"
        yield

    made = [job_threads() for _ in range(everybody.parties)]
    workers = [JobWorker(job(), threads) for threads in made]
    returned, ended = [], []
    for worker in workers:
        worker.returned.connect(returned.append)
        worker.finished.connect(lambda: ended.append(True))
        worker.start()
    # Those that have waited in vain end too, so that nothing runs on after the test.
    qtbot.waitUntil(lambda: len(ended) == len(workers), timeout=60_000)
    for threads in made:
        threads.shutdown()
    assert returned == ["met"] * len(workers)


def test_a_result_that_comes_after_quitting_is_handed_over(qtbot, threads):
    """A session that nobody waits for holds a journal, and somebody must close it."""
    began, go = threading.Event(), threading.Event()

    def job():
        began.set()
        assert go.wait(30)
        return "session"
        yield

    worker = JobWorker(job(), threads)
    with qtbot.waitSignal(worker.returned, timeout=5000) as blocker:
        worker.start()
        assert began.wait(5)
        worker.quit()
        go.set()
    assert blocker.args == ["session"]


def iter_job():
    yield Progress("short", 1, 1)
    return 1
