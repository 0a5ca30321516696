"""The panel driven as a user drives it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from napari.layers import Labels, Points

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers.map_titles import TITLES
from napari_disca.raster import open_raster


def labels_of(opened, name):
    session = opened.control.session
    return session.maps[name].read(Window.whole(session.raster.shape))


def clicks_layer(opened):
    return opened.viewer.layers["Clicks"]


def click(opened, row, col, label):
    """Choose a class, and add a point as the mouse does."""
    opened.panel.arm(label)
    layer = clicks_layer(opened)
    assert opened.viewer.layers.selection.active is layer
    assert layer.mode == "add"
    layer.add((row, col))
    opened.idle()


def press(opened, name):
    button = opened.panel.refine_panel.buttons[name]
    assert button.isEnabled(), name
    button.click()


def test_the_whole_job(opened, qtbot, tmp_path):
    """Open, segment, click, DISIR, adapt, cancel, compare, save, read back."""
    viewer, session = opened.viewer, opened.control.session
    shape = session.raster.shape
    assert {TITLES["initial"], TITLES["disir"], TITLES["disca"], "Clicks"} <= {
        layer.name for layer in viewer.layers
    }
    assert session.map_state.up_to_date("disir") == 1.0
    initial = labels_of(opened, "initial")
    np.testing.assert_array_equal(np.asarray(viewer.layers[TITLES["disir"]].data), initial + 1)

    wrong = int((initial[40, 50] + 1) % 3)
    click(opened, 40, 50, wrong)
    assert [c.pixel for c in session.document.clicks] == [(40, 50)]
    assert session.map_state.up_to_date("disir") == 1.0
    assert (labels_of(opened, "disir") != initial).any()
    np.testing.assert_array_equal(labels_of(opened, "initial"), initial)
    np.testing.assert_array_equal(
        np.asarray(viewer.layers[TITLES["disir"]].data), labels_of(opened, "disir") + 1
    )

    # One click goes half of the way; the user may say none, or all.
    opened.panel.refine_panel.recipes.setCurrentText("held-out")
    press(opened, "adapt")
    opened.idle()
    assert "one click cannot be held out" in opened.panel.refine_panel.status.text()
    opened.panel.refine_panel._form.adopt.value = "none"
    press(opened, "adapt")
    opened.idle()
    assert "Not adapted: as you chose" in opened.panel.refine_panel.status.text()
    np.testing.assert_array_equal(labels_of(opened, "disca"), labels_of(opened, "disir"))
    opened.panel.refine_panel._form.adopt.value = "full"
    opened.panel.refine_panel._form.similarity.value = 0.0

    # Cancelled once: nothing is adopted.
    steps, adapted, map_before = (
        session.document.history,
        session.document.adapted,
        labels_of(opened, "disca"),
    )
    press(opened, "adapt")
    assert opened.panel.refine_panel.buttons["cancel"].isEnabled()
    press(opened, "cancel")
    opened.idle()
    assert session.document.history == steps
    assert session.document.adapted is adapted
    np.testing.assert_array_equal(labels_of(opened, "disca"), map_before)

    press(opened, "adapt")
    opened.idle()
    assert session.document.adapted is not None
    assert session.map_state.up_to_date("disca") == 1.0
    assert (labels_of(opened, "disca") != labels_of(opened, "disir")).any()
    assert "clicks learned" in opened.panel.refine_panel.status.text()

    before = [layer.name for layer in viewer.layers]
    opened.panel.compare_panel.switch.setChecked(True)
    grid = getattr(viewer, "canvas", viewer).grid
    assert grid.enabled
    assert len(viewer.layers) == len(before) + 2
    cells = [layer.name for layer in viewer.layers if layer.visible]
    assert cells[:3] == ["scene", TITLES["disir"], "Clicks"]
    assert cells[3:] == ["scene (copy)", TITLES["disca"], "Clicks (copy)"]
    viewer.layers["Clicks (copy)"].add((200, 100))
    opened.idle()
    assert len(session.document.clicks) == 2
    assert len(viewer.layers["Clicks"].data) == 2
    opened.panel.compare_panel.switch.setChecked(False)
    assert [layer.name for layer in viewer.layers] == before
    assert not grid.enabled

    out = tmp_path / "saved map.tif"
    opened.panel.files.session_files.save_labels("disca", out)
    opened.idle()
    with rasterio.open(out) as saved, rasterio.open(opened.scene) as source:
        assert (saved.shape, saved.crs, saved.transform) == (shape, source.crs, source.transform)
        assert saved.nodata == 255
        np.testing.assert_array_equal(saved.read(1), labels_of(opened, "disca"))
        assert saved.colormap(1)[0][:3] == (0xD9, 0x5F, 0x02)
        assert saved.colormap(1)[2][:3] == (0x1B, 0x9E, 0x3E)
    assert any("Saved" in line for line in opened.said)


def test_a_real_geotiff(panel, shared, qtbot):
    from napari_disca.gui.plugin.reader import get_reader

    path = str(shared / "geotiff" / "rasterio" / "RGB.byte.tif")
    ((data, keywords, kind),) = get_reader(path)(path)
    assert kind == "image"
    assert keywords["metadata"]["napari_disca"]["crs"]
    panel.viewer.add_image(data, **keywords)
    panel.image_panel.by_hand.setChecked(True)
    panel.image_panel.factor.setValue(0.25)
    panel.segment()
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    session = panel.control.session
    assert session.network_view.factor == pytest.approx(0.25)
    labels = session.maps["disir"].read(Window.whole(session.raster.shape))
    valid = open_raster(path).valid(Window.whole(session.raster.shape))
    np.testing.assert_array_equal(labels != 255, valid)


def test_points_keep_their_class_and_the_next_gets_the_new_one(reused):
    click(reused, 10, 10, 0)
    click(reused, 50, 60, 2)
    layer = clicks_layer(reused)
    assert list(layer.features["class"]) == ["roof", "green"]
    assert not layer.selected_data
    assert [c.label for c in reused.control.session.document.clicks] == [0, 2]
    assert not np.allclose(layer.face_color[0], layer.face_color[1])


def test_a_click_beside_the_image_is_refused_with_a_word(reused):
    for where in ((-3, 5), (5, 260), (300.2, 5)):
        reused.said.clear()
        click(reused, *where, 0)
        assert not reused.control.session.document.clicks
        assert not len(clicks_layer(reused).data)
        assert any("outside the image" in line for line in reused.said), where


def test_clicks_on_the_border_pixels_count(reused):
    click(reused, -0.4, -0.4, 1)
    click(reused, 299.4, 259.4, 1)
    assert [at.pixel for at in reused.control.session.document.clicks] == [(0, 0), (299, 259)]


def test_deleting_and_moving_points_is_deleting_and_moving_clicks(reused):
    click(reused, 10, 10, 0)
    click(reused, 50, 60, 1)
    layer = clicks_layer(reused)
    layer.selected_data = {0}
    layer.remove_selected()
    reused.idle()
    session = reused.control.session
    assert [c.pixel for c in session.document.clicks] == [(50, 60)]
    assert session.map_state.up_to_date("disir") == 1.0
    layer.data = np.array([[70.0, 80.0]])
    reused.idle()
    assert [c.pixel for c in session.document.clicks] == [(70, 80)]


def test_undo_and_redo(reused):
    initial = labels_of(reused, "disir")
    click(reused, 40, 50, int((initial[40, 50] + 1) % 3))
    press(reused, "undo")
    reused.idle()
    assert not len(clicks_layer(reused).data)
    np.testing.assert_array_equal(labels_of(reused, "disir"), initial)
    press(reused, "redo")
    reused.idle()
    assert len(clicks_layer(reused).data) == 1


def test_reset_network_can_be_undone(reused):
    click(reused, 40, 50, 1)
    press(reused, "adapt")
    reused.idle()
    adapted = labels_of(reused, "disca")
    press(reused, "reset")
    reused.idle()
    np.testing.assert_array_equal(labels_of(reused, "disca"), labels_of(reused, "disir"))
    press(reused, "undo")
    reused.idle()
    np.testing.assert_array_equal(labels_of(reused, "disca"), adapted)


def test_a_click_while_adapting_is_answered_after_it(reused, qtbot):
    click(reused, 40, 50, 1)
    press(reused, "adapt")
    reused.panel.arm(2)
    clicks_layer(reused).add((200, 200))
    reused.idle()
    session = reused.control.session
    assert session.document.adapted is not None, "the click must not stop the learning"
    assert len(session.document.clicks) == 2
    assert session.map_state.up_to_date("disir") == session.map_state.up_to_date("disca") == 1.0


@pytest.mark.parametrize("name", [TITLES["initial"], TITLES["disir"], TITLES["disca"], "Clicks"])
def test_removing_a_layer_while_working_breaks_nothing(reused, name):
    click(reused, 40, 50, 1)
    press(reused, "adapt")
    reused.viewer.layers.remove(name)
    reused.idle()
    assert not [line for line in reused.said if "wrong" in line]
    press(reused, "segment")
    reused.idle()
    assert name in reused.viewer.layers, "Segment brings it back"
    assert len(reused.control.session.document.clicks) == 1
    if name == "Clicks":
        assert len(clicks_layer(reused).data) == 1


def test_renaming_layers_breaks_nothing(opened):
    for layer in list(opened.viewer.layers):
        layer.name = f"my {layer.name}"
    opened.panel.arm(1)
    opened.viewer.layers["my Clicks"].add((20, 30))
    opened.idle()
    assert len(opened.control.session.document.clicks) == 1
    opened.panel.compare_panel.switch.setChecked(True)
    opened.panel.compare_panel.switch.setChecked(False)
    assert not [line for line in opened.said if "wrong" in line]


def test_removing_the_image_while_working_ends_the_session(opened):
    click(opened, 40, 50, 1)
    press(opened, "adapt")
    opened.viewer.layers.remove("scene")
    opened.idle()
    assert opened.control.session is None
    assert not [layer for layer in opened.viewer.layers if isinstance(layer, Labels | Points)]
    assert not opened.panel.refine_panel.buttons["segment"].isEnabled()


def test_closing_the_panel_while_working_ends_the_work(opened):
    click(opened, 40, 50, 1)
    press(opened, "adapt")
    opened.panel.close()
    opened.idle()
    assert opened.control.session is None


def test_clicks_travel_as_geojson(reused, tmp_path):
    click(reused, 40, 50, 1)
    click(reused, 0, 259, 2)
    file = tmp_path / "clicks.geojson"
    reused.panel.files.session_files.save_clicks(file)
    before = reused.control.session.document.clicks
    press(reused, "undo")
    press(reused, "undo")
    reused.idle()
    reused.panel.files.session_files.load_clicks(file)
    reused.idle()
    assert reused.control.session.document.clicks == before
    file.write_text("nonsense")
    reused.panel.files.session_files.load_clicks(file)
    assert reused.control.session.document.clicks == before
    assert "nonsense" not in reused.said[-1] or "\n" not in reused.said[-1]


def test_saving_into_an_impossible_place_is_one_line_and_the_panel_lives(reused, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    reused.panel.files.session_files.save_labels("disir", tmp_path / "file" / "map.tif")
    reused.idle()
    assert len(reused.said) == 1
    assert "\n" not in reused.said[0]
    click(reused, 20, 20, 1)
    assert len(reused.control.session.document.clicks) == 1


def test_a_wrong_field_is_told_and_nothing_starts(opened, monkeypatch):
    click(opened, 40, 50, 1)
    refused = []
    opened.panel.refine_panel.refused.connect(refused.append)
    opened.panel.refine_panel._form["hold"].value = "quick"
    press(opened, "adapt")
    assert refused
    assert "quick" in refused[0]
    assert not opened.control.busy


def test_an_unexpected_error_frees_the_panel(opened, monkeypatch):
    def broken(*args):
        raise RuntimeError("boom")

    monkeypatch.setattr("napari_disca.inference.predict.Predictor.batch", broken)
    click(opened, 40, 50, 1)
    assert any("boom" in line for line in opened.said)
    assert not opened.control.busy
    monkeypatch.undo()


def test_buttons_that_make_no_sense_are_off(panel):
    buttons = panel.refine_panel.buttons
    assert not any(button.isEnabled() for button in buttons.values())
    panel.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="plain")
    enabled = {name for name, button in buttons.items() if button.isEnabled()}
    assert enabled == {"segment", "load_clicks"}


def test_an_array_without_a_file_works(panel, qtbot):
    rng = np.random.default_rng(0)
    panel.viewer.add_image(rng.integers(0, 255, (100, 90, 3), dtype=np.uint8), name="plain")
    panel.segment()
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=30_000)
    assert panel.control.session.map_state.up_to_date("disca") == 1.0
    assert panel.control.session.network_view.factor == 1.0


def test_a_factor_by_hand_is_remembered(opened, make_napari_viewer, weights):
    from napari_disca.session.preferences import recall

    opened.panel.image_panel.by_hand.setChecked(True)
    opened.panel.image_panel.factor.setValue(0.5)
    session = opened.control.session
    assert recall(session.raster, session.network.card).factor == pytest.approx(0.5)
    press(opened, "segment")
    opened.idle()
    assert opened.control.session.network_view.factor == pytest.approx(0.5)
    assert "0.5" in opened.panel.image_panel.about.text()
    opened.panel.image_panel.by_hand.setChecked(False)
    assert recall(session.raster, session.network.card) is None


def test_steps_of_the_factor_box_read_no_journal_and_nothing_on_the_windows_thread(
    opened, monkeypatch, qtbot
):
    """A fingerprint reads the image, and where that lies on a server may take long."""
    from napari_disca.gui.tasks.opening import journal_controller
    from napari_disca.session import preferences

    calls = []

    def noting(name, module):
        real = getattr(module, name)

        def noted(*arguments, **keywords):
            calls.append((name, threading.current_thread()))
            return real(*arguments, **keywords)

        monkeypatch.setattr(module, name, noted)

    for module in (preferences, journal_controller):
        noting("fingerprint", module)
    for name in ("find_journals", "read_journal"):
        noting(name, journal_controller)
    box = opened.panel.image_panel
    box.by_hand.setChecked(True)
    for step in range(1, 6):
        box.factor.setValue(0.5 + 0.05 * step)
    qtbot.waitUntil(lambda: "0.75" in box.about.text(), timeout=30_000)
    assert "fingerprint" in [name for name, _ in calls], "what is chosen is remembered"
    assert threading.main_thread() not in [thread for _, thread in calls]
    assert not [name for name, _ in calls if "journal" in name]


def test_a_bad_file_holds_up_no_window(panel, scene, qtbot, monkeypatch):
    """To look at a damaged file can take most of a minute."""
    import time

    from qtpy.QtCore import QTimer

    from napari_disca.core.errors import RasterError
    from napari_disca.raster import opening

    threads, ticks, timer = [], [], QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(10)

    def slow(path):
        threads.append(threading.current_thread())
        time.sleep(1)
        raise RasterError("it is damaged")

    monkeypatch.setattr(opening, "examine", slow)
    try:
        with pytest.raises(RasterError, match="damaged"):
            panel.viewer.open(str(scene), plugin="napari-disca")
        panel.viewer.add_image(
            np.zeros((300, 260, 3), np.uint8), metadata={"napari_disca": {"path": str(scene)}}
        )
    finally:
        timer.stop()
    assert "damaged" in panel.image_panel.about.text()
    assert len(threads) == 2
    assert threading.main_thread() not in threads
    assert len(ticks) >= 10


def test_the_refresh_after_learning_is_a_task_of_its_own(reused, monkeypatch):
    click(reused, 40, 50, 1)
    control, kinds = reused.control, []
    ask = control.submit

    def noted(task):
        kinds.append(task.kind)
        ask(task)

    monkeypatch.setattr(control, "submit", noted)
    press(reused, "adapt")
    reused.idle()
    assert kinds == ["learn", "map"]
    assert control.session.document.adapted is not None
    assert control.session.map_state.up_to_date("disca") == 1.0


def test_a_network_that_is_none_is_refused_and_the_old_one_stays(opened, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr("napari_disca.gui.panels.image.image_panel.show_error", said.append)
    before = opened.panel.image_panel.weights()
    (tmp_path / "bad.safetensors").write_bytes(b"garbage")
    opened.panel.image_panel.add_network(tmp_path / "bad.safetensors")
    assert opened.panel.image_panel.weights() == before
    assert len(said) == 1


def test_progress_is_told_now_and_then_and_its_end_at_once(panel, qtbot, monkeypatch):
    from napari_disca.core.events import Progress

    events = []
    monkeypatch.setattr(panel.refine_panel, "show_progress", events.append)
    for done in range(50):
        panel.control.progressed.emit(Progress("updating the map", done, 50))
    assert len(events) < 10
    qtbot.waitUntil(lambda: events[-1].done == 49, timeout=5000)
    panel.control.progressed.emit(Progress("updating the map", 50, 50))
    panel.control.progressed.emit(Progress("", 0, 0))
    assert events[-1].total == 0


def test_the_panel_is_measured_once_for_all_that_changes_in_it(panel, qtbot, monkeypatch):
    body, bar = panel.widget(), panel.refine_panel
    with qtbot.waitExposed(panel):
        panel.viewer.window._qt_window.show()
    qtbot.wait(50)
    measured = []
    fit = panel._fit
    monkeypatch.setattr(panel, "_fit", lambda: measured.append(fit()))
    for i in range(20):
        bar.status.setText(f"{i} %")
        panel._show()
    assert not measured
    panel.start_panel.open.setText("A very long text for a button of this panel")
    # Sections within sections are laid out one after another.

    def fits() -> bool:
        return bool(measured) and panel.minimumWidth() > body.minimumSizeHint().width()

    qtbot.waitUntil(fits, timeout=5000)
    assert len(measured) < 10


@pytest.fixture
def loading(panel, scene, monkeypatch):
    """An image that is being opened: where its network is loaded, and what lets that end."""
    from napari_disca.gui.tasks.opening import session_opening
    from napari_disca.gui.tasks.opening.layer_data import layer_data

    load, threads, go = session_opening.load_network, [], threading.Event()

    def slow(*arguments, **options):
        threads.append(threading.current_thread())
        assert go.wait(60)
        return load(*arguments, **options)

    monkeypatch.setattr(session_opening, "load_network", slow)
    data, keywords, _ = layer_data(scene)
    panel.viewer.add_image(data, **keywords)
    panel.segment()
    yield threads, go
    go.set()


def test_the_window_answers_while_the_network_is_loaded(panel, loading, qtbot):
    threads, go = loading
    panel.arm(1)
    assert panel.control.session is None
    assert panel.control.busy
    assert panel.refine_panel.buttons["cancel"].isEnabled()
    assert "network" in panel.refine_panel.status.text()
    go.set()
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=60_000)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    assert panel.control.session.map_state.up_to_date("disir") == 1.0
    assert panel.viewer.layers["Clicks"].mode == "add"


@pytest.mark.parametrize("how", ["cancel", "another image", "close"])
def test_an_opening_that_nobody_wants_any_more_comes_to_nothing(how, panel, loading, qtbot):
    from napari_disca.gui.tasks.opening.session_opening import _AT_WORK

    threads, go = loading
    if how == "cancel":
        panel.refine_panel.buttons["cancel"].click()
    elif how == "close":
        panel.control.close()
    else:
        panel.viewer.add_image(np.zeros((64, 64, 3), np.uint8), name="plain")
        images = panel.image_panel.images
        images.setCurrentIndex(images.findText("plain"))
    assert not panel.control.busy
    go.set()
    qtbot.waitUntil(lambda: bool(threads) and not _AT_WORK, timeout=60_000)
    assert panel.control.session is None
    assert TITLES["disir"] not in panel.viewer.layers


def test_features_may_go_to_disk_when_the_user_says_so(opened):
    verbs, session = opened.panel.refine_panel, opened.control.session
    assert session._caches.disk == 0, "nothing that was not asked for"
    verbs.disk.setValue(2)
    assert session._caches.disk == 2 << 30
    verbs.recipes.setCurrentText("paper")
    assert verbs.disk.value() == 2, "no recipe's business"
    verbs.precision.setCurrentText("float32")
    opened.panel.segment()
    opened.idle()
    assert opened.control.session is not session
    assert opened.control.session._caches.disk == 2 << 30
