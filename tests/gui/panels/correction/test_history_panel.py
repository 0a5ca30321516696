"""The list of steps, and going along it."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

from napari_disca.annotations.clicks import Clicks
from napari_disca.gui.panels.correction.history_panel import HistoryPanel
from napari_disca.session.steps.steps import Step
from windows import click, labels_of, press


def test_steps_have_the_colour_of_the_theme_that_is_chosen_later(qtbot):
    panel = HistoryPanel()
    qtbot.addWidget(panel)
    steps = [Step(title, Clicks(), None) for title in ("open", "roof click", "street click")]
    panel.show_steps(steps, 1)
    items = [panel.list.item(row) for row in range(3)]
    assert [item.text() for item in items] == ["Open", "Roof click", "Street click"]
    assert [item.data(Qt.ItemDataRole.ForegroundRole) for item in items] == [None] * 3
    assert [item.font().bold() for item in items] == [False, True, False]
    assert [item.font().italic() for item in items] == [False, False, True]


def test_the_history_goes_anywhere(opened):
    panel = opened.panel.history_panel
    rows = panel.list
    assert [rows.item(i).text() for i in range(rows.count())] == ["Open"]
    click(opened, 40, 50, 1)
    maps = labels_of(opened.control.session, "disir")
    click(opened, 200, 100, 2)
    press(opened, "adapt")
    texts = [rows.item(i).text() for i in range(rows.count())]
    assert texts == ["Open", "Street click", "Green click", "Adapt (by similar features)"]
    rows.itemClicked.emit(rows.item(1))
    opened.idle()
    session = opened.control.session
    assert session.document.position == 1
    np.testing.assert_array_equal(labels_of(session, "disca"), maps)
    fonts = [rows.item(i).font() for i in range(4)]
    assert [font.bold() for font in fonts] == [False, True, False, False]
    assert [font.italic() for font in fonts] == [False, False, True, True]
    rows.itemClicked.emit(rows.item(3))
    opened.idle()
    assert session.document.adapted is not None
    assert session.map_state.up_to_date("disca") == 1.0
    rows.itemClicked.emit(rows.item(0))
    click(opened, 10, 10, 0)
    assert [rows.item(i).text() for i in range(rows.count())] == ["Open", "Roof click"]


def test_any_click_gets_another_class_by_its_key(reused, qtbot):
    for row, label in ((40, 1), (120, 1), (200, 0)):
        click(reused, row, 50, label)
    layer = reused.viewer.layers["Clicks"]
    layer.mode = "select"
    layer.selected_data = {0, 2}
    qtbot.keyClick(reused.panel.history_panel.list, Qt.Key.Key_3)
    reused.idle()
    session = reused.control.session
    assert [c.label for c in session.document.clicks] == [2, 1, 2]
    assert session.document.history[-1].title == "2 clicks to green"
    assert list(layer.features["class"]) == ["green", "street", "green"]
    press(reused, "undo")
    assert [c.label for c in session.document.clicks] == [1, 1, 0]


def test_a_click_that_was_learned_from_is_unlearned(reused):
    click(reused, 40, 50, 1)
    click(reused, 200, 100, 2)
    press(reused, "adapt")
    session = reused.control.session
    both = labels_of(session, "disca")
    layer = reused.viewer.layers["Clicks"]
    layer.selected_data = {0}
    layer.remove_selected()
    reused.idle()
    assert session.document.adapted.clicks == session.document.clicks
    assert not session.must_learn
    assert "Learned again" in reused.panel.refine_panel.status.text()
    press(reused, "undo")
    np.testing.assert_array_equal(labels_of(session, "disca"), both)
