"""Brush, polygon, lasso and patch in the window, through Qt's events."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_disca.annotations.strokes import BrushPath
from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.canvas.screen_grid import ScreenGrid
from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.gui.viewer.layers.helper_layers import layer_list

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
SHIFT, CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
WHOLE = Window(0, 0, 300, 260)
DIGITS = (Qt.Key.Key_1, Qt.Key.Key_2, Qt.Key.Key_3)


class Desk:
    """What a user does, in pixels of the image."""

    def __init__(self, opened, qtbot):
        self.opened, self.qtbot = opened, qtbot
        self.panel, self.session = opened.panel, opened.control.session
        self.tool = self.panel.drawing.tool
        self.idle = opened.idle

    # Kept nowhere, since they would keep the window alive.
    @property
    def window(self):
        return main_window(self.panel)

    @property
    def canvas(self):
        return self.tool._canvas

    def key(self, key, modifiers=Qt.KeyboardModifier.NoModifier, widget=None):
        self.qtbot.keyClick(widget or self.window, key, modifiers)

    def at(self, row, col):
        grid = ScreenGrid(self.opened.viewer, self.opened.control.layers.image)
        ((x, y),) = grid.to_screen([(row, col)])
        return QPoint(round(x), round(y))

    def place(self, row, col):
        """The place that the pixel of the screen really is."""
        grid = ScreenGrid(self.opened.viewer, self.opened.control.layers.image)
        point = self.at(row, col)
        return grid.to_image(point.x(), point.y())

    def click(self, row, col, modifiers=Qt.KeyboardModifier.NoModifier, button=LEFT):
        self.qtbot.mouseClick(self.canvas, button, modifiers, self.at(row, col))

    def drag(self, *places, button=LEFT):
        self.qtbot.mousePress(self.canvas, button, pos=self.at(*places[0]))
        for place in places[1:]:
            self.qtbot.mouseMove(self.canvas, self.at(*place))
        self.qtbot.mouseRelease(self.canvas, button, pos=self.at(*places[-1]))
        self.idle()

    def labels(self, name="disir"):
        return self.session.maps[name].read(WHOLE)


@pytest.fixture
def desk(reused_on_screen, qtbot):
    opened = reused_on_screen
    opened.viewer.reset_view()
    opened.control.changed.emit()
    return Desk(opened, qtbot)


def test_the_brush_draws_the_class_that_is_chosen(desk, qtbot):
    before = desk.labels()
    desk.key(Qt.Key.Key_2)
    desk.key(Qt.Key.Key_Q)
    assert desk.tool.tool == "brush"
    assert desk.panel.draw_panel.tools["brush"].isChecked()
    desk.tool.set_radius(10)
    way = [(100, 60), (120, 120), (150, 140)]
    pixels = BrushPath(tuple(desk.place(*at) for at in way), 10).pixels(WHOLE.shape)
    desk.drag(*way)
    mask = pixels.mask(WHOLE)
    for name in ("disir", "disca"):
        np.testing.assert_array_equal(desk.labels(name), np.where(mask, 1, before))
    assert not len(desk.session.document.clicks)
    assert desk.opened.control.message.text == f"Drew {mask.sum():,} pixels of street"
    assert desk.session.document.step.title == "brush street"
    desk.drag((110, 90), (130, 130), button=RIGHT)
    assert desk.session.document.step.title == "erase with the brush"
    assert not desk.session.document.drawn_at(120, 115)
    assert desk.labels()[120, 115] == before[120, 115]
    desk.key(Qt.Key.Key_Z, CONTROL)
    desk.key(Qt.Key.Key_Z, CONTROL)
    desk.idle()
    np.testing.assert_array_equal(desk.labels(), before)


def test_a_stroke_is_seen_when_the_button_is_let_go(desk, qtbot, monkeypatch):
    desk.key(Qt.Key.Key_Q)
    monkeypatch.setattr(desk.opened.control, "submit", lambda task: None)  # nothing runs afterwards
    desk.drag((100, 60), (120, 120))
    assert desk.labels()[110, 90] == 0


def test_keys_change_the_size_of_the_brush_only(desk, qtbot):
    for widget in (desk.canvas, desk.panel.history_panel.list, desk.panel.draw_panel.teaches):
        desk.tool.choose("brush")
        desk.tool.set_radius(10)
        desk.key(Qt.Key.Key_BracketRight, widget=widget)
        assert desk.tool.radius == 12
        desk.key(Qt.Key.Key_BracketLeft, widget=widget)
        desk.key(Qt.Key.Key_BracketLeft, widget=widget)
        assert desk.tool.radius == 8
        assert desk.panel.draw_panel.radius.value() == 8
        desk.key(Qt.Key.Key_Escape, widget=widget)
        assert desk.tool.tool == "click"
        desk.key(Qt.Key.Key_BracketLeft, widget=widget)
        assert desk.tool.radius == 8
    desk.tool.choose("brush")
    desk.panel.draw_panel.radius.setValue(1)
    desk.key(Qt.Key.Key_BracketLeft)
    assert desk.tool.radius == 1


def test_a_polygon_is_closed_by_enter_wherever_the_focus_is(desk, qtbot):
    for widget in (desk.canvas, desk.panel.history_panel.list, layer_list(desk.window)):
        before = desk.session.document.position
        desk.tool.choose("polygon")
        for corner in ((60, 60), (60, 120), (140, 120), (200, 20)):
            desk.click(*corner)
        desk.key(Qt.Key.Key_Backspace, widget=widget)
        assert desk.session.document.position == before
        desk.key(Qt.Key.Key_Return, widget=widget)
        desk.idle()
        assert desk.session.document.position == before + 1
        assert desk.session.document.drawn_at(80, 110)
        assert not desk.session.document.drawn_at(150, 50)  # of the corner that was taken back
        desk.key(Qt.Key.Key_Z, CONTROL)
        desk.idle()
    assert not len(desk.session.document.clicks)


def test_a_polygon_is_closed_by_its_first_corner_and_by_a_double_click(desk, qtbot):
    desk.tool.choose("polygon")
    corners = ((60, 60), (60, 120), (140, 120))
    for corner in (*corners, corners[0]):
        desk.click(*corner)
    desk.idle()
    assert desk.session.document.step.title == "polygon roof"
    for corner in ((160, 60), (160, 120)):
        desk.click(*corner)
    desk.click(220, 120)
    qtbot.mouseDClick(desk.canvas, LEFT, pos=desk.at(220, 120))
    desk.idle()
    assert len(desk.session.document.strokes) == 2
    assert desk.session.document.drawn_at(170, 115)


def test_escape_drops_what_was_begun_then_leaves(desk, qtbot):
    desk.tool.choose("polygon")
    for corner in ((60, 60), (60, 120), (140, 120)):
        desk.click(*corner)
    desk.key(Qt.Key.Key_Escape)
    assert desk.tool.tool == "polygon"
    assert not desk.tool.has_corners
    desk.key(Qt.Key.Key_Return)
    assert not desk.session.document.can_undo
    desk.key(Qt.Key.Key_Escape)
    assert desk.tool.tool == "click"
    desk.key(Qt.Key.Key_1)
    desk.click(100, 100)
    desk.idle()
    assert [click.pixel for click in desk.session.document.clicks] == [
        tuple(int(at) for at in desk.place(100, 100))
    ]


def test_the_lasso_draws_what_is_inside(desk, qtbot):
    desk.key(Qt.Key.Key_3)
    for _ in range(3):
        desk.key(Qt.Key.Key_Q)
    assert desk.tool.tool == "lasso"
    desk.panel.draw_panel.teaches.click()
    desk.drag((80, 80), (80, 160), (160, 160), (160, 80))
    assert (desk.labels()[85:155, 85:155] == 2).all()
    (stroke,) = desk.session.document.strokes
    assert (stroke.tool, stroke.teaches) == ("lasso", False)
    desk.drag((10, 10), (10, 11))  # no more than a slip of the hand
    assert len(desk.session.document.strokes) == 1


def test_only_the_classes_that_are_ticked_are_drawn_over(desk, qtbot):
    before = desk.labels()
    values, counts = np.unique(before, return_counts=True)
    allowed = int(values[counts.argmax()])
    label = (allowed + 1) % 3
    desk.key(DIGITS[label])
    desk.panel.draw_panel._menu.actions()[allowed].trigger()
    desk.tool.choose("lasso")
    desk.drag((5, 5), (5, 250), (290, 250), (290, 5))
    if desk.session.document.strokes:  # the rest of the map may have no other class
        after = desk.labels()
        np.testing.assert_array_equal(after == allowed, before == allowed)
        assert desk.session.document.strokes[0].only == tuple(n for n in range(3) if n != allowed)
    else:
        assert "drawn over" in desk.opened.said[-1]


@pytest.mark.parametrize("way", ["key", "shift"])
def test_a_patch_gets_the_class_at_once(desk, qtbot, way):
    before = desk.labels()
    label = (int(before[100, 100]) + 1) % 3
    desk.key(DIGITS[label])
    if way == "key":
        qtbot.mouseMove(desk.canvas, desk.at(100, 100))
        qtbot.waitUntil(lambda: desk.tool.pixel() is not None)
        desk.key(Qt.Key.Key_F)
    else:
        desk.click(100, 100, SHIFT)
    desk.idle()
    (stroke,) = desk.session.document.strokes
    row, col = (int(at) for at in desk.place(100, 100))
    assert stroke.tool == "patch"
    assert stroke.area.mask(Window(row, col, 1, 1)).all()
    assert desk.labels()[row, col] == label
    assert not len(desk.session.document.clicks)


def test_with_the_space_bar_down_the_map_is_moved(desk, qtbot):
    desk.tool.choose("brush")
    qtbot.keyPress(desk.canvas, Qt.Key.Key_Space)
    desk.drag((100, 60), (120, 120))
    qtbot.keyRelease(desk.canvas, Qt.Key.Key_Space)
    assert not desk.session.document.strokes
    desk.drag((100, 60), (120, 120))
    assert len(desk.session.document.strokes) == 1


def test_drawing_needs_one_view(desk, qtbot):
    desk.panel._compare(True)
    desk.tool.choose("brush")
    desk.drag((100, 60), (120, 120))
    assert not desk.session.document.can_undo
    assert "one view" in desk.opened.viewer.status


@pytest.mark.parametrize(("mode", "tool"), [("paint", "brush"), ("fill", "click")])
def test_naparis_own_tools_on_a_map_become_ours(desk, qtbot, mode, tool):
    layer = desk.opened.control.layers.maps["disir"]
    desk.opened.viewer.layers.selection.active = layer
    layer.editable = True
    layer.mode = mode
    assert layer.mode == "pan_zoom"
    assert desk.tool.tool == tool


def test_without_a_map_there_is_nothing_to_draw_on(panel, qtbot):
    panel.viewer_controls.do("brush")
    assert panel.drawing.tool.tool == "click"
    panel.drawing.verbs()["next_tool"]()
    assert "press Segment" in panel.viewer.status
    assert not panel.draw_panel.tools["brush"].isEnabled()


def test_what_was_drawn_is_saved(desk, tmp_path, monkeypatch):
    assert not desk.panel.draw_panel.save_button.isEnabled()
    desk.tool.choose("brush")
    desk.drag((100, 60), (120, 120))
    path = tmp_path / "drawn.geojson"
    monkeypatch.setattr(
        "napari_disca.gui.window.dialogs.QFileDialog.getSaveFileName",
        lambda *_arguments: (str(path), ""),
    )
    desk.panel.draw_panel.save_button.click()
    (feature,) = json.loads(path.read_text())["features"]
    assert feature["properties"]["tool"] == "brush"


def test_a_click_on_what_is_drawn_says_that_it_changes_nothing_there(desk):
    desk.tool.choose("brush")
    desk.drag((100, 60), (120, 120))
    desk.opened.viewer.layers["Clicks"].add((110, 90))
    desk.idle()
    assert "is drawn" in desk.opened.control.message.text
