from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_disca.core.tiling import Window
from napari_disca.storage.label_pyramid import NO_DATA, LabelPyramid


@settings(max_examples=30, deadline=None)
@given(data=st.data(), height=st.integers(1, 2500), width=st.integers(1, 1300))
def test_every_level_is_every_second_pixel_of_the_one_before(data, height, width):
    canvas = LabelPyramid((height, width))
    rng = np.random.default_rng(0)
    for _ in range(4):
        top = data.draw(st.integers(0, height - 1))
        left = data.draw(st.integers(0, width - 1))
        window = Window(
            top,
            left,
            data.draw(st.integers(1, height - top)),
            data.draw(st.integers(1, width - left)),
        )
        canvas.paint(window, rng.integers(0, 6, window.shape).astype(np.uint8))
    for fine, coarse in zip(canvas.levels[:-1], canvas.levels[1:], strict=True):
        np.testing.assert_array_equal(fine[::2, ::2], coarse)


def test_reads_back_what_was_painted_and_no_data_elsewhere():
    canvas = LabelPyramid((40, 30))
    labels = np.array([[0, 1], [NO_DATA, 4]], dtype=np.uint8)
    canvas.paint(Window(5, 6, 2, 2), labels)
    np.testing.assert_array_equal(canvas.read(Window(5, 6, 2, 2)), labels)
    rest = canvas.read(Window(0, 0, 40, 30))
    rest[5:7, 6:8] = NO_DATA
    assert (rest == NO_DATA).all()


@settings(max_examples=30, deadline=None)
@given(data=st.data(), in_memory=st.sampled_from([1, 1 << 20]))
def test_a_snapshot_stays_what_the_map_was(data, in_memory):
    shape = 700, 60
    canvas = LabelPyramid(shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))

    def paint():
        top, left = data.draw(st.integers(0, 699)), data.draw(st.integers(0, 59))
        height, width = data.draw(st.integers(1, 700)), data.draw(st.integers(1, 60))
        window = Window(top, left, height, width) & Window.whole(shape)
        canvas.paint(window, rng.integers(0, 6, window.shape).astype(np.uint8))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_disca.storage.label_pyramid._IN_SNAPSHOT", in_memory)
        snapshots = []
        for _ in range(3):
            paint()
            snapshots.append((canvas.snapshot(), canvas.read(Window.whole(shape))))
            paint()
        for snapshot, expected in snapshots:
            for window in (Window.whole(shape), Window(500, 10, 40, 30), Window(699, 59, 1, 1)):
                np.testing.assert_array_equal(snapshot.read(window), expected[window.slices])


def test_a_snapshot_that_nobody_holds_costs_nothing():
    canvas = LabelPyramid((100, 100))
    canvas.snapshot()
    gc.collect()
    assert not list(canvas._snapshots)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no blocks of sparse files")
def test_a_large_map_is_a_sparse_file_that_goes_with_the_canvas():
    canvas = LabelPyramid((20_000, 20_000))
    folder = canvas.folder
    assert folder is not None
    canvas.paint(Window(19_000, 19_000, 512, 512), np.ones((512, 512), np.uint8))
    blocks = sum(file.stat().st_blocks * 512 for file in folder.iterdir())
    assert blocks < 20e6, "an unpainted map should take no room on disk"
    assert isinstance(canvas.levels[-1], np.ndarray)
    assert not isinstance(canvas.levels[-1], np.memmap), "napari copies a coarsest memmap"
    assert max(canvas.levels[-1].shape) <= 1024
    del canvas
    gc.collect()
    assert not Path(folder).exists()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_thin_maps(shape):
    canvas = LabelPyramid(shape)
    canvas.paint(Window.whole(shape), np.full(shape, 2, np.uint8))
    assert (canvas.read(Window.whole(shape)) == 2).all()
    assert all((level == 3).all() for level in canvas.levels)


def test_giving_pages_back_loses_nothing():
    canvas = LabelPyramid((5000, 5000))
    rng = np.random.default_rng(0)
    painted = {}
    for row in range(0, 5000, 1000):
        window = Window(row, 700, 900, 512)
        painted[window] = rng.integers(0, 5, window.shape).astype(np.uint8)
        canvas.paint(window, painted[window])
        canvas.release_memory()
    for window, labels in painted.items():
        np.testing.assert_array_equal(canvas.read(window), labels)
    for fine, coarse in zip(canvas.levels[:-1], canvas.levels[1:], strict=True):
        np.testing.assert_array_equal(fine[::2, ::2], coarse)


linux = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")


def resident():
    """Bytes of memory that count as this process's."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@linux
def test_a_map_that_is_painted_takes_no_memory():
    canvas = LabelPyramid((12_000, 12_000))
    labels = np.ones((1000, 1000), np.uint8)
    before = resident()
    most = 0
    for row in range(0, 12_000, 1000):
        for col in range(0, 12_000, 1000):
            canvas.paint(Window(row, col, 1000, 1000), labels)
            most = max(most, resident() - before)
    assert most < 130e6, "144 MB were painted at full size, 192 MB in all"


@linux
def test_tiles_here_and_there_in_a_wide_map_take_no_memory():
    """Of every row a page, and what lies around it: far more than the pixels of the tiles."""
    canvas = LabelPyramid((8_000, 40_000))
    whole = np.ones((500, 40_000), np.uint8)
    for row in range(0, 8_000, 500):
        canvas.paint(Window(row, 0, 500, 40_000), whole)
    canvas.release_memory()
    before = resident()
    most = 0
    for k in range(64):
        row, col = 500 * (k % 16), 600 * k
        canvas.paint(Window(row, col, 384, 384), canvas.read(Window(row, col, 384, 384)))
        most = max(most, resident() - before)
    assert most < 64e6, "19 MB were read and painted, on rows that lie far apart"


@pytest.mark.parametrize("shape", [(700, 900), (3000, 2500)])
def test_a_folder_keeps_a_map(tmp_path, shape):
    canvas = LabelPyramid(shape, tmp_path / "map")
    window = Window(100, 200, 500, 333)
    labels = np.random.default_rng(0).integers(0, 5, window.shape).astype(np.uint8)
    canvas.paint(window, labels)
    levels = [np.array(level) for level in canvas.levels]
    del canvas
    gc.collect()
    again = LabelPyramid(shape, tmp_path / "map")
    np.testing.assert_array_equal(again.read(window), labels)
    for before, after in zip(levels, again.levels, strict=True):
        np.testing.assert_array_equal(before, after)
    other = LabelPyramid((shape[1] + 1, shape[0]), tmp_path / "map")
    assert not any(level.any() for level in other.levels), "of another shape it is another map"


def test_what_a_killed_program_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    left = tmp_path / "maps" / "napari-disca-map-999999999-abc"
    left.mkdir(parents=True)
    mine = LabelPyramid((3000, 3000))
    assert mine.folder is not None
    assert mine.folder.parent == tmp_path / "maps"
    assert not left.exists()
    LabelPyramid((3000, 3000))
    assert mine.folder.exists(), "of a program that runs it stays"


def test_a_process_that_ends_leaves_no_temporary_folders(tmp_path):
    code = """
import numpy as np
from napari_disca.storage.label_pyramid import LabelPyramid
from napari_disca.core.tiling import Window
canvas = LabelPyramid((5000, 5000))
canvas.paint(Window(0, 0, 10, 10), np.ones((10, 10), np.uint8))
print(canvas.folder.exists())
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout == "True\n"
    assert not list(tmp_path.rglob("napari-disca-*"))
