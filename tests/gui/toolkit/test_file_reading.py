"""A file whose examination takes long holds up nobody, and can be given up."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt, QTimer

from builders import make_network
from napari_disca.core.errors import RasterError
from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.exports import write_geotiff
from napari_disca.gui.tasks.opening import file_content
from napari_disca.gui.tasks.opening.file_opening import opening_files
from napari_disca.gui.tasks.opening.image_choice import Stage
from napari_disca.raster import open_raster, opening
from napari_disca.storage.label_pyramid import LabelPyramid


@pytest.fixture
def slow(monkeypatch):
    """Examinations that last until they are let go, and the rasters that were opened."""
    monkeypatch.setattr("napari_disca.gui.toolkit.file_reading.PATIENCE", 0.0)
    real, go, started, stopped = opening.examine, threading.Event(), threading.Event(), []

    def examine(path):
        started.set()
        assert go.wait(60)
        real(path)

    def stop(path):
        stopped.append(path)
        go.set()

    monkeypatch.setattr(opening, "examine", examine)
    for module in ("tasks.opening.file_opening", "tasks.opening.image_choice"):
        monkeypatch.setattr(f"napari_disca.gui.{module}.stop_examining", stop)
    opened = []
    open_here = opening.open_here

    def noted(path, **options):
        opened.append(open_here(path, **options))
        return opened[-1]

    monkeypatch.setattr(opening, "open_here", noted)
    slow = type("Slow", (), {"go": go, "started": started, "stopped": stopped, "opened": opened})
    yield slow
    go.set()


def in_an_event(action):
    """Do something as a click would: in answer to an event."""
    QTimer.singleShot(0, action)


def drop(panel, path, qtbot):
    """Open a file as the window does, and see it being examined."""
    in_an_event(lambda: panel.viewer.open(str(path), plugin="napari-disca"))
    qtbot.waitUntil(lambda: panel.control.pending.files() == [path.name], timeout=30_000)


def closed(raster):
    return raster.closed


def test_a_file_that_is_dropped_is_examined_while_the_window_is_used(panel, scene, slow, qtbot):
    drop(panel, scene, qtbot)
    assert not panel.viewer.layers
    assert panel.presenter.status() == "Examining scene.tif; Cancel stops it"
    assert panel.refine_panel.status.text() == "Examining scene.tif; Cancel stops it"
    assert panel.refine_panel.buttons["cancel"].isEnabled()
    # What is typed and clicked arrives.
    panel.refine_panel.advanced.setChecked(False)
    qtbot.mouseClick(panel.refine_panel.advanced, Qt.MouseButton.LeftButton)
    assert panel.refine_panel.advanced.isChecked()
    slow.go.set()
    qtbot.waitUntil(lambda: "scene" in panel.viewer.layers, timeout=30_000)
    qtbot.waitUntil(lambda: panel.choice.stage is Stage.READY, timeout=30_000)
    assert panel.control.pending.files() == []


def test_a_file_that_is_given_up_leaves_nothing_open(panel, scene, slow, qtbot):
    drop(panel, scene, qtbot)
    qtbot.mouseClick(panel.refine_panel.buttons["cancel"], Qt.MouseButton.LeftButton)
    assert slow.stopped == [scene]
    assert not panel.control.busy
    qtbot.waitUntil(lambda: bool(slow.opened) and closed(slow.opened[0]), timeout=30_000)
    assert not panel.viewer.layers
    # It can be opened all the same, later.
    panel.viewer.open(str(scene), plugin="napari-disca")
    assert "scene" in panel.viewer.layers


def test_why_a_file_cannot_be_opened_is_told_late(panel, scene, slow, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari_disca.gui.toolkit.error_messages.show_error", said.append)

    def bad(path):
        slow.started.set()
        assert slow.go.wait(60)
        raise RasterError("scene.tif is damaged")

    monkeypatch.setattr(opening, "examine", bad)
    drop(panel, scene, qtbot)
    slow.go.set()
    qtbot.waitUntil(lambda: said == ["scene.tif is damaged"], timeout=30_000)
    assert not panel.control.busy
    assert not panel.viewer.layers


def test_in_a_script_an_opened_file_is_there(panel, scene, slow):
    slow.go.set()
    (layer,) = panel.viewer.open(str(scene), plugin="napari-disca")
    assert layer in panel.viewer.layers


def test_a_window_that_goes_takes_its_files_along(panel, scene, slow, qtbot):
    drop(panel, scene, qtbot)
    panel.shut_down()
    assert slow.stopped == [scene]
    qtbot.waitUntil(lambda: bool(slow.opened) and closed(slow.opened[0]), timeout=30_000)
    assert not opening_files().names(panel.viewer)


@pytest.fixture
def layer(panel, scene):
    """An image layer whose file another reader has opened."""
    data = np.zeros((300, 260, 3), np.uint8)
    return lambda: panel.viewer.add_image(
        data, name="scene", metadata={"napari_disca": {"path": str(scene)}}
    )


def test_the_image_of_a_layer_is_examined_while_the_window_is_used(panel, layer, slow, qtbot):
    layer()
    assert panel.choice.stage is Stage.EXAMINING
    assert panel.control.busy
    assert panel.image_panel.about.text() == "Examining scene…"
    assert panel.refine_panel.status.text() == "Examining scene; Cancel stops it"
    # What needs the session waits for it.
    qtbot.mouseClick(panel.refine_panel.buttons["segment"], Qt.MouseButton.LeftButton)
    assert panel.control.session is None
    slow.go.set()
    qtbot.waitUntil(lambda: panel.control.session is not None, timeout=60_000)
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert panel.choice.stage is Stage.READY
    assert panel.control.session.map_state.up_to_date("disir") == 1.0


def test_the_image_of_a_layer_can_be_given_up(panel, layer, scene, slow, qtbot):
    layer()
    panel.segment()
    qtbot.mouseClick(panel.refine_panel.buttons["cancel"], Qt.MouseButton.LeftButton)
    assert panel.choice.stage is Stage.CANCELLED
    assert slow.stopped == [scene]
    assert not panel.control.busy
    assert "cancelled" in panel.image_panel.about.text()
    qtbot.waitUntil(lambda: bool(slow.opened) and closed(slow.opened[0]), timeout=30_000)
    assert panel.control.chosen is None
    assert panel.control.session is None, "what waited for it is forgotten"
    # What is asked for next begins anew.
    panel.segment()
    qtbot.waitUntil(lambda: panel.control.session is not None, timeout=60_000)
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert panel.choice.stage is Stage.READY


def test_another_image_is_not_kept_waiting(panel, layer, scene, slow, qtbot):
    layer()
    panel.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="plain")
    images = panel.image_panel.images
    images.setCurrentIndex(images.findText("plain"))
    qtbot.waitUntil(lambda: panel.choice.stage is Stage.READY, timeout=30_000)
    assert slow.stopped == [scene]
    assert panel.control.chosen.shape == (64, 64)
    qtbot.waitUntil(lambda: bool(slow.opened) and closed(slow.opened[0]), timeout=30_000)


def test_an_image_that_cannot_be_read_is_told_in_the_panel(panel, layer, slow, qtbot, monkeypatch):
    def bad(path):
        raise RasterError("scene.tif is damaged")

    monkeypatch.setattr(opening, "examine", bad)
    layer()
    qtbot.waitUntil(lambda: panel.choice.stage is Stage.FAILED, timeout=30_000)
    assert panel.image_panel.about.text() == "scene.tif is damaged"
    assert not panel.control.busy


def test_a_saved_map_is_read_while_the_window_is_used(panel, scene, tmp_path, qtbot, monkeypatch):
    """All of its labels are read, which takes long for a large map."""
    with open_raster(scene) as raster:
        labels = LabelPyramid(raster.shape)
        labels.paint(Window.whole(raster.shape), np.ones(raster.shape, np.uint8))
        path = tmp_path / "saved.tif"
        finish(write_geotiff(labels, path, raster=raster, classes=make_network().card.classes))
    read, threads = file_content._label_map, []

    def noted(*arguments):
        threads.append(threading.current_thread())
        return read(*arguments)

    monkeypatch.setattr(file_content, "_label_map", noted)
    in_an_event(lambda: panel.viewer.open(str(path), plugin="napari-disca"))
    qtbot.waitUntil(lambda: "saved" in panel.viewer.layers, timeout=30_000)
    assert len(threads) == 1
    assert threading.main_thread() not in threads
