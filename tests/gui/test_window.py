"""What only a whole window shows: the mouse, views side by side, closing, several images."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from qtpy.QtCore import QThreadPool
from wrapt import ObjectProxy

from napari_disca.core.events import Progress
from napari_disca.core.tiling import Window
from napari_disca.gui.panels.correction.compare_panel import _said
from napari_disca.gui.tasks.opening.layer_data import layer_data
from napari_disca.gui.viewer.layers.map_titles import TITLES


def mouse(layer, position, kind):
    """What napari hands to a layer's mouse callbacks."""

    class Event:
        type = kind
        pos = np.array([10.0, 10.0])
        modifiers = ()
        button = 1
        dims_displayed = (0, 1)
        view_direction = None
        is_dragging = kind == "mouse_move"
        handled = False

    event = Event()
    event.position = position
    return ObjectProxy(event)  # napari exchanges what is inside while a drag goes on


def press_and_release(layer, position):
    mouse_press_callbacks(layer, mouse(layer, position, "mouse_press"))
    mouse_release_callbacks(layer, mouse(layer, position, "mouse_release"))


def drag(layer, start, end):
    mouse_press_callbacks(layer, mouse(layer, start, "mouse_press"))
    for share in (0.5, 1.0):
        where = tuple(np.array(start) + share * (np.array(end) - start))
        mouse_move_callbacks(layer, mouse(layer, where, "mouse_move"))
    mouse_release_callbacks(layer, mouse(layer, end, "mouse_release"))


def test_a_mouse_click_is_a_click_of_the_armed_class(reused, qtbot):
    reused.panel.arm(1)
    layer = reused.viewer.layers["Clicks"]
    press_and_release(layer, (40.4, 49.6))
    reused.idle()
    (click,) = reused.control.session.document.clicks
    assert (click.row, click.col, click.label) == (40, 50, 1)
    assert not layer.selected_data, "else the next class chosen would change it"


def test_a_dragged_click_moves_in_one_step_and_replaces_what_it_lands_on(reused, qtbot):
    session = reused.control.session
    layer = reused.viewer.layers["Clicks"]
    for position, label in (((40, 50), 1), ((200, 100), 2)):
        reused.panel.arm(label)
        layer.add(position)
        reused.idle()
    layer.mode = "select"
    before = len(session.document.history)
    drag(layer, (40, 50), (200, 100))
    reused.idle()
    assert [(c.pixel, c.label) for c in session.document.clicks] == [((200, 100), 1)]
    assert len(session.document.history) == before + 1
    drag(layer, (200, 100), (-50, 100))
    reused.idle()
    assert [c.pixel for c in session.document.clicks] == [(200, 100)], "not out of the image"
    np.testing.assert_array_equal(layer.data, [[200, 100]])


def test_each_view_has_its_image_map_and_clicks_on_top(reused):
    reused.panel.compare_panel.switch.setChecked(True)
    layers, grid = reused.viewer.layers, reused.viewer.canvas.grid
    cells = [[layers[i].name for i in inside] for _, inside in grid.iter_viewboxes(layers)]
    assert cells == [
        ["scene", TITLES["disir"], "Clicks"],
        ["scene (copy)", TITLES["disca"], "Clicks (copy)"],
    ]
    assert layers["scene (copy)"].data is layers["scene"].data, "the pixels are shared"
    images = reused.panel.image_panel.images
    assert [images.itemText(i) for i in range(images.count())] == ["scene"]


def test_comparing_restores_what_was(opened):
    viewer = opened.viewer
    viewer.layers[TITLES["initial"]].visible = True
    viewer.layers[TITLES["disir"]].visible = False
    viewer.layers.move(0, 2)
    before = [(layer.name, layer.visible) for layer in viewer.layers]
    opened.panel.compare_panel.switch.setChecked(True)
    assert all(viewer.layers[name].visible for name in (TITLES["disir"], TITLES["disca"]))
    assert not viewer.layers[TITLES["initial"]].visible
    opened.panel.compare_panel.switch.setChecked(False)
    assert [(layer.name, layer.visible) for layer in viewer.layers] == before


