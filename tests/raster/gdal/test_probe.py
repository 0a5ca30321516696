from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from builders import PLACE, write_image
from napari_disca.core.errors import RasterError
from napari_disca.raster import open_raster
from napari_disca.raster.gdal import probe
from napari_disca.raster.opening import open_here

# What happens to the other process depends on the file's name.
TROUBLE = """
import os, time
from pathlib import Path
import napari_disca.raster.opening as opening
import napari_disca.raster.gdal.probe_process as probing
probing.HANG = 2.0
real = opening.open_here
def trouble(path):
    if "abort" in path.name:
        os.abort()
    if "segfault" in path.name:
        import ctypes
        ctypes.string_at(0)
    if "hang" in path.name:
        time.sleep(1000)
    if "memory" in path.name:
        bytearray(1 << 46)
    if "once" in path.name and not path.with_suffix(".died").exists():
        path.with_suffix(".died").touch()
        os._exit(1)
    return real(path)
opening.open_here = trouble
probing.main()
"""


@pytest.fixture
def trouble(monkeypatch):
    """A probe of its own that runs into trouble."""
    code = probe._CODE.replace(
        "from napari_disca.raster.gdal.probe_process import main; main()", f"exec({TROUBLE!r})"
    )
    monkeypatch.setattr(probe, "_CODE", code)
    monkeypatch.setattr(probe, "HANG", 2.0)
    monkeypatch.setattr(probe, "_PROBE", probe._Probe())
    yield
    probe.end()


@pytest.fixture
def own(monkeypatch):
    """A probe of its own."""
    monkeypatch.setattr(probe, "_PROBE", probe._Probe())
    yield probe._PROBE
    probe.end()


def image(path, side=64):
    pixels = np.arange(3 * side * side, dtype=np.uint32).reshape(3, side, side) % 251
    return write_image(path, pixels.astype(np.uint8), **PLACE)


@pytest.mark.parametrize("kind", ["abort", "segfault", "hang"])
def test_a_file_that_kills_is_refused_in_one_line_and_the_next_one_opens(kind, trouble, tmp_path):
    bad, good = image(tmp_path / f"{kind}.tif"), image(tmp_path / "good.tif")
    with pytest.raises(RasterError, match=rf"{kind}\.tif is unreadable") as caught:
        open_raster(bad)
    assert len(str(caught.value).splitlines()) == 1
    with open_raster(good) as raster:
        assert raster.shape == (64, 64)


def test_too_much_memory_is_refused(trouble, tmp_path):
    with pytest.raises(RasterError, match="needs more memory than an image may"):
        open_raster(image(tmp_path / "memory.tif"))


def test_an_accident_that_does_not_repeat_is_forgiven(trouble, tmp_path):
    with open_raster(image(tmp_path / "once.tif")) as raster:
        assert raster.count == 3
    assert (tmp_path / "once.died").exists()


def test_a_file_that_passed_is_not_asked_about_until_it_changes(own, tmp_path, monkeypatch):
    asked = []
    real = probe._Process.ask
    monkeypatch.setattr(probe._Process, "ask", lambda s, p: asked.append(p.name) or real(s, p))
    path = image(tmp_path / "a.tif")
    for _ in range(3):
        open_raster(path).close()
    assert asked == ["a.tif"]
    image(path, side=80)
    open_raster(path).close()
    assert asked == ["a.tif", "a.tif"]


def test_what_is_wrong_reads_as_if_opened_here(own, tmp_path):
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(RasterError) as elsewhere:
        open_raster(tmp_path / "text.tif")
    with pytest.raises(RasterError) as here:
        open_here(tmp_path / "text.tif")
    assert str(elsewhere.value) == str(here.value)


def test_one_bad_tile_does_not_close_the_others(own, tmp_path):
    path = write_image(
        tmp_path / "tiles.tif",
        np.random.default_rng(0).integers(0, 255, (512, 512), dtype=np.uint8),
        **(PLACE | {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate"}),
    )
    data = bytearray(path.read_bytes())
    data[-5000:-4000] = bytes(1000)
    path.write_bytes(data)
    from napari_disca.core.tiling import Window

    with open_raster(path) as raster:
        raster.read(Window(0, 0, 256, 256))
        with pytest.raises(RasterError, match="damaged"):
            raster.read(Window(0, 0, 512, 512))


@pytest.mark.parametrize("name", ["no\nnewline.tif", "ünï ☃ code.tif", "a!b?c#d%e.tif"])
def test_names_travel(name, own, tmp_path):
    if os.name == "nt":
        pytest.skip("Windows has no such names")
    with open_raster(image(tmp_path / name)) as raster:
        assert raster.name == name


def test_names_that_are_no_unicode_travel(own, tmp_path):
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux takes any bytes for a name")
    image(tmp_path / "a.tif").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tif"))
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tif"))
    probe.examine(path)
    # GDAL cannot open it; another reader could, and would not see where on the earth it lies.
    with pytest.raises(RasterError, match=r"not Unicode.*rename it"):
        open_raster(path)


def test_nothing_is_left_running_whatever_ends_the_program(tmp_path):
    path = image(tmp_path / "a.tif")
    script = (
        "import os, sys\nfrom napari_disca.raster import open_raster\n"
        "from napari_disca.raster.gdal import probe\n"
        f"open_raster({str(path)!r})\n"
        "print(probe._PROBE._process._process.pid, flush=True)\n"
        "os.kill(os.getpid(), 9) if sys.argv[1] == 'killed' else None"
    )
    if os.name != "posix":
        pytest.skip("looks at processes as POSIX shows them")
    for how in ("ended", "killed"):
        result = subprocess.run(
            [sys.executable, "-c", script, how], capture_output=True, text=True, check=False
        )
        pid = int(result.stdout)
        until = time.monotonic() + 10
        while time.monotonic() < until and _runs(pid):
            time.sleep(0.05)
        assert not _runs(pid), how


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:  # one that ended and that nobody has asked about
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return True


def test_without_an_interpreter_files_are_opened_all_the_same(own, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with open_raster(image(tmp_path / "a.tif")) as raster:
        assert raster.count == 3
    assert "without being examined first" in caplog.text


def test_what_lies_in_the_working_folder_is_not_imported(own, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("open('imported', 'w')")
    (tmp_path / "rasterio.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    with open_raster(image(tmp_path / "a.tif")):
        assert not (tmp_path / "imported").exists()


def test_windows_cover_a_small_image_and_spread_over_a_large_one():
    from napari_disca.raster.gdal.probe_process import _windows

    covered = np.zeros((700, 900), bool)
    for window in _windows(covered.shape):
        covered[window.slices] = True
    assert covered.all()
    tall = list(_windows((1 << 30, 1)))
    assert all(w.top >= 0 and w.bottom <= 1 << 30 and w.width == 1 for w in tall)
    assert len(tall) > 1000


def test_a_look_can_be_given_up(trouble, tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "HANG", 300.0)
    path, errors = image(tmp_path / "hang.tif"), []

    def look():
        try:
            probe.examine(path)
        except RasterError as error:
            errors.append(str(error))

    thread = threading.Thread(target=look)
    thread.start()
    while thread.is_alive():
        probe.stop_examining(path)
        thread.join(0.05)
    assert errors == [f"{path} was not opened: that was cancelled"]
    probe.examine(image(tmp_path / "good.tif"))
