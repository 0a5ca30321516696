"""How pixel values are scaled, chosen in the panel and kept in the journal."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from qtpy.QtCore import Qt

from napari_disca.raster import Scaling
from napari_disca.session.journal.journal_format import read_journal
from napari_disca.session.preferences import recall
from windows import add, idle


def choose(qtbot, box, text):
    """Choose an entry with the keys, as a user does."""
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Home)
    for _ in range(box.count()):
        if box.currentText() == text:
            break
        qtbot.keyClick(box, Qt.Key.Key_Down)
    assert box.currentText() == text
    box.activated.emit(box.currentIndex())


@pytest.fixture
def dark(tmp_path, scene):
    """The scene with 12 bits, and a stripe of -9999 that nobody declares."""
    path = tmp_path / "dark.tif"
    with rasterio.open(scene) as file:
        pixels, profile = file.read().astype(np.int16) * 9, file.profile
    pixels[:, :90] = -9999
    profile.update(dtype="int16")
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    return path


def test_the_choice_is_read_so_and_explained(panel, dark, qtbot):
    add(panel, dark)
    image = panel.image_panel
    values = image.values
    assert values.how.currentText() == "Automatic"
    assert "-9999 on 30 % of the pixels taken for no data" in image.about.text()
    choose(qtbot, values.how, "Whole data type")
    assert "values / 32767" in image.about.text()
    assert values.how.toolTip().startswith("How pixel values are scaled for the network: values /")
    choose(qtbot, values.how, "From, to…")
    assert not values.ends.isHidden()
    low, _, high = values.ends.text().partition(":")
    assert 0 <= float(low) < float(high) <= 32767, "it begins with what was read before"
    values.ends.selectAll()
    qtbot.keyClicks(values.ends, "0:2000")
    qtbot.keyClick(values.ends, Qt.Key.Key_Return)
    assert "values / 2000 (given)" in image.about.text()
    panel.segment()
    idle(qtbot, panel)
    assert panel.control.session.network_view.scale.wanted == Scaling("range", 0, 2000)


def test_ends_that_are_none_are_one_line_and_stay_to_be_corrected(panel, scene, qtbot):
    add(panel, scene)
    values = panel.image_panel.values
    choose(qtbot, values.how, "From, to…")
    for text in ("", "2000", "a:b", "9:1", "nan:1"):
        values.ends.selectAll()
        qtbot.keyClick(values.ends, Qt.Key.Key_Delete)
        qtbot.keyClicks(values.ends, text)
        qtbot.keyClick(values.ends, Qt.Key.Key_Return)
        said = panel.image_panel.about.text()
        assert "\n" not in said
        assert "values" in said or "scaling" in said
        assert panel.choice.chosen is None
        assert values.ends.text() == text
    values.ends.selectAll()
    qtbot.keyClicks(values.ends, "0:200")
    qtbot.keyClick(values.ends, Qt.Key.Key_Return)
    assert "values / 200 (given)" in panel.image_panel.about.text()


def test_what_looks_like_no_data_can_be_kept(panel, dark, scene, qtbot):
    add(panel, dark)
    values = panel.image_panel.values
    assert values.fill.text() == "-9999 is no data"
    assert not values.fill.isHidden()
    qtbot.keyClick(values.fill, Qt.Key.Key_Space)
    assert "-9999 on 30 % of the pixels taken for data, as was chosen" in (
        panel.image_panel.about.text()
    )
    assert not values.fill.isHidden(), "or nobody could switch it on again"
    layer = add(panel, scene)
    panel.image_panel.images.setCurrentIndex(panel.image_panel.images.findData(layer))
    assert values.fill.isHidden()
    assert values.fill.isChecked()


def test_no_data_values_can_be_typed(panel, dark, qtbot):
    add(panel, dark)
    values, about = panel.image_panel.values, panel.image_panel.about
    qtbot.keyClicks(values.no_data, "-9999, 1234")
    qtbot.keyClick(values.no_data, Qt.Key.Key_Return)
    assert "-9999 and 1234 on 30 % of the pixels taken for no data" in about.text()
    assert values.fill.isHidden(), "what is typed counts"
    values.no_data.selectAll()
    qtbot.keyClicks(values.no_data, "black")
    qtbot.keyClick(values.no_data, Qt.Key.Key_Return)
    assert "'black' are not like 'auto', 'keep' or '0,255'" in about.text()
    assert panel.choice.chosen is None
    values.no_data.clear()
    values.no_data.editingFinished.emit()
    assert "-9999 on 30 % of the pixels taken for no data" in about.text()
    assert not values.fill.isHidden()


def test_the_choice_comes_back_with_its_image(panel, dark, scene, qtbot):
    first = add(panel, dark)
    image = panel.image_panel
    choose(qtbot, image.values.how, "2nd to 98th percentile")
    panel.segment()
    idle(qtbot, panel)
    panel.arm(1)
    panel.viewer.layers["Clicks"].add((150, 50))
    idle(qtbot, panel)
    session = panel.control.session
    second = add(panel, scene)
    image.images.setCurrentIndex(image.images.findData(second))
    assert image.values.how.currentText() == "Automatic"
    panel.segment()
    idle(qtbot, panel)
    image.images.setCurrentIndex(image.images.findData(first))
    assert image.values.how.currentText() == "2nd to 98th percentile"
    panel.segment()
    idle(qtbot, panel)
    assert panel.control.session is not session
    assert panel.control.session.document.can_undo, "it is the session that was left"
    choose(qtbot, image.values.how, "Automatic")
    panel.segment()
    idle(qtbot, panel)
    assert panel.control.session.network_view.scale.wanted == Scaling("auto")


def test_the_choice_comes_back_in_another_window(make_napari_viewer, panel, dark, weights, qtbot):
    """Before anything was clicked, there is no journal that would keep it."""
    from napari_disca.gui.window.widget import DiscaWidget

    add(panel, dark)
    values = panel.image_panel.values
    choose(qtbot, values.how, "2nd to 98th percentile")
    qtbot.keyClicks(values.no_data, "-9999, 1234")
    qtbot.keyClick(values.no_data, Qt.Key.Key_Return)
    boxes = panel.image_panel.bands.boxes
    boxes[0].setCurrentIndex(boxes[0].findData(2))
    boxes[0].activated.emit(boxes[0].currentIndex())
    chosen = panel.choice.chosen.reading
    assert chosen.bands == (2, 2, 3)
    panel.control.close()
    assert not dark.with_name(dark.name + ".disca.jsonl").exists()

    viewer = make_napari_viewer()
    later = DiscaWidget(viewer)
    viewer.window.add_dock_widget(later, name="Correct a map")
    later.image_panel.choose_network(str(weights))
    add(later, dark)
    qtbot.waitUntil(lambda: later.choice.chosen is not None, timeout=30_000)
    assert later.choice.chosen.reading == chosen
    again, about = later.image_panel.values, later.image_panel.about
    assert again.how.currentText() == "2nd to 98th percentile"
    assert again.no_data.text() == "-9999,1234"
    assert "as you chose it before" in about.text()
    # What is taken back is forgotten, too.
    choose(qtbot, again.how, "Automatic")
    qtbot.waitUntil(lambda: later.choice.chosen is not None, timeout=30_000)
    assert "as you chose it before" not in about.text()
    assert recall(later.choice.chosen.raster, later.choice.card).scaling is None
    later.control.close()


@pytest.mark.parametrize("how", ["Whole data type", "0:1234", "keep"])
def test_going_on_restores_the_choice(make_napari_viewer, panel, dark, weights, qtbot, how):
    from napari_disca.gui.window.widget import DiscaWidget

    add(panel, dark)
    values = panel.image_panel.values
    if how == "keep":
        qtbot.keyClick(values.fill, Qt.Key.Key_Space)
    elif ":" in how:
        choose(qtbot, values.how, "From, to…")
        values.ends.setText(how)
        qtbot.keyClick(values.ends, Qt.Key.Key_Return)
    else:
        choose(qtbot, values.how, how)
    panel.segment()
    idle(qtbot, panel)
    panel.arm(1)
    panel.viewer.layers["Clicks"].add((150, 50))
    idle(qtbot, panel)
    scale = panel.control.session.network_view.scale
    panel.control.close()
    journal = dark.with_name(dark.name + ".disca.jsonl")
    assert read_journal(journal).header.scaling == scale

    viewer = make_napari_viewer()
    later = DiscaWidget(viewer)
    viewer.window.add_dock_widget(later, name="Correct a map")
    later.image_panel.choose_network(str(weights))
    add(later, dark)
    later.resume_banner.go_on.click()
    idle(qtbot, later)
    again = later.image_panel.values
    assert later.opening.session() is not None, "what is shown is what the session was made for"
    assert later.opening.session().network_view.scale == scale
    if how == "keep":
        assert not again.fill.isChecked()
    elif ":" in how:
        assert (again.how.currentText(), again.ends.text()) == ("From, to…", how)
    else:
        assert again.how.currentText() == how
    later.control.close()
    qtbot.waitUntil(lambda: not later.control.busy, timeout=30_000)