@pytest.mark.parametrize(
    "name",
    ["scene (copy)", "Clicks (copy)", TITLES["disir"], TITLES["disca"], "Clicks"],
)
def test_removing_a_part_of_a_view_ends_the_comparison(reused, qtbot, name):
    reused.panel.compare_panel.switch.setChecked(True)
    reused.viewer.layers.remove(name)
    qtbot.waitUntil(lambda: not reused.control.layers.comparing, timeout=2000)
    assert not reused.viewer.canvas.grid.enabled
    assert not [layer for layer in reused.viewer.layers if layer.name.endswith("(copy)")]
    reused.panel.arm(1)
    reused.viewer.layers["Clicks"].add((20, 30))
    reused.idle()
    assert reused.control.session.map_state.up_to_date("disca") == 1.0


def test_the_session_follows_the_camera(reused):
    viewer, session = reused.viewer, reused.control.session
    whole = Window.whole(session.raster.shape)
    reused.viewer.layers["scene"].corner_pixels = np.array([[100, 50], [150, 120]])
    reused.control._follow_view()
    assert session.viewport.window == Window(100, 50, 51, 71)
    reused.viewer.layers["scene"].corner_pixels = np.array([[-100, -50], [900, 900]])
    reused.control._follow_view()
    assert session.viewport.window == whole
    reused.panel.arm(0)
    layer = viewer.layers["Clicks"]
    layer.add((40, 50))
    for zoom in (0.1, 1.0, 30.0):
        viewer.scene.camera.zoom = zoom
        reused.control._follow_view()
        assert layer.size[0] * zoom == pytest.approx(15, rel=0.06), "the same size on screen"


@pytest.mark.parametrize("how", ["window", "dock"])
def test_closing_while_working_ends_the_work(opened, qtbot, monkeypatch, how):
    ticks = []

    def endless(*_):
        while True:
            ticks.append(1)
            time.sleep(0.01)
            yield Progress("for ever", 0, 1)

    monkeypatch.setattr(opened.control.session, "refine", lambda: endless())
    opened.control.segment()
    qtbot.waitUntil(lambda: bool(ticks), timeout=5000)
    if how == "window":
        opened.viewer.close()
    else:
        opened.viewer.window.remove_dock_widget(opened.panel)
    qtbot.waitUntil(lambda: QThreadPool.globalInstance().activeThreadCount() == 0, timeout=10_000)
    if how == "dock":
        names = {layer.name for layer in opened.viewer.layers}
        assert {TITLES["disir"], TITLES["disca"], "Clicks"} <= names, (
            "closing the panel keeps the results"
        )
        opened.viewer.layers["Clicks"].add((20, 30))


def test_another_image_gets_none_of_the_events_of_the_first(opened, qtbot, tmp_path):
    panel, control, first = opened.panel, opened.control, opened.control.session
    panel.arm(1)
    opened.viewer.layers["Clicks"].add((40, 50))
    opened.idle()
    clicks = first.document.clicks
    rng = np.random.default_rng(0)
    other = opened.viewer.add_image(rng.integers(0, 255, (90, 80, 3), dtype=np.uint8), name="other")
    images = panel.image_panel.images
    panel.refine_panel.buttons["adapt"].click()
    images.setCurrentIndex(images.findData(other))
    assert not panel.refine_panel.buttons["adapt"].isEnabled()
    assert "Segment" in panel.refine_panel.status.text()
    panel.refine_panel.buttons["segment"].click()  # while the first image's network learns
    opened.idle()
    assert control.session is not first
    assert control.session.raster.shape == (90, 80)
    assert control.session.document.adapted is None
    assert control.session.map_state.up_to_date("disca") == 1.0
    assert not [line for line in opened.said if "wrong" in line]

    images.setCurrentIndex(images.findText("scene"))
    panel.refine_panel.buttons["segment"].click()
    opened.idle()
    assert control.session.document.clicks == clicks, "the clicks of an image wait for its return"


