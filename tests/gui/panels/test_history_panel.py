"""The list of steps."""

from __future__ import annotations

from qtpy.QtCore import Qt

from napari_disca.annotations.clicks import Clicks
from napari_disca.gui.panels.history_panel import HistoryPanel
from napari_disca.session.steps import Step


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
