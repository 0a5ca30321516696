"""`info`: what is installed, and what is wrong with it."""

from __future__ import annotations

import pytest

from napari_disca.cli import doctor


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


@pytest.mark.parametrize(
    ("python", "pyside", "reported"),
    [
        ((3, 11), "6.12.0", True),
        ((3, 11), "6.12.1.2", True),
        ((3, 12), "6.12.0", False),
        ((3, 11), "6.10.3", False),
        ((3, 11), None, False),
    ],
)
def test_a_pyside_that_ends_python_is_a_problem(monkeypatch, python, pyside, reported):
    versions = {"napari-disca": "1", "napari": "0.9", "PySide6": pyside}
    monkeypatch.setattr(doctor, "_version", versions.get)
    monkeypatch.setattr(doctor.sys, "version_info", python)
    problems: list[str] = []
    doctor._packages(problems)
    assert any("PySide6 6.12" in line and "Python 3.12" in line for line in problems) is reported
