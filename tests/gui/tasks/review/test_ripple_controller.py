"""When the list of what an adaptation changed is made anew."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from psygnal import Signal
from qtpy.QtCore import QObject, Qt
from qtpy.QtCore import Signal as QtSignal
from qtpy.QtWidgets import QAbstractSlider

from napari_disca.core.events import Patch
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.review.ripple_panel import RipplePanel
from napari_disca.gui.tasks.review import ripple_comparison
from napari_disca.gui.tasks.review.ripple_controller import RippleController
from napari_disca.gui.viewer.canvas.camera import camera_of
from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.raster import open_raster
from napari_disca.session.regions.ripple import Ripple

TILES = 4


class FakeSession:
    """A session that was adapted, and whose tiles are computed one after the other."""

    painted = Signal(object)

    def __init__(self) -> None:
        self.painted_tiles = 0
        self.looks: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.document = SimpleNamespace(adapted=object(), step=object(), classes=())
        self.proposals = SimpleNamespace(current=None, strength=None, ripple=self._ripple)
        self.map_state = SimpleNamespace(up_to_date=lambda _name: self.painted_tiles / TILES)
        self.viewport = SimpleNamespace(window=Window(0, 0, 8, 8))
        self.raster = open_raster(np.zeros((8, 8, 3), np.uint8))

    def paint_tile(self) -> None:
        self.painted_tiles += 1
        self.painted.emit(Patch("disca", Window(0, 0, 4, 4), np.zeros((4, 4), np.uint8)))

    def _ripple(self, least, view):
        missing = TILES - self.painted_tiles
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
    monkeypatch.setattr(ripple_comparison, "_REST", 1e4)
    panel, session = RipplePanel(), FakeSession()
    qtbot.addWidget(panel)
    control = FakeControl(session)
    controller = RippleController(panel, control, lambda _window: None, panel)
    yield SimpleNamespace(panel=panel, session=session, control=control, controller=controller)
    session.go.set()
    qtbot.waitUntil(lambda: not controller.comparison._background.running, timeout=60_000)
    controller.end()


def test_the_list_is_made_anew_when_the_maps_are_complete(shown, qtbot):
    session, figure = shown.session, shown.panel.figure
    session.paint_tile()
    shown.control.changed.emit()
    qtbot.waitUntil(lambda: "still being computed" in figure.text(), timeout=60_000)
    qtbot.waitUntil(lambda: not shown.controller.comparison._background.running, timeout=60_000)
    session.go.clear()
    session.paint_tile()  # asks for another look, which lasts
    qtbot.waitUntil(lambda: session.looks == [3, 2], timeout=60_000)
    qtbot.wait(20)  # the rest is a multiple of what the look takes
    session.paint_tile()
    session.go.set()
    qtbot.waitUntil(lambda: not shown.controller.comparison._background.running, timeout=60_000)
    assert shown.controller.comparison._timer.remainingTime() > 10_000, "the next look rests"
    session.paint_tile()
    shown.control.changed.emit()  # the refresh has ended
    qtbot.waitUntil(lambda: "still being computed" not in figure.text(), timeout=60_000)
    assert session.looks[-1] == 0


def test_tiles_that_come_during_the_last_look_are_looked_at(shown, qtbot):
    session, figure = shown.session, shown.panel.figure
    for _ in range(3):
        session.paint_tile()
    session.go.clear()
    shown.control.changed.emit()
    qtbot.waitUntil(lambda: session.looks == [1], timeout=60_000)
    session.paint_tile()
    shown.control.changed.emit()
    session.go.set()
    qtbot.waitUntil(lambda: session.looks == [1, 0], timeout=60_000)
    qtbot.waitUntil(lambda: bool(figure.text()), timeout=60_000)
    qtbot.waitUntil(lambda: "still being computed" not in figure.text(), timeout=60_000)


SHIFT = Qt.KeyboardModifier.ShiftModifier


@pytest.fixture(scope="module")
def architecture() -> str:
    """A network that clicks change elsewhere; the tiny one's answer stays as it is."""
    return "linknet"


