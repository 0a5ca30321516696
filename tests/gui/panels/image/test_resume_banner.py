"""Work on other pixels is offered to be taken over, and only then is."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from qtpy.QtCore import Qt

from napari_disca.gui.tasks.opening.layer_data import layer_data
from napari_disca.session.journal.journal_format import read_journal


@pytest.fixture
def repainted(opened):
    """The scene with two clicks, whose file somebody has then written anew with other pixels."""
    panel = opened.panel
    for row, col, label in ((40, 50, 1), (200, 100, 2)):
        panel.arm(label)
        opened.viewer.layers["Clicks"].add((row, col))
        opened.idle()
    panel.control.close()
    opened.viewer.layers.clear()
    opened.idle()
    with rasterio.open(opened.scene) as file:
        pixels, profile = file.read(), file.profile
    with rasterio.open(opened.scene, "w", **profile) as file:
        file.write(np.clip(pixels.astype(int) + 40, 0, 255).astype(np.uint8))
    return opened


def test_take_over(repainted, qtbot):
    opened, panel = repainted, repainted.panel
    journal = opened.scene.with_name(opened.scene.name + ".disca.jsonl")
    before = journal.read_bytes()
    data, keywords, _ = layer_data(opened.scene)
    opened.viewer.add_image(data, **keywords)
    banner = panel.resume_banner
    assert banner.isVisibleTo(panel)
    assert banner.go_on.text() == "Continue"
    qtbot.mouseClick(banner.go_on, Qt.MouseButton.LeftButton)
    opened.idle()
    qtbot.waitUntil(lambda: banner.go_on.text() == "Take over", timeout=30_000)
    assert "was written for another image" in banner.text.text()
    assert banner.text.text().endswith("Take the work over to this image anyway?")
    assert panel.opening.session() is None, "nothing is taken over unasked"
    assert journal.read_bytes() == before

    qtbot.mouseClick(banner.go_on, Qt.MouseButton.LeftButton)
    opened.idle()
    session = panel.opening.session()
    assert [(c.row, c.col, c.label) for c in session.document.clicks] == [
        (40, 50, 1),
        (200, 100, 2),
    ]
    assert not banner.isVisibleTo(panel)
    panel.arm(0)
    opened.viewer.layers["Clicks"].add((10, 10))
    opened.idle()
    assert read_journal(journal).header.image != read_journal(_aside(journal)).header.image
    assert _aside(journal).read_bytes() == before, "the other image's work is set aside as it was"


def _aside(journal):
    (other,) = [p for p in journal.parent.glob("*.jsonl") if p != journal]
    return other
