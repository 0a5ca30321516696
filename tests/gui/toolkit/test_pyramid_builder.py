"""Large images without overviews get their coarse levels while they are on screen."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from builders import write_image
from napari_disca.gui.tasks.opening.layer_data import layer_data
from napari_disca.gui.toolkit.pyramid_builder import _AT_WORK


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file that counts as large, without overviews."""
    monkeypatch.setattr("napari_disca.raster.pyramid._SMALL", 1)
    return write_image(tmp_path / "large.tif", np.full((4200, 4200), 7, np.uint8), tiled=True)


def test_the_coarse_levels_appear(large, make_napari_viewer, qtbot):
    viewer = make_napari_viewer()
    data, keywords, _ = layer_data(large)
    pyramid = keywords["metadata"]["napari_disca"]["pyramid"]
    layer = viewer.add_image(data, **keywords)
    drawn = []
    layer.events.set_data.connect(drawn.append)
    qtbot.waitUntil(lambda: not _AT_WORK, timeout=20_000)
    assert pyramid.complete
    assert drawn, "the layer is shown anew"
    assert (np.asarray(layer.data[-1]) == 7).all()


def test_a_damaged_file_is_told(large, make_napari_viewer, qtbot, monkeypatch):
    from napari_disca.core.errors import RasterError
    from napari_disca.raster.pyramid import ImagePyramid

    def broken(self):
        raise RasterError("tile 3 is damaged")
        yield

    said = []
    monkeypatch.setattr(ImagePyramid, "build", broken)
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    viewer = make_napari_viewer()
    data, keywords, _ = layer_data(large)
    viewer.add_image(data, **keywords)
    qtbot.waitUntil(lambda: not _AT_WORK, timeout=20_000)
    assert said == ["large.tif cannot be shown as a whole: tile 3 is damaged"]


def _at_work():
    return [t for t in threading.enumerate() if t.name.startswith("napari-disca-job")]


@pytest.mark.parametrize("how", ["remove", "close", "cross"])
def test_without_the_layer_or_the_window_the_work_ends(
    how, large, make_napari_viewer, qtbot, monkeypatch
):
    from napari_disca.core.events import Progress
    from napari_disca.raster.pyramid import ImagePyramid

    def endless(self):
        while True:
            time.sleep(0.01)
            yield Progress("preparing the image", 0, 1)

    monkeypatch.setattr(ImagePyramid, "build", endless)
    viewer = make_napari_viewer()
    data, keywords, _ = layer_data(large)
    layer = viewer.add_image(data, **keywords)
    qtbot.wait(100)
    assert _AT_WORK
    make_napari_viewer()  # another window in front is no reason
    qtbot.wait(100)
    assert _AT_WORK
    if how == "remove":
        viewer.layers.remove(layer)
    elif how == "close":
        viewer.close()
    else:
        viewer.window._qt_window.close()
        del viewer.window._qt_window  # so that the fixture does not close it again
    qtbot.waitUntil(lambda: not _AT_WORK, timeout=20_000)
    qtbot.waitUntil(lambda: not _at_work(), timeout=20_000)
