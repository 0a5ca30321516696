"""Classes are renamed, recoloured, moved, hidden and merged in the panel, and saved as seen."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog, QInputDialog

from napari_disca.exports import read_map_classes
from napari_disca.gui.window import file_verbs
from windows import background


@pytest.fixture
def desk(reused_on_screen):
    """The panel of a segmented scene with a click of each class, on screen."""
    opened = reused_on_screen
    for label, pixel in enumerate(((20, 30), (40, 50), (60, 70))):
        opened.panel.arm(label)
        opened.control.layers.clicks[0].add(pixel)
        opened.idle()
    return opened


def answer(monkeypatch, *texts, item=None):
    left = list(texts)
    monkeypatch.setattr(QInputDialog, "getText", lambda *a, **k: (left.pop(0), True))
    if item is not None:
        monkeypatch.setattr(QInputDialog, "getItem", lambda *a, **k: (item, True))


def listed(desk):
    rows = desk.panel.classes_panel.list
    return [" ".join(rows.item(i).text().split()) for i in range(rows.count())]


def legend(desk):
    return [line.text() for line in desk.panel.viewer_controls.legend.lines]


def menu(desk, name):
    actions = desk.panel.classes_panel.menu.actions()
    next(action for action in actions if action.objectName() == name).trigger()


def test_a_class_is_renamed_everywhere_and_it_is_undone(desk, qtbot, monkeypatch):
    rows = desk.panel.classes_panel.list
    rows.setCurrentRow(2)
    answer(monkeypatch, "trees")
    qtbot.keyClick(rows, Qt.Key.Key_F2)
    assert listed(desk) == ["1 roof 1 click", "2 street 1 click", "3 trees 1 click"]
    clicks = desk.viewer.layers["Clicks"]
    assert list(clicks.features["class"]) == ["roof", "street", "trees"]
    np.testing.assert_allclose(
        clicks.face_color[2, :3], desk.control.layers.maps["disir"].get_color(3)[:3], atol=0.01
    )
    assert list(desk.control.layers.maps["disir"].features["class"])[3] == "trees"
    assert legend(desk)[2] == "3  trees"
    assert desk.control.session.document.step.title == "rename green to trees"
    qtbot.keyClick(rows, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert listed(desk)[2] == "3 green 1 click"
    assert list(clicks.features["class"])[2] == "green"
    answer(monkeypatch, "Street")
    rows.setCurrentRow(0)
    menu(desk, "rename_class")
    assert "two classes are called" in desk.said[-1]
    assert listed(desk)[0] == "1 roof 1 click"
    desk.idle()


def test_the_next_click_has_the_class_that_was_renamed(desk, qtbot, monkeypatch):
    desk.panel.arm(2)
    answer(monkeypatch, "trees")
    menu(desk, "rename_class")
    desk.control.layers.clicks[0].add((80, 90))
    desk.idle()
    assert [click.label for click in desk.control.session.document.clicks] == [0, 1, 2, 2]
    assert desk.panel.classes_panel.chosen == 2


def test_a_class_gets_another_colour(desk, monkeypatch):
    desk.panel.classes_panel.list.setCurrentRow(1)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *a, **k: QColor("#00ffff"))
    menu(desk, "recolour_class")
    colour = desk.control.layers.maps["disir"].get_color(2)
    np.testing.assert_allclose(colour[:3], (0, 1, 1), atol=0.01)
    np.testing.assert_allclose(desk.viewer.layers["Clicks"].face_color[1, :3], (0, 1, 1), atol=0.01)
    monkeypatch.setattr(QColorDialog, "getColor", lambda *a, **k: QColor())
    before = desk.control.session.document.position
    menu(desk, "recolour_class")
    assert desk.control.session.document.position == before, "the user thought better of it"
    desk.idle()


def test_the_keys_of_classes_follow_their_order(desk, qtbot):
    rows = desk.panel.classes_panel.list
    rows.setCurrentRow(2)
    alt = Qt.KeyboardModifier.AltModifier
    qtbot.keyClick(rows, Qt.Key.Key_Up, alt)
    qtbot.keyClick(rows, Qt.Key.Key_Up, alt)
    assert listed(desk) == ["1 green 1 click", "2 roof 1 click", "3 street 1 click"]
    assert desk.panel.classes_panel.chosen == 2
    qtbot.keyClick(rows, Qt.Key.Key_2)
    assert desk.control.layers.label == 0
    qtbot.keyClick(rows, Qt.Key.Key_1, alt)
    assert desk.panel.viewer_controls.see_through.isolated == 2
    qtbot.keyClick(rows, Qt.Key.Key_1, alt)
    assert legend(desk)[0] == "1  green"
    # Dragged back to the end.
    rows.setCurrentRow(0)
    model = rows.model()
    assert model.moveRow(model.index(-1, -1), 0, model.index(-1, -1), 3)
    assert listed(desk) == ["1 roof 1 click", "2 street 1 click", "3 green 1 click"]
    desk.idle()


def test_a_hidden_class_is_seen_through(desk):
    desk.panel.classes_panel.list.setCurrentRow(0)
    menu(desk, "hide_class")
    assert listed(desk)[0] == "1 roof (hidden) 1 click"
    assert desk.control.layers.maps["disir"].get_color(1)[3] == 0
    hidden, shown = desk.panel.viewer_controls.legend.lines[:2]
    assert background(hidden)[3] < background(shown)[3]
    menu(desk, "hide_class")
    assert desk.control.layers.maps["disir"].get_color(1)[3] == 1
    desk.idle()


def test_what_is_saved_is_what_is_seen(desk, monkeypatch, tmp_path):
    desk.panel.classes_panel.list.setCurrentRow(2)
    answer(monkeypatch, "ground", item="street")
    menu(desk, "merge_class")
    assert listed(desk)[1:] == ["2 street → ground 1 click", "3 green → ground 1 click"]
    maps = desk.control.layers.maps["disir"]
    np.testing.assert_allclose(maps.get_color(2), maps.get_color(3))
    path = tmp_path / "map.tif"
    desk.panel.files.session_files.save_labels("disir", path)
    desk.idle()
    with rasterio.open(path) as file:
        values, colours = file.read(1), file.colormap(1)
    shown = desk.control.session.maps["disir"].levels[0]
    assert np.array_equal(values, np.minimum(np.asarray(shown) - 1, 1))
    np.testing.assert_allclose(np.array(colours[1][:3]) / 255, maps.get_color(2)[:3], atol=0.01)
    assert [land.name for land in read_map_classes(path)] == ["roof", "ground", "ground"]
    by_napari = tmp_path / "napari.tif"
    maps.save(str(by_napari), plugin="napari-disca")
    assert by_napari.read_bytes() == path.read_bytes()
    menu(desk, "separate_class")
    assert listed(desk)[1] == "2 street 1 click"


def test_a_table_goes_out_and_comes_in(desk, monkeypatch, tmp_path):
    path = tmp_path / "classes.qml"
    monkeypatch.setattr(file_verbs, "file_to_save", lambda *a: path)
    menu(desk, "save_classes")
    path.write_text(path.read_text().replace("street", "roads").replace("#7570b3", "#0000ff"))
    monkeypatch.setattr(file_verbs, "file_to_load", lambda *a: path)
    menu(desk, "load_classes")
    assert listed(desk)[1] == "2 roads 1 click"
    assert desk.control.session.document.classes[1].color == "#0000ff"
    path.write_text("nonsense")
    menu(desk, "load_classes")
    assert "not a QGIS style" in desk.said[-1]
    menu(desk, "network_classes")
    assert listed(desk)[1] == "2 street 1 click"
    desk.idle()
