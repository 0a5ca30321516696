"""Layers of one band are read as one image where the user wants that."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from napari_disca.core.tiling import Window

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