@pytest.fixture
def adapted(reused, qtbot):
    """A scene with clicks, one adaptation, and the list of what it changed."""
    shown = reused
    shown.viewer.window._qt_window.resize(1280, 800)
    shown.viewer.window.show()
    session = shown.control.session
    rng = np.random.default_rng(0)
    for row, col, label in rng.integers(0, (300, 260, 3), (6, 3)).tolist():
        session.document.click(row, col, label)
    shown.idle()
    for row in shown.panel.refine_panel._form:
        if row.name == "strength":
            row.value = 3.0
    shown.panel.refine_panel.buttons["adapt"].click()
    shown.idle()
    panel = shown.panel.ripple_panel

    def settled():
        shown.idle()
        ripple = shown.panel.ripple

        def done():
            found = ripple.comparison.ripple
            calm = ripple.comparison.settled
            return calm and found is not None and not found.missing

        qtbot.waitUntil(done, timeout=30_000)

    shown.settled = settled
    settled()
    assert panel.list.count()
    return shown


def drawn(shown, name="disca"):
    session = shown.control.session
    return session.maps[name].read(Window.whole(session.raster.shape))


def test_the_list_names_transitions_and_areas_and_flies_there(adapted, qtbot):
    panel, session = adapted.panel.ripple_panel, adapted.control.session
    first = panel.list.item(0).text()
    assert "→" in first
    assert "m²" in first or "ha" in first
    assert "The adaptation has changed" in panel.figure.text()
    qtbot.keyClick(main_window(adapted.panel), Qt.Key.Key_J)
    region = panel.selected
    assert panel.list.currentRow() == 0
    assert drawn(adapted)[region.pixel] == region.after
    assert drawn(adapted, "disir")[region.pixel] == region.before
    middle = camera_of(adapted.viewer).center[-2:]
    # The scene has a metre a pixel, and its layers may lie on a map.
    layer = adapted.control.layers.image
    wanted = np.asarray(layer.data_to_world((*[0] * (layer.ndim - 2), *region.window.centre)))[-2:]
    np.testing.assert_allclose(middle, wanted, atol=1e-6)
    assert session.document.can_undo


def test_x_rejects_the_region_and_goes_on_to_the_next(adapted, qtbot):
    panel, session = adapted.panel.ripple_panel, adapted.control.session
    before = drawn(adapted)
    qtbot.keyClick(main_window(adapted.panel), Qt.Key.Key_J)
    region, count = panel.selected, panel.list.count()
    qtbot.keyClick(panel.list, Qt.Key.Key_X)
    adapted.settled()
    after = drawn(adapted)
    assert len(session.document.verdicts) == 1
    assert (after != before).sum() == region.area
    assert after[region.pixel] == region.before
    assert session.document.verdicts[-1].kind == "rejected"
    assert panel.list.count() == min(count, len(adapted.panel.ripple.comparison.ripple.regions))
    assert panel.list.currentRow() == 0
    qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    adapted.settled()
    np.testing.assert_array_equal(drawn(adapted), before)


def test_y_accepts_and_all_are_accepted_or_rejected_with_shift(adapted, qtbot):
    session, window = adapted.control.session, main_window(adapted.panel)
    qtbot.keyClick(window, Qt.Key.Key_J)
    qtbot.keyClick(window, Qt.Key.Key_Y)
    adapted.settled()
    assert session.document.verdicts[-1].kind == "accepted"
    qtbot.keyClick(window, Qt.Key.Key_X, SHIFT)
    adapted.settled()
    np.testing.assert_array_equal(drawn(adapted), drawn(adapted, "disir"))
    assert session.proposals.current is None
    buttons = adapted.panel.ripple_panel.buttons
    assert not buttons["accept_all"].isEnabled()
    assert "judged already" in buttons["accept_all"].toolTip()
    session.document.undo()
    assert buttons["accept_all"].isEnabled()
    qtbot.keyClick(window, Qt.Key.Key_Y, SHIFT)
    adapted.settled()
    assert session.proposals.current is None
    assert adapted.panel.ripple_panel.list.count() == 0


