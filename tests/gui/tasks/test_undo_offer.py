"""*Undo* beside what the panel tells of the last step."""

from __future__ import annotations

from qtpy.QtCore import Qt

CONTROL = Qt.KeyboardModifier.ControlModifier


def offered(opened):
    button = opened.panel.refine_panel.undo_button
    return "" if button.isHidden() else button.text()


def test_large_steps_can_be_taken_back_beside_their_message(reused, qtbot):
    panel, session, clicks = reused.panel, reused.control.session, reused.viewer.layers["Clicks"]
    button = panel.refine_panel.undo_button

    def press():
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        reused.idle()
        assert not offered(reused)

    clicks.add((40, 50))
    clicks.add((140, 150))
    reused.idle()
    assert not offered(reused)  # a click is undone by another look at it
    # Clicks that are deleted.
    clicks.selected_data = {0, 1}
    clicks.remove_selected()
    reused.idle()
    assert offered(reused) == "Undo remove"
    assert button.toolTip() == "Undo this step: remove 2 clicks"
    press()
    assert len(session.document.clicks) == 2
    # An adaptation, also once the map is being redone.
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_Return, CONTROL)
    reused.idle()
    assert session.document.adapted is not None
    assert offered(reused) == "Undo adapt"
    press()
    assert session.document.adapted is None
    assert "Undone: adapt" in panel.refine_panel.status.text()
    qtbot.keyClick(
        panel.history_panel.list, Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier
    )
    reused.idle()
    assert session.document.adapted is not None
    assert not offered(reused)  # it was done again, not anew
    # A verdict of the ripple.
    panel.ripple.reject_all()
    reused.idle()
    assert offered(reused) == "Undo reject"
    press()
    assert session.proposals.current is not None
    # Classes.
    session.document.set_classes(
        session.document.class_table.merged((0, 1), "built"), "merge classes"
    )
    assert offered(reused) == "Undo classes"
    press()
    assert not session.document.class_table.members("built")


def test_it_goes_with_the_next_step(reused, qtbot):
    panel, session = reused.panel, reused.control.session
    listed = panel.history_panel.list
    qtbot.keyClick(listed, Qt.Key.Key_T)
    assert not offered(reused)
    qtbot.keyClick(listed, Qt.Key.Key_Return)
    reused.idle()
    assert offered(reused) == "Undo review"
    assert panel.refine_panel.status.text().startswith("Right, and locked. ")
    reused.viewer.layers["Clicks"].add((250, 250))
    reused.idle()
    assert not offered(reused)
    assert session.document.marks
    # What was seen in passing is noted by itself.
    qtbot.keyClick(listed, Qt.Key.Key_T)
    reused.idle()
    assert not offered(reused)


def test_a_stroke_is_taken_back_by_it(reused, qtbot):
    session = reused.control.session
    reused.panel.drawing.fill(100, 100)
    reused.idle()
    assert len(session.document.strokes) == 1
    assert offered(reused) == "Undo stroke"
    qtbot.mouseClick(reused.panel.refine_panel.undo_button, Qt.MouseButton.LeftButton)
    reused.idle()
    assert not session.document.strokes


def test_it_stands_beside_no_message_about_something_else(reused, qtbot):
    panel, session = reused.panel, reused.control.session
    listed, status = panel.history_panel.list, panel.refine_panel.status
    reused.viewer.layers["Clicks"].add((40, 50))
    reused.idle()
    qtbot.keyClick(listed, Qt.Key.Key_Return, CONTROL)
    reused.idle()
    assert offered(reused) == "Undo adapt"
    # A message that comes after that of the step, with no step of its own.
    qtbot.keyClick(listed, Qt.Key.Key_N)
    reused.idle()
    assert "oubtful" in status.text()
    assert session.document.step.kind == "adapt"
    assert not offered(reused)
    # A message that was there before a step which tells nothing.
    before = status.text()
    session.document.set_classes(
        session.document.class_table.merged((0, 1), "built"), "merge classes"
    )
    reused.idle()
    assert offered(reused) == "Undo classes"
    assert status.text() != before
    # The panel tells what is examined, whatever the last step was.
    examined = panel.control.pending
    examined.examination = object()
    panel.control.changed.emit()
    assert not offered(reused)
    examined.examination = None
    panel.control.changed.emit()
    assert offered(reused) == "Undo classes"
