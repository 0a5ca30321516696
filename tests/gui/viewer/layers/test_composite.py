"""What is seen of the image: as it was opened, as the network reads it, or other bands."""

from __future__ import annotations

import time

import numpy as np

from napari_disca.core.tiling import Window

PLANES = np.random.default_rng(0).integers(100, 3000, (4, 60, 80), dtype=np.uint16)


def show(panel, text):
    box = panel.image_panel.bands.on_screen
    box.setCurrentIndex(box.findText(text))
    box.activated.emit(box.currentIndex())


def composite(panel):
    return [layer for layer in panel.viewer.layers if layer.name.startswith("Bands ")]


def pixels(panel):
    (layer,) = composite(panel)
    return np.asarray(layer.data[0] if layer.multiscale else layer.data)


def as_read(panel):
    view = panel.choice.view
    assert not view.resampled
    read = view.read(Window.whole(view.shape))
    return np.moveaxis(np.rint(read * 255), 0, -1).astype(np.uint8)


def test_what_the_network_reads_is_seen_as_bright_as_it_reads_it(panel, qtbot):
    image = panel.viewer.add_image(PLANES, name="four", scale=(1, 2, 3))
    assert composite(panel) == []
    show(panel, "Show what the network reads")
    (layer,) = composite(panel)
    assert panel.viewer.layers.index(layer) == panel.viewer.layers.index(image) + 1
    assert layer.name == "Bands 1, 2, 3"
    np.testing.assert_allclose(layer.scale, (2, 3))
    np.testing.assert_array_equal(pixels(panel), as_read(panel))
    assert panel.image_panel.images.findData(layer) < 0, "it is no image to segment"
    # Another band, another scaling: what is seen follows.
    box = panel.image_panel.bands.boxes[0]
    box.setCurrentIndex(box.findData(4))
    box.activated.emit(box.currentIndex())
    assert composite(panel)[0].name == "Bands 4, 2, 3"
    how = panel.image_panel.values.how
    how.setCurrentIndex(how.findText("Whole data type"))
    how.activated.emit(how.currentIndex())
    np.testing.assert_array_equal(pixels(panel), as_read(panel))
    assert pixels(panel).max() < 20
    image.translate = (0, 5, 7)
    np.testing.assert_allclose(composite(panel)[0].translate, (5, 7))
    show(panel, "Show the image as it was opened")
    assert composite(panel) == []


def test_bands_of_ones_own_are_seen_and_not_read(panel, qtbot, monkeypatch):
    said = []
    monkeypatch.setattr("napari_disca.gui.toolkit.error_messages.show_error", said.append)
    panel.viewer.add_image(PLANES, name="four")
    show(panel, "Show other bands…")
    field = panel.image_panel.bands.composite
    assert field.text() == "1, 2, 3"
    field.setText("4 2 1")
    field.editingFinished.emit()
    assert composite(panel)[0].name == "Bands 4, 2, 1"
    assert panel.choice.view.bands == (1, 2, 3)
    for shown, plane in zip(pixels(panel).reshape(-1, 3).T, (3, 1, 0), strict=True):
        assert (shown.min(), shown.max()) == (0, 255), "stretched"
        darkest_first = np.argsort(PLANES[plane].ravel(), kind="stable")
        assert (np.diff(shown[darkest_first].astype(int)) >= 0).all()
    field.setText("3")
    field.editingFinished.emit()
    assert composite(panel)[0].name == "Bands 3"
    for wrong in ("", "1, 2", "x", "1, 2, 9"):
        said.clear()
        field.setText(wrong)
        field.editingFinished.emit()
        assert composite(panel) == []
        assert len(said) == 1, wrong


def test_it_goes_with_its_image(panel):
    panel.viewer.add_image(PLANES, name="four")
    show(panel, "Show what the network reads")
    panel.viewer.layers.remove("four")
    assert composite(panel) == []


def test_it_goes_with_the_panel(panel):
    panel.viewer.add_image(PLANES, name="four")
    show(panel, "Show what the network reads")
    panel.shut_down()
    assert composite(panel) == []


def test_asked_again_while_the_image_is_read_they_are_shown_once(panel, monkeypatch):
    from qtpy.QtCore import QTimer

    from napari_disca.gui.viewer.layers import composite as module

    again = []
    original = module.ImagePyramid

    def read(*arguments, **options):
        while not again:  # until the window has asked a second time
            time.sleep(0.01)
        return original(*arguments, **options)

    panel.viewer.add_image(PLANES, name="four")
    monkeypatch.setattr(module, "ImagePyramid", read)
    QTimer.singleShot(50, lambda: (panel.shown_bands.follow(), again.append(True)))
    show(panel, "Show what the network reads")
    assert again
    assert len(composite(panel)) == 1