def test_regions_are_judged_one_after_the_other_without_waiting(adapted, qtbot):
    panel, session = adapted.panel.ripple_panel, adapted.control.session
    assert panel.list.count() > 4
    regions = adapted.panel.ripple.comparison.ripple.regions
    qtbot.keyClick(panel.list, Qt.Key.Key_J)
    for key in (Qt.Key.Key_Y, Qt.Key.Key_X, Qt.Key.Key_Y):
        qtbot.keyClick(main_window(adapted.panel), key)
    kinds = [verdict.kind for verdict in session.document.verdicts]
    assert kinds == ["accepted", "rejected", "accepted"], adapted.viewer.status
    assert panel.selected == regions[3]
    adapted.settled()
    assert panel.selected == regions[3]
    left = adapted.panel.ripple.comparison.ripple.regions
    assert not {region.pixel for region in regions[:3]} & {region.pixel for region in left}
    for _ in range(3):
        qtbot.keyClick(panel.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    adapted.settled()
    assert adapted.panel.ripple.comparison.ripple.regions == regions


def test_arrows_go_along_the_list_from_the_canvas(adapted, qtbot):
    panel = adapted.panel.ripple_panel
    adapted.panel.drawing.tool.watch()
    canvas = adapted.panel.drawing.tool._canvas
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert panel.selected is None  # nothing is outlined: the key is napari's
    qtbot.keyClick(canvas, Qt.Key.Key_J)
    for key, row in ((Qt.Key.Key_Left, 0), (Qt.Key.Key_Right, 1)):
        qtbot.keyClick(canvas, key)
        assert panel.list.currentRow() == row
    # What arrows move keeps them.
    strength = panel.slider
    before = strength.value()
    qtbot.keyClick(strength.findChild(QAbstractSlider), Qt.Key.Key_Left)
    assert panel.list.currentRow() == 1
    assert strength.value() < before


def test_o_keeps_only_what_is_near_the_clicks(adapted, qtbot):
    session = adapted.control.session
    qtbot.keyClick(main_window(adapted.panel), Qt.Key.Key_O)
    adapted.settled()
    assert session.document.history[-1].title == "only near the clicks"
    assert session.document.adapted.near_only


def test_w_blinks_while_it_is_held(adapted, qtbot):
    window, maps = main_window(adapted.panel), adapted.control.layers.maps
    assert maps["disca"].visible
    qtbot.keyPress(window, Qt.Key.Key_W)
    assert maps["disir"].visible
    assert not maps["disca"].visible
    qtbot.waitUntil(lambda: maps["disca"].visible, timeout=3000)
    qtbot.waitUntil(lambda: maps["disir"].visible, timeout=3000)
    qtbot.keyRelease(window, Qt.Key.Key_W)
    assert maps["disca"].visible
    assert not maps["disir"].visible


def test_the_panel_is_there_only_after_an_adaptation(reused):
    assert not reused.panel.ripple_panel.isVisibleTo(reused.panel)


def test_the_region_that_is_judged_is_outlined(adapted, qtbot):
    panel, control = adapted.panel, adapted.control
    listed, tool = panel.ripple_panel.list, panel.drawing.tool
    assert tool._place is None
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_J)
    assert tool._place == panel.ripple_panel.selected.window
    qtbot.keyClick(listed, Qt.Key.Key_Down)
    assert tool._place == panel.ripple_panel.selected.window
    # A review has the outline while it goes on, and gives it back.
    qtbot.keyClick(listed, Qt.Key.Key_T)
    assert tool._place == control.review.place != panel.ripple_panel.selected.window
    qtbot.keyClick(listed, Qt.Key.Key_J)
    assert control.review.place is None
    assert tool._place == panel.ripple_panel.selected.window
    qtbot.keyClick(listed, Qt.Key.Key_Escape)
    assert tool._place is None
    assert panel.ripple_panel.selected is None
    # What is accepted is outlined no more; the next one is.
    qtbot.keyClick(listed, Qt.Key.Key_J)
    first = panel.ripple_panel.selected
    qtbot.keyClick(listed, Qt.Key.Key_Y)
    adapted.settled()
    chosen = panel.ripple_panel.selected
    assert chosen != first
    assert tool._place == (None if chosen is None else chosen.window)
