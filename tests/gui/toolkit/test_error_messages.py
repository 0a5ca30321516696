"""What is told of bugs, and of work that has ended."""

from __future__ import annotations

import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QApplication, QWidget

from napari_disca.core.errors import RasterError
from napari_disca.core.events import Progress
from napari_disca.gui.tasks import long_work
from napari_disca.gui.tasks.long_work import LongWork
from napari_disca.gui.toolkit.error_messages import tell_error


@pytest.fixture
def notifications(monkeypatch):
    found = []
    monkeypatch.setattr(notification_manager, "dispatch", found.append)
    return found


def test_a_bug_is_told_in_one_line_and_its_report_can_be_copied(qapp, notifications):
    try:
        raise ZeroDivisionError("first\nsecond")
    except ZeroDivisionError as error:
        tell_error(error)
    (notification,) = notifications
    assert "\n" not in notification.message
    assert "ZeroDivisionError: first" in notification.message
    ((text, copy),) = notification.actions
    assert text == "Copy report"
    copy(None)
    report = QApplication.clipboard().text()
    assert "test_error_messages.py" in report
    assert "napari-disca" in report
    assert "Python 3." in report


def test_what_is_the_users_fault_has_no_report(qapp, notifications, monkeypatch):
    said = []
    monkeypatch.setattr("napari_disca.gui.toolkit.error_messages.show_error", said.append)
    tell_error(RasterError("x.tif is no image"))
    assert said == ["x.tif is no image"]
    assert notifications == []


class Control(QObject):
    changed = Signal()
    progressed = Signal(object)
    busy = False

    def work(self, busy):
        self.busy = busy
        self.progressed.emit(Progress("updating the map", 1, 2) if busy else Progress("", 0, 0))
        self.changed.emit()


@pytest.mark.parametrize(
    ("long", "looking", "tells"),
    # 0: never.
    [(1e-9, False, True), (1e-9, True, False), (99.0, False, False), (0.0, False, False)],
)
def test_the_end_of_long_work_is_told_to_who_looks_elsewhere(
    qtbot, monkeypatch, long, looking, tells
):
    panel, control, said, alerted = QWidget(), Control(), [], []
    qtbot.addWidget(panel)
    monkeypatch.setattr(long_work, "show_info", said.append)
    monkeypatch.setattr(QApplication, "alert", lambda window, *_: alerted.append(window))
    monkeypatch.setattr(QApplication, "activeWindow", lambda: panel if looking else None)
    watch = LongWork(control, panel)
    watch.seconds = long
    control.work(False)
    control.work(True)
    control.work(True)
    control.work(False)
    control.work(False)
    assert (len(said), alerted) == ((1, [panel]) if tells else (0, []))
    assert said == (["Finished after 1 s: updating the map"] if tells else [])
    assert watch.parent() is panel
