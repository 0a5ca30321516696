"""*Undo* beside what the panel tells of the last step."""

from __future__ import annotations

from qtpy.QtCore import Qt

CONTROL = Qt.KeyboardModifier.ControlModifier


def offered(opened):
    button = opened.panel.refine_panel.undo_button
    return "" if button.isHidden() else button.text()


def test_large_steps_can_be_taken_back_beside_their_message(kept, qtbot):
    panel, session, clicks = kept.panel, kept.control.session, kept.viewer.layers["Clicks"]
    button = panel.refine_panel.undo_button

    def press():
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        kept.idle()
        assert not offered(kept)

    clicks.add((40, 50))
    clicks.add((140, 150))
    kept.idle()
    assert not offered(kept)  # a click is undone by another look at it
    # Clicks that are deleted.
    clicks.selected_data = {0, 1}
    clicks.remove_selected()
    kept.idle()
    assert offered(kept) == "Undo remove"
    assert button.toolTip() == "Undo this step: remove 2 clicks"
    press()
    assert len(session.clicks) == 2
    # An adaptation, also once the map is being redone.
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_Return, CONTROL)
    kept.idle()
    assert session.adapted is not None
    assert offered(kept) == "Undo adapt"
    press()
    assert session.adapted is None
    assert "Undone: adapt" in panel.refine_panel.status.text()
    qtbot.keyClick(
        panel.history_panel.list, Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier
    )
    kept.idle()
    assert session.adapted is not None
    assert not offered(kept)  # it was done again, not anew
    # A verdict of the ripple.
    panel.ripple.reject_all()
    kept.idle()
    assert offered(kept) == "Undo reject"
    press()
    assert session.proposals.current is not None
    # Classes.
    session.set_classes(session.class_table.merged((0, 1), "built"), "merge classes")
    assert offered(kept) == "Undo classes"
    press()
    assert not session.class_table.members("built")


def test_it_goes_with_the_next_step(kept, qtbot):
    panel, session = kept.panel, kept.control.session
    listed = panel.history_panel.list
    qtbot.keyClick(listed, Qt.Key.Key_T)
    assert not offered(kept)
    qtbot.keyClick(listed, Qt.Key.Key_Return)
    kept.idle()
    assert offered(kept) == "Undo review"
    assert panel.refine_panel.status.text().startswith("Right, and locked. ")
    kept.viewer.layers["Clicks"].add((250, 250))
    kept.idle()
    assert not offered(kept)
    assert session.marks
    # What was seen in passing is noted by itself.
    qtbot.keyClick(listed, Qt.Key.Key_T)
    kept.idle()
    assert not offered(kept)


def test_a_stroke_is_taken_back_by_it(kept, qtbot):
    session = kept.control.session
    kept.panel.drawing.fill(100, 100)
    kept.idle()
    assert len(session.strokes) == 1
    assert offered(kept) == "Undo stroke"
    qtbot.mouseClick(kept.panel.refine_panel.undo_button, Qt.MouseButton.LeftButton)
    kept.idle()
    assert not session.strokes


def test_it_stands_beside_no_message_about_something_else(kept, qtbot):
    panel, session = kept.panel, kept.control.session
    listed, status = panel.history_panel.list, panel.refine_panel.status
    kept.viewer.layers["Clicks"].add((40, 50))
    kept.idle()
    qtbot.keyClick(listed, Qt.Key.Key_Return, CONTROL)
    kept.idle()
    assert offered(kept) == "Undo adapt"
    # A message that comes after that of the step, with no step of its own.
    qtbot.keyClick(listed, Qt.Key.Key_N)
    kept.idle()
    assert "oubtful" in status.text()
    assert session.step.kind == "adapt"
    assert not offered(kept)
    # A message that was there before a step which tells nothing.
    before = status.text()
    session.set_classes(session.class_table.merged((0, 1), "built"), "merge classes")
    kept.idle()
    assert offered(kept) == "Undo classes"
    assert status.text() != before
    # The panel tells what is examined, whatever the last step was.
    examined = panel.control.pending
    examined.examination = object()
    panel.control.changed.emit()
    assert not offered(kept)
    examined.examination = None
    panel.control.changed.emit()
    assert offered(kept) == "Undo classes"
