"""Progress, notes and tables: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest

from napari_disca.cli import console
from napari_disca.cli.console import (
    BarDisplay,
    LineDisplay,
    display,
    note,
    run_job,
    say,
    say_table,
)
from napari_disca.core.events import Note, Progress

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns on both standard streams."""
    terminal = Terminal()
    # pytest puts streams of its own in `sys` for every phase of a test.
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=terminal, stdout=terminal))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return terminal


@pytest.fixture
def log(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=log, stdout=sys.stdout))
    return log


@pytest.fixture(params=["terminal", "log"])
def screen(request):
    return request.getfixturevalue(request.param)


def seen(screen: io.StringIO) -> str:
    return _CONTROL.sub("\n", _COLOUR.sub("", screen.getvalue()))


def play(shown, clock: Clock, stage: str, total: int, seconds: float, first: int = 0):
    for done in range(first, total + 1):
        shown.show(Progress(stage, done, total))
        clock.now += seconds


def test_a_terminal_has_a_bar_a_log_a_few_lines(screen, clock):
    with display() as shown:
        assert isinstance(shown, BarDisplay if screen.isatty() else LineDisplay)
        play(shown, clock, "training", 1000, 1.0)
    text = seen(screen)
    if screen.isatty():
        assert re.search(r"training ━+.* 500 of 1000 +50% +about 8 min left", text)
        assert re.search(r"training ━+ 1000 of 1000 100%", text)
        # Renewed in place: of 1000 events one line is left.
        assert screen.getvalue().count("\n") <= 2
    else:
        assert 20 < text.count("\n") < 101
        assert text.rstrip().endswith("training: 1000 of 1000 (100%)")
        assert "\x1b" not in screen.getvalue()


def test_a_stage_that_ended_is_shown_as_complete(terminal, clock):
    with display() as shown:
        for done in range(8):
            shown.show(Progress("looking", done, 8))
        for total in (1, 8):  # the same stage, with more to do
            shown.show(Progress("reading", 0, total))
        shown.show(Progress("adapting", 0, 3))
    last = seen(terminal).splitlines()[-4:]
    assert re.search(r"looking +━+ 8 of 8 100%", "\n".join(last))
    assert re.search(r"reading +━+ 8 of 8 100%", "\n".join(last))
    assert re.search(r"adapting +━+ 3 of 3 100%", "\n".join(last))


def test_a_stage_that_failed_is_not(terminal, clock):
    def job():
        yield Progress("adapting", 1, 3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_job(job())
    assert "3 of 3" not in seen(terminal)


def test_a_dumb_terminal_has_lines(terminal, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(display(), LineDisplay)


def test_what_takes_a_moment_is_not_worth_a_line_of_a_log(log, clock):
    with display() as shown:
        play(shown, clock, "saving", 6, 0.5)
    assert log.getvalue() == ""


def test_a_resumed_run_is_not_thought_faster_than_it_is(screen, clock):
    with display() as shown:
        for done in range(900, 951):
            shown.show(Progress("training", done, 1000), "loss 0.5")
            clock.now += 10.0
    assert re.search(r"about [89] min left, loss 0.5", seen(screen))


def test_the_time_left_is_that_of_all_images(log, clock):
    with display("images") as shown:
        for image in range(4):
            shown.show(Progress("images", image, 4))
            for stage in ("initial map", "disir"):
                play(shown, clock, stage, 3, 5.0)
        shown.show(Progress("images", 4, 4))
    text = log.getvalue()
    # Two images of 40 s are done; the third began 10 s ago.
    assert "[3 of 4] initial map: 2 of 3 (67%), about 70 s left" in text
    assert "[3 of 4] disir: 2 of 3 (67%), about 50 s left" in text
    assert text.rstrip().endswith("images: 4 of 4 (100%)")


def test_the_images_have_a_bar_of_their_own(terminal, clock):
    with display("images") as shown:
        for image in range(4):
            shown.show(Progress("images", image, 4))
            for stage in ("initial map", "disir"):
                play(shown, clock, stage, 3, 5.0)
        shown.show(Progress("images", 4, 4))
    text = seen(terminal)
    assert re.search(r"images +[━╸╺]+ +2 of 4 +50% +about 70 s left", text)
    assert re.search(r"disir +[━╸╺]+ +2 of 3 +67%", text)
    # Only the images are left at the end.
    last = [line for line in text.splitlines() if line.strip()][-1]
    assert re.search(r"images ━+ 4 of 4 100%", last)


def test_notes_and_results_do_not_run_into_the_bar(terminal, clock):
    with display() as shown:
        shown.show(Progress("saving", 1, 3))
        note("a note")
        shown.show(Note("of the job"))
        say("map.tif")
        play(shown, clock, "saving", 3, 1.0)
    for line in ("a note", "of the job", "map.tif"):
        assert seen(terminal).splitlines().count(line) == 1


def test_results_go_to_standard_output_whatever_is_shown(terminal, monkeypatch):
    results = io.StringIO()
    monkeypatch.setattr(console.sys, "stdout", results)
    with display() as shown:
        shown.show(Progress("saving", 1, 3))
        say("map.tif")
    assert results.getvalue() == "map.tif\n"
    assert "map.tif" not in terminal.getvalue()


def test_the_cursor_comes_back_after_an_interrupt(terminal):
    def job():
        yield Progress("training", 1, 3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job())
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    assert terminal.getvalue().rindex(shown) > terminal.getvalue().rindex(hidden)
    note("after it")
    assert seen(terminal).splitlines()[-1] == "after it"


def test_a_job_gives_its_result_and_its_events(log):
    def job():
        yield Progress("a", 1, 1)
        return 3

    events = []
    assert run_job(job(), events.append) == 3
    assert events == [Progress("a", 1, 1)]


def test_a_bar_does_not_wrap(terminal, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    with display() as shown:
        play(shown, clock, "a stage with a very long name", 2, 1.0)
    assert max(map(len, seen(terminal).splitlines())) <= 40


ROWS = [["recipe", "before", "gain"], ["disir", "52.8", "+9.5 ± 1.2"], ["default", "52.8", "+9.9"]]


def test_a_table_fits_the_terminal(terminal):
    say_table(ROWS, "plain")
    lines = [line.split() for line in seen(terminal).splitlines() if line.strip()]
    assert ["recipe", "before", "gain"] in lines
    assert ["disir", "52.8", "+9.5", "±", "1.2"] in lines
    assert "plain" not in terminal.getvalue()


def test_a_table_that_is_too_wide_stands_on_its_side(terminal):
    names = [f"measure {i}" for i in range(14)]
    say_table([["recipe", *names], ["disir", *map(str, range(14))]], "plain")
    lines = [line.split() for line in seen(terminal).splitlines() if line.strip()]
    assert ["recipe", "disir"] in lines
    assert ["measure", "13", "13"] in lines
    assert max(map(len, seen(terminal).splitlines())) <= 100


def test_a_table_in_a_file_is_plain_text(capsys):
    say_table(ROWS, "as it was")
    assert capsys.readouterr().out == "as it was\n"
