"""`info`, and progress on standard error."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace

import pytest

from napari_disca.cli import console, doctor
from napari_disca.cli.console import Console, duration, note
from napari_disca.core.events import Progress


@pytest.fixture
def no_screen(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_screen")
def test_info_tells_versions_device_threads_drivers_and_opengl(run):
    result = run("info")
    assert (result.code, result.err) == (0, "")
    for word in ("Python", "torch", "GDAL", "GTiff", "PROJ", "device: ", "CPU threads", "Qt: "):
        assert word in result.out
    assert "OpenGL: not available (no display)" in result.out
    last = result.out.splitlines()[-1]
    assert last == "no problems found" or last.startswith("problem: ")


@pytest.mark.usefixtures("no_screen")
def test_problems_come_with_a_remedy_and_on_request_with_a_code(run, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert run("info").code == 0
    result = run("info", "--check")
    assert result.code == 1
    assert "problem: OMP_WAIT_POLICY=ACTIVE" in result.out
    assert "set it to PASSIVE" in result.out


@pytest.mark.usefixtures("no_screen")
def test_a_broken_part_is_a_problem_not_a_traceback(monkeypatch):
    import rasterio

    def broken(*_: object, **__: object) -> None:
        raise OSError("libgdal.so is damaged")

    monkeypatch.setattr(rasterio, "Env", broken)
    lines, problems = doctor.report()
    assert "GDAL: broken" in lines
    assert any("libgdal.so is damaged" in line for line in problems)


def test_an_opengl_that_crashes_is_a_problem(monkeypatch):
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setattr(doctor, "_OPENGL", "import os; os.abort()")
    problems: list[str] = []
    assert doctor._opengl(problems) == ["OpenGL: not available"]
    assert "graphics driver" in problems[0]


def test_missing_packages_and_several_qts(monkeypatch):
    versions = {"napari-disca": "1", "PyQt6": "6", "PySide6": "6"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    problems: list[str] = []
    lines = doctor._packages(problems)
    assert "napari not installed" in lines
    assert any('pip install "napari-disca[all]"' in line for line in problems)
    assert any("several Qt bindings" in line for line in problems)


# -------------------------------------------------------------------- progress


class Screen(io.StringIO):
    def __init__(self, live: bool) -> None:
        super().__init__()
        self._live = live

    def isatty(self) -> bool:
        return self._live


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


@pytest.fixture(params=[True, False], ids=["terminal", "log"])
def screen(request, monkeypatch):
    screen = Screen(request.param)
    # pytest puts its own `sys.stderr` in place for every phase of a test.
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=screen))
    monkeypatch.setattr(Console, "_width", 0)
    return screen


def play(show: Console, clock: Clock, stage: str, total: int, seconds: float, first: int = 0):
    for done in range(first, total + 1):
        show(Progress(stage, done, total))
        clock.now += seconds


def test_a_terminal_has_one_line_a_log_a_few(screen, clock):
    play(Console(), clock, "training", 1000, 1.0)
    text = screen.getvalue()
    if screen.isatty():
        assert text.count("\n") == 1
        assert text.count("\r") == 1001
    else:
        assert 20 < text.count("\n") < 101
    assert "training: 500 of 1000 (50%), about 8 min left" in text or not screen.isatty()
    assert text.rstrip().endswith("training: 1000 of 1000 (100%)")


def test_what_takes_a_moment_is_not_worth_a_line_of_a_log(screen, clock):
    play(Console(), clock, "saving", 6, 0.5)
    assert (screen.getvalue() == "") is not screen.isatty()


def test_a_resumed_run_is_not_thought_faster_than_it_is(screen, clock):
    show = Console()
    for done in range(900, 951):
        show(Progress("training", done, 1000), "loss 0.5")
        clock.now += 10.0
    last = screen.getvalue().replace("\r", "\n").strip().splitlines()[-1].strip()
    assert last.startswith("training: 9")
    assert last.endswith("loss 0.5")
    assert "about 8 min left" in last or "about 9 min left" in last


def test_the_time_left_is_that_of_all_images(screen, clock):
    show = Console(outer="images")
    for image in range(4):
        show(Progress("images", image, 4))
        for stage in ("initial map", "disir"):
            play(show, clock, stage, 3, 5.0)
    show(Progress("images", 4, 4))
    text = screen.getvalue()
    # Two images of 40 s are done; the third began 10 s ago.
    assert "[3 of 4] initial map: 2 of 3 (67%), about 70 s left" in text
    assert "[3 of 4] disir: 2 of 3 (67%), about 50 s left" in text
    assert text.rstrip().endswith("images: 4 of 4 (100%)")
    if screen.isatty():
        assert text.count("\n") == 1


def test_other_lines_do_not_run_into_the_renewed_one(screen, clock):
    show = Console()
    show(Progress("saving", 1, 3))
    note("a note")
    assert "a note" in screen.getvalue().splitlines()
    play(show, clock, "saving", 3, 1.0)
    assert screen.getvalue().splitlines().count("a note") == 1


def test_a_line_does_not_wrap(monkeypatch, clock):
    screen = Screen(True)
    # pytest puts its own `sys.stderr` in place for every phase of a test.
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=screen))
    monkeypatch.setattr(Console, "_width", 0)
    monkeypatch.setenv("COLUMNS", "20")
    Console()(Progress("a stage with a very long name", 1, 2))
    assert len(screen.getvalue().strip("\r\n")) < 20


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
