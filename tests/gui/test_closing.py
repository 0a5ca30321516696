"""What a closed window lets go of."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from qtpy.QtCore import QThreadPool

from napari_disca.raster.gdal import probe
from windows import click, press

# -------------------------------------------------------------------- letting go


@pytest.fixture
def large_maps(monkeypatch):
    """Maps are files, as those of large images are."""
    monkeypatch.setattr("napari_disca.storage.label_pyramid._IN_MEMORY", 1000)
    monkeypatch.setattr("napari_disca.storage.label_pyramid._COARSEST", 30)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's list of open files")
@pytest.mark.parametrize("how", ["close", "cross"])
def test_a_closed_window_leaves_no_threads_processes_files_or_folders(
    large_maps, opened, qtbot, monkeypatch, how
):
    monkeypatch.setattr("napari_disca.gui.tasks.control.end_probe", probe.end)
    click(opened, 40, 50, 1)
    assert _threads()
    assert probe._PROBE._process.alive
    temporary = Path(os.environ["XDG_CACHE_HOME"], "napari-disca", "maps")
    assert list(temporary.iterdir())
    press(opened, "adapt")
    opened.panel.refine_panel.buttons["adapt"].click()
    folder = opened.scene.parent
    if how == "close":
        opened.viewer.close()
    else:
        opened.viewer.window._qt_window.close()
        del opened.viewer.window._qt_window  # so that the fixture does not close it again
        qtbot.wait(1)
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=30_000)
    qtbot.waitUntil(lambda: not _threads(), timeout=30_000)
    assert probe._PROBE._process is None
    gc.collect()
    references = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # that of the list itself
            references.append(str(descriptor.readlink()))
    assert not [name for name in references if str(opened.scene) in name]
    assert not list(folder.glob(".*.lock"))
    if how == "close":  # otherwise the viewer, which the fixture has, still has the maps
        assert not [name for name in references if str(temporary) in name]
        assert not list(temporary.iterdir())


def _threads():
    return [t for t in threading.enumerate() if "disca" in t.name.lower()]