def test_renaming_the_image_is_seen_in_the_panel(opened):
    opened.viewer.layers["scene"].name = "my town"
    assert opened.panel.image_panel.images.currentText() == "my town"
    assert opened.panel.opening.session() is opened.control.session


def test_napari_hands_plugins_a_guarded_viewer(make_napari_viewer_proxy, scene, weights, qtbot):
    from napari_disca.gui.window.widget import DiscaWidget

    viewer = make_napari_viewer_proxy()
    panel = DiscaWidget(viewer)
    viewer.window.add_dock_widget(panel)
    data, keywords, _ = layer_data(scene)
    viewer.add_image(data, **keywords)
    panel.image_panel.choose_network(str(weights))
    panel.segment()
    panel.arm(1)
    qtbot.waitUntil(lambda: panel.control.session is not None, timeout=60_000)
    assert viewer.layers["Clicks"].mode == "add"
    viewer.layers["Clicks"].add((40, 50))
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert len(panel.control.session.document.clicks) == 1
    panel.compare_panel.switch.setChecked(True)
    panel.compare_panel.switch.setChecked(False)
    viewer.layers.remove("scene")
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert panel.control.session is None


def test_disabled_buttons_say_why(reused):
    buttons = reused.panel.refine_panel.buttons
    assert "there are no clicks" in buttons["adapt"].toolTip()
    assert "nothing runs" in buttons["cancel"].toolTip()
    reused.panel.arm(1)
    reused.viewer.layers["Clicks"].add((40, 50))
    reused.idle()
    assert "Not now" not in buttons["adapt"].toolTip()


def test_any_of_the_maps_can_be_saved(reused, monkeypatch, tmp_path):
    saves = reused.panel.refine_panel.saves
    assert {name for name, action in saves.items() if action.isEnabled()} == {"disir", "initial"}
    monkeypatch.setattr(
        "napari_disca.gui.window.dialogs.QFileDialog.getSaveFileName",
        lambda *_: (str(tmp_path / "mine"), ""),
    )
    saves["initial"].trigger()
    reused.idle()
    assert (tmp_path / "mine.tif").exists()


def test_a_map_that_is_not_finished_is_saved_with_a_warning(opened, tmp_path):
    opened.control.session._maps.versions.put("disir", 0, "")
    opened.panel.files.session_files.save_labels("disir", tmp_path / "part.tif")
    opened.idle()
    (line,) = opened.said
    assert "not up to date" in line


def test_the_remaining_time_is_told(reused, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(
        "napari_disca.gui.panels.correction.refine_panel.time.monotonic", lambda: now[0]
    )
    panel = reused.panel.refine_panel
    panel.show_progress(Progress("updating the map", 0, 40))
    now[0] += 12
    panel.show_progress(Progress("updating the map", 12, 40))
    assert panel.stage.text() == "Updating the map · 12 of 40 · about 28\N{NO-BREAK SPACE}s left"
    assert panel.bar.value() == 12
    panel.show_progress(Progress("", 0, 0))
    assert panel.stage.text() == "The map is up to date"


def test_how_maps_differ_is_told():
    disir = np.array([[0, 1, 1, 2], [2, 2, 1, 1]], np.uint8)
    disca = np.array([[1, 1, 2, 2], [2, 2, 2, 0]], np.uint8)
    assert _said(disir, disca, ["roof", "road"]) == (
        "They differ in 33.3 % of the pixels, most of all roof → road (33.3 %)"
    )
    assert "same" in _said(disir, disir, ["roof", "road"])
    assert not _said(disir, disir * 0, ["roof", "road"])


def test_hovering_a_map_names_the_class(reused):
    layer = reused.viewer.layers[TITLES["disir"]]
    value = int(np.asarray(layer.data)[40, 50])
    text = str(layer.get_status((40, 50), view_direction=None, dims_displayed=[0, 1]))
    assert reused.control.session.document.classes[value - 1].name in text
