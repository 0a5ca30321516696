"""The panel's part about the image: which network, and how the image is read."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_disca.core.events import finish
from napari_disca.core.tiling import Window
from napari_disca.gui.plugin.reader import get_reader
from napari_disca.scenes import Scene, write_scene


def add(viewer, path):
    ((data, keywords, _),) = get_reader(str(path))(str(path))
    return viewer.add_image(data, **keywords)


@pytest.fixture
def fresh(make_napari_viewer, qtbot):
    """A panel in which nobody has chosen a network."""
    from napari_disca.gui.window.widget import DiscaWidget

    viewer = make_napari_viewer()
    widget = DiscaWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Correct a map")
    yield widget
    widget.control.close()
    qtbot.waitUntil(lambda: not widget.control.busy, timeout=30_000)


def drone_image(folder):
    path = folder / "drone.tif"
    finish(write_scene(Scene((80, 90), seed=2, ground_resolution=0.13), path))
    return path


def test_a_drone_image_gets_the_network_for_its_pixels(fresh, tmp_path, scene):
    panel = fresh.image_panel
    assert panel.weights() == "landcover-5"
    assert panel.proposal.isHidden()
    add(fresh.viewer, drone_image(tmp_path))
    assert panel.weights() == "buildings"
    assert panel.proposal.text() == (
        "buildings is for 0.15 m; this image has 0.13 m; landcover-5 is for 1 m"
    )
    assert not panel.proposal.isHidden()
    assert fresh.choice.card.name == "buildings"
    panel.images.setCurrentIndex(panel.images.findText("drone"))
    add(fresh.viewer, scene)
    panel.images.setCurrentIndex(panel.images.findText("scene"))
    assert panel.weights() == "landcover-5"
    assert "this image has 1 m" in panel.proposal.text()


def test_an_image_without_a_resolution_keeps_the_usual_network(fresh):
    fresh.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="plain")
    assert fresh.image_panel.weights() == "landcover-5"
    assert "not known" in fresh.image_panel.proposal.text()


def test_a_network_chosen_by_hand_stays(fresh, tmp_path):
    panel = fresh.image_panel
    panel.networks.setCurrentIndex(panel.networks.findText("landcover-5"))
    panel.networks.activated.emit(panel.networks.currentIndex())
    add(fresh.viewer, drone_image(tmp_path))
    assert panel.weights() == "landcover-5"
    assert panel.proposal.text().startswith("buildings may fit better than the chosen network")


def test_the_tooltip_tells_what_info_prints(fresh, scene):
    from napari_disca.raster import open_raster
    from napari_disca.raster.report import reading_lines

    add(fresh.viewer, scene)
    with open_raster(scene) as raster:
        lines = reading_lines(raster)
    about = fresh.image_panel.about
    assert about.accessibleDescription() == "\n".join(lines)
    assert about.toolTip().split("<br>")[0] == lines[0]
    fresh.viewer.layers.clear()
    assert about.toolTip() == ""


def test_the_tooltip_tells_what_was_chosen(fresh, scene):
    add(fresh.viewer, scene)
    panel = fresh.image_panel
    lines = panel.about.accessibleDescription().splitlines()
    assert "read: bands 1, 2, 3 as red, green, blue" in lines
    box = panel.bands.boxes[0]
    box.setCurrentIndex(box.findData(3))
    box.activated.emit(box.currentIndex())
    how = panel.values.how
    how.setCurrentIndex(how.findText("2nd to 98th percentile"))
    how.activated.emit(how.currentIndex())
    lines = panel.about.accessibleDescription().splitlines()
    assert "read: bands 3, 2, 3 as red, green, blue" in lines
    assert any(line.startswith("scaling: stretched from the 2nd to") for line in lines)


def test_the_tooltip_is_made_off_the_windows_thread(fresh, scene, monkeypatch):
    from napari_disca.raster import report

    threads = []

    def noted(raster, chosen=None):
        threads.append(threading.current_thread())
        return ["size: <b>"]

    monkeypatch.setattr(report, "reading_lines", noted)
    add(fresh.viewer, scene)
    assert threads
    assert threading.main_thread() not in threads
    assert fresh.image_panel.about.toolTip() == "size: &lt;b&gt;"


PLANES = np.random.default_rng(0).integers(20, 250, (4, 60, 80), dtype=np.uint8)


def test_together(panel, qtbot):
    image = panel.image_panel
    panel.viewer.add_image(PLANES[0], name="red")
    assert image.together.isHidden(), "one layer is no stack"
    for plane, name in zip(PLANES[1:3], ("green", "blue"), strict=True):
        panel.viewer.add_image(plane, name=name)
    assert not image.together.isHidden()
    assert image.together.text() == "Read the 3 one-band layers as one image"
    assert image.about.text().startswith("bands 1, 1, 1;"), "nothing is joined unasked"
    qtbot.keyClick(image.together, Qt.Key.Key_Space)
    assert image.bands.line.text() == "red 3, green 2, blue 1"
    assert "its bands are the images blue, green, red" in image.about.text()
    assert image.bands.boxes[0].currentText() == "3: red"
    panel.segment()
    qtbot.wait(1)
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    raster = panel.opening.session().raster
    np.testing.assert_array_equal(raster.read(Window.whole((60, 80)), (3, 2, 1)), PLANES[:3])
    qtbot.keyClick(image.together, Qt.Key.Key_Space)
    assert image.about.text().startswith("bands 1, 1, 1;")
    assert panel.opening.session() is None, "the map that is there is of the three"


def test_a_layer_on_another_grid_is_refused_by_name(panel, qtbot):
    image = panel.image_panel
    panel.viewer.add_image(PLANES[0], name="blue")
    panel.viewer.add_image(PLANES[1], name="green", translate=(0, 9))
    qtbot.keyClick(image.together, Qt.Key.Key_Space)
    assert image.about.text().startswith("'green' is shown elsewhere than 'blue'")
    assert panel.choice.chosen is None
    panel.viewer.layers.remove("green")
    assert panel.choice.chosen is not None
