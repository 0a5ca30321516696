from __future__ import annotations

import pytest

from napari_disca.core.events import Job, Progress, finish


def make_job(log: list[str], steps: int = 3) -> Job[str]:
    try:
        for done in range(steps):
            yield Progress("counting", done, steps)
        return "result"
    finally:
        log.append("closed")


def test_a_finished_job_gives_its_result():
    events: list[Progress] = []
    log: list[str] = []
    assert finish(make_job(log), events.append) == "result"
    assert events == [Progress("counting", done, 3) for done in range(3)]
    assert log == ["closed"]


def test_nobody_has_to_listen():
    assert finish(make_job([])) == "result"
    assert finish(make_job([], steps=0)) == "result"


def test_a_job_is_closed_when_the_listener_fails():
    log: list[str] = []
    job = make_job(log)

    def listener(event: Progress) -> None:
        if event.done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finish(job, listener)
    assert log == ["closed"]  # here and now, not when it is collected
    assert next(job, "ended") == "ended"


def test_what_a_job_raises_reaches_the_caller():
    def failing() -> Job[None]:
        yield Progress("failing", 0, 1)
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        finish(failing())
