"""When the list of what an adaptation changed is made anew."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from psygnal import Signal
from qtpy.QtCore import QObject
from qtpy.QtCore import Signal as QtSignal

from napari_disca.core.events import Patch
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.ripple_panel import RipplePanel
from napari_disca.gui.tasks import ripple_controller
from napari_disca.gui.tasks.ripple_controller import RippleController
from napari_disca.raster import open_raster
from napari_disca.session.ripple import Ripple

TILES = 4


class FakeSession:
    """A session that was adapted, and whose tiles are drawn one after the other."""

    painted = Signal(object)

    def __init__(self) -> None:
        self.drawn = 0
        self.looks: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.adapted, self.proposal, self.strength, self.step = object(), None, None, object()
        self.classes = ()
        self.viewport = SimpleNamespace(window=Window(0, 0, 8, 8))
        self.raster = open_raster(np.zeros((8, 8, 3), np.uint8))

    def draw(self) -> None:
        self.drawn += 1
        self.painted.emit(Patch("disca", Window(0, 0, 4, 4), np.zeros((4, 4), np.uint8)))

    def up_to_date(self, name: str) -> float:
        return self.drawn / TILES

    def ripple(self, least, view):
        missing = TILES - self.drawn
        self.looks.append(missing)

        def job():
            yield from ()
            assert self.go.wait(30)
            return Ripple((), 8, 0, (), missing)

        return job()


class FakeControl(QObject):
    changed = QtSignal()

    def __init__(self, session: FakeSession) -> None:
        super().__init__()
        self.session, self.layers = session, None


@pytest.fixture
def shown(qtbot, monkeypatch):
    # Whoever waits for the next look of a long comparison waits for ever.
    monkeypatch.setattr(ripple_controller, "_REST", 1e4)
    panel, session = RipplePanel(), FakeSession()
    qtbot.addWidget(panel)
    control = FakeControl(session)
    controller = RippleController(panel, control, lambda _window: None, panel)
    yield SimpleNamespace(panel=panel, session=session, control=control, controller=controller)
    session.go.set()
    qtbot.waitUntil(lambda: controller._worker is None, timeout=60_000)
    controller.end()


def test_the_list_is_made_anew_when_the_maps_are_complete(shown, qtbot):
    session, figure = shown.session, shown.panel.figure
    session.draw()
    shown.control.changed.emit()
    qtbot.waitUntil(lambda: "still being drawn" in figure.text(), timeout=60_000)
    qtbot.waitUntil(lambda: shown.controller._worker is None, timeout=60_000)
    session.go.clear()
    session.draw()  # asks for another look, which lasts
    qtbot.waitUntil(lambda: session.looks == [3, 2], timeout=60_000)
    qtbot.wait(20)  # the rest is a multiple of what the look takes
    session.draw()
    session.go.set()
    qtbot.waitUntil(lambda: shown.controller._worker is None, timeout=60_000)
    assert shown.controller._look.remainingTime() > 10_000, "the next look rests"
    session.draw()
    shown.control.changed.emit()  # the refresh has ended
    qtbot.waitUntil(lambda: "still being drawn" not in figure.text(), timeout=60_000)
    assert session.looks[-1] == 0


def test_tiles_that_come_during_the_last_look_are_looked_at(shown, qtbot):
    session, figure = shown.session, shown.panel.figure
    for _ in range(3):
        session.draw()
    session.go.clear()
    shown.control.changed.emit()
    qtbot.waitUntil(lambda: session.looks == [1], timeout=60_000)
    session.draw()
    shown.control.changed.emit()
    session.go.set()
    qtbot.waitUntil(lambda: session.looks == [1, 0], timeout=60_000)
    qtbot.waitUntil(lambda: bool(figure.text()), timeout=60_000)
    qtbot.waitUntil(lambda: "still being drawn" not in figure.text(), timeout=60_000)
