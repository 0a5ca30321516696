"""Which band of the image each band of the network reads, chosen in the panel."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from qtpy.QtCore import Qt

from builders import PLACE, write_image
from napari_disca.session.journal.journal_format import read_journal
from windows import add, idle


def choose(qtbot, box, band):
    """Choose a band with the keys, as a user does."""
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Home)
    while box.currentData() != band:
        qtbot.keyClick(box, Qt.Key.Key_Down)


@pytest.fixture
def five(tmp_path, scene):
    """The scene as blue, green, red, red edge, near infrared."""
    path = tmp_path / "five.tif"
    with rasterio.open(scene) as file:
        red, green, blue = file.read()
        profile = {**file.profile, "count": 5, "photometric": "minisblack"}
    with rasterio.open(path, "w", **profile) as file:
        file.write(np.stack([blue, green, red, 255 - red, 255 - blue]))
        names = ("B02, 490 nm", "B03, 560 nm", "B04, 665 nm", "B05, 705 nm", "B08, 842 nm")
        for band, name in enumerate(names, start=1):
            file.set_band_description(band, name)
    return path


def test_a_row_for_each_band_of_the_network(panel, five, scene, qtbot):
    layer = add(panel, five)
    bands = panel.image_panel.bands
    assert bands.line.text() == "red 3, green 2, blue 1"
    assert bands.rows.isHidden()
    qtbot.mouseClick(bands.line, Qt.MouseButton.LeftButton)
    assert not bands.rows.isHidden()
    assert [box.currentText() for box in bands.boxes] == [
        "3: red (B04, 665 nm)",
        "2: green (B03, 560 nm)",
        "1: blue (B02, 490 nm)",
    ]
    choose(qtbot, bands.boxes[0], 5)
    assert bands.line.text() == "red 5, green 2, blue 1"
    assert panel.image_panel.about.text().startswith("bands 5, 2, 1;")
    panel.segment()
    idle(qtbot, panel)
    assert panel.control.session.network_view.bands == (5, 2, 1)
    other = add(panel, scene)
    images = panel.image_panel.images
    images.setCurrentIndex(images.findData(other))
    assert bands.line.text() == "red 1, green 2, blue 3"
    images.setCurrentIndex(images.findData(layer))
    assert bands.line.text() == "red 5, green 2, blue 1", "what was chosen for this image"


def test_what_is_chosen_back_is_no_choice(panel, five, qtbot):
    add(panel, five)
    bands = panel.image_panel.bands
    choose(qtbot, bands.boxes[0], 5)
    assert bands.bands() == (5, 2, 1)
    choose(qtbot, bands.boxes[0], 3)
    assert bands.bands() is None


def test_a_stack_of_unknown_planes_asks_for_its_bands(panel, tmp_path, qtbot):
    pixels = np.random.default_rng(0).integers(0, 255, (7, 60, 70), dtype=np.uint8)
    add(panel, write_image(tmp_path / "planes.tif", pixels, **PLACE))
    bands = panel.image_panel.bands
    assert "7 planes" in panel.image_panel.about.text()
    assert panel.choice.chosen is None
    assert not bands.rows.isHidden(), "what is needed is not folded away"
    assert bands.line.text() == "Choose the bands"
    for box, band in zip(bands.boxes, (4, 2, 7), strict=True):
        choose(qtbot, box, band)
    assert bands.line.text() == "red 4, green 2, blue 7"
    assert panel.choice.chosen is not None


def test_an_image_of_one_band_has_nothing_to_choose(panel):
    panel.viewer.add_image(np.zeros((64, 64), np.uint8), name="plain")
    assert panel.image_panel.bands.line.text() == "red 1, green 1, blue 1"
    assert not panel.image_panel.bands.line.isEnabled()


def test_going_on_restores_the_bands(make_napari_viewer, panel, five, weights, qtbot):
    from napari_disca.gui.window.widget import DiscaWidget

    add(panel, five)
    choose(qtbot, panel.image_panel.bands.boxes[2], 5)
    panel.segment()
    idle(qtbot, panel)
    panel.arm(1)
    panel.viewer.layers["Clicks"].add((150, 50))
    idle(qtbot, panel)
    panel.control.close()
    journal = five.with_name(five.name + ".disca.jsonl")
    assert read_journal(journal).header.bands == (3, 2, 5)

    viewer = make_napari_viewer()
    later = DiscaWidget(viewer)
    viewer.window.add_dock_widget(later, name="Correct a map")
    later.image_panel.choose_network(str(weights))
    add(later, five)
    later.resume_banner.go_on.click()
    idle(qtbot, later)
    assert later.image_panel.bands.line.text() == "red 3, green 2, blue 5"
    assert later.opening.session() is not None
    later.control.close()
    qtbot.waitUntil(lambda: not later.control.busy, timeout=30_000)
