"""*Undo* beside what the panel tells of the last step."""

from __future__ import annotations

from qtpy.QtCore import Qt

CONTROL = Qt.KeyboardModifier.ControlModifier


def offered(opened):
    button = opened.panel.refine_panel.undo_button
    return "" if button.isHidden() else button.text()


def test_large_steps_can_be_taken_back_beside_their_message(opened, qtbot):
    panel, session, clicks = opened.panel, opened.control.session, opened.viewer.layers["Clicks"]
    button = panel.refine_panel.undo_button

    def press():
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        opened.idle()
        assert not offered(opened)

    clicks.add((40, 50))
    clicks.add((140, 150))
    opened.idle()
    assert not offered(opened)  # a click is undone by another look at it
    # Clicks that are deleted.
    clicks.selected_data = {0, 1}
    clicks.remove_selected()
    opened.idle()
    assert offered(opened) == "Undo remove"
    assert button.toolTip() == "Undo this step: remove 2 clicks"
    press()
    assert len(session.clicks) == 2
    # An adaptation, also once the map is being redone.
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_Return, CONTROL)
    opened.idle()
    assert session.adapted is not None
    assert offered(opened) == "Undo adapt"
    press()
    assert session.adapted is None
    assert "Undone: adapt" in panel.refine_panel.status.text()
    qtbot.keyClick(
        panel.history_panel.list, Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier
    )
    opened.idle()
    assert session.adapted is not None
    assert not offered(opened)  # it was done again, not anew
    # A verdict of the ripple.
    panel.ripple.reject_all()
    opened.idle()
    assert offered(opened) == "Undo reject"
    press()
    assert session.proposal is not None
    # Classes.
    session.set_classes(session.class_table.merged((0, 1), "built"), "merge classes")
    assert offered(opened) == "Undo classes"
    press()
    assert not session.class_table.merges


def test_it_goes_with_the_next_step(opened, qtbot):
    panel, session = opened.panel, opened.control.session
    listed = panel.history_panel.list
    qtbot.keyClick(listed, Qt.Key.Key_T)
    assert not offered(opened)
    qtbot.keyClick(listed, Qt.Key.Key_Return)
    opened.idle()
    assert offered(opened) == "Undo review"
    assert panel.refine_panel.status.text().startswith("Right, and locked. ")
    opened.viewer.layers["Clicks"].add((250, 250))
    opened.idle()
    assert not offered(opened)
    assert session.marks
    # What was seen in passing is noted by itself.
    qtbot.keyClick(listed, Qt.Key.Key_T)
    opened.idle()
    assert not offered(opened)


def test_a_stroke_is_taken_back_by_it(opened, qtbot):
    session = opened.control.session
    opened.panel.drawing.fill(100, 100)
    opened.idle()
    assert len(session.strokes) == 1
    assert offered(opened) == "Undo stroke"
    qtbot.mouseClick(opened.panel.refine_panel.undo_button, Qt.MouseButton.LeftButton)
    opened.idle()
    assert not session.strokes


def test_it_stands_beside_no_message_about_something_else(opened, qtbot):
    panel, session = opened.panel, opened.control.session
    listed, status = panel.history_panel.list, panel.refine_panel.status
    opened.viewer.layers["Clicks"].add((40, 50))
    opened.idle()
    qtbot.keyClick(listed, Qt.Key.Key_Return, CONTROL)
    opened.idle()
    assert offered(opened) == "Undo adapt"
    # A message that comes after that of the step, with no step of its own.
    qtbot.keyClick(listed, Qt.Key.Key_N)
    opened.idle()
    assert "oubtful" in status.text()
    assert session.step.kind == "adapt"
    assert not offered(opened)
    # A message that was there before a step which tells nothing.
    before = status.text()
    session.set_classes(session.class_table.merged((0, 1), "built"), "merge classes")
    opened.idle()
    assert offered(opened) == "Undo classes"
    assert status.text() != before
    # The panel tells what is examined, whatever the last step was.
    examined = panel.control.pending
    examined.examination = object()
    panel.control.changed.emit()
    assert not offered(opened)
    examined.examination = None
    panel.control.changed.emit()
    assert offered(opened) == "Undo classes"
