"""Areas are locked in the window: drawn, by the view, from a file; and let go of again."""

from __future__ import annotations

import numpy as np

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers.map_titles import TITLES
from windows import click, labels_of, press


def draw(reused, corners):
    """As napari does at the end of a polygon."""
    reused.panel.locks_panel.buttons["draw"].click()
    layer = reused.viewer.layers["Locked areas"]
    assert reused.viewer.layers.selection.active is layer
    assert layer.mode == "add_polygon"
    layer.add_polygons([np.array(corners, dtype=float)])
    reused.idle()
    reused.idle()
    return layer


def test_a_drawn_area_is_locked_and_a_deleted_one_is_not(reused, qtbot):
    click(reused, 40, 50, 1)
    session = reused.control.session
    layer = draw(reused, [(20, 20), (20, 120), (120, 120), (120, 20)])
    (lock,) = session.document.locks
    assert lock.area.window == Window(20, 20, 101, 101)
    assert layer.nshapes == 1
    before = labels_of(session, "disir")[21:120, 21:120]
    click(reused, 60, 60, int(before[39, 39] + 1) % 3)
    press(reused, "adapt")
    for name in ("disir", "disca"):
        np.testing.assert_array_equal(labels_of(session, name)[21:120, 21:120], before)
    text = reused.panel.locks_panel.figure.text()
    assert text.startswith("1 area, 10,000 pixels; the last adaptation would have changed")
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.waitUntil(lambda: not session.document.locks, timeout=5000)
    reused.idle()
    assert session.map_state.up_to_date("disca") == 1.0
    press(reused, "undo")
    assert len(session.document.locks) == 1
    assert layer.nshapes == 1
    np.testing.assert_array_equal(labels_of(session, "disca")[21:120, 21:120], before)


def test_an_area_that_is_drawn_after_one_was_undone_is_locked(reused):
    draw(reused, [(20, 20), (20, 120), (120, 120), (120, 20)])
    press(reused, "undo")
    assert not reused.control.session.document.locks
    layer = draw(reused, [(150, 20), (150, 120), (250, 120), (250, 20)])
    (lock,) = reused.control.session.document.locks
    assert lock.area.window == Window(150, 20, 101, 101)
    assert layer.nshapes == 1


def test_a_locked_area_cannot_be_moved(reused, qtbot):
    layer = draw(reused, [(20, 20), (20, 120), (120, 120), (120, 20)])
    before = layer.data[0].copy()
    layer.data = [before + 30]
    qtbot.wait(20)
    np.testing.assert_allclose(layer.data[0], before)
    assert len(reused.control.session.document.locks) == 1
    assert len(reused.control.session.document.history) == 2


def test_the_view_is_locked_and_unlocked(reused):
    reused.viewer.layers["scene"].corner_pixels = np.array([[100, 50], [150, 120]])
    press(reused, "view", "locks_panel")
    (lock,) = reused.control.session.document.locks
    assert lock.area.window == Window(100, 50, 51, 71)
    press(reused, "unlock", "locks_panel")
    assert not reused.control.session.document.locks
    assert not reused.panel.locks_panel.buttons["unlock"].isEnabled()


def test_areas_travel_as_geojson(reused, tmp_path, monkeypatch):
    reused.viewer.layers["scene"].corner_pixels = np.array([[100, 50], [150, 120]])
    press(reused, "view", "locks_panel")
    file = tmp_path / "areas.geojson"
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(
            f"napari_disca.gui.window.dialogs.QFileDialog.{name}", lambda *_: (str(file), "")
        )
    press(reused, "save", "locks_panel")
    digest = reused.control.session.document.locks[0].area.digest
    press(reused, "undo")
    press(reused, "load", "locks_panel")
    assert [lock.area.digest for lock in reused.control.session.document.locks] == [digest]
    file.write_text("nonsense")
    reused.panel.files.session_files.load_areas(file)
    assert len(reused.control.session.document.locks) == 1
    assert "areas.geojson" in reused.said[-1]


def test_what_is_not_drawn_yet_cannot_be_locked(reused):
    session = reused.control.session
    for tile in session.tiling:
        session._maps.versions.put("disir", tile.index, "")
    reused.control.locking.lock_view()
    assert not reused.control.session.document.locks
    assert "still being computed" in reused.said[-1]


def test_comparing_with_areas_keeps_the_cells(reused):
    draw(reused, [(20, 20), (20, 120), (120, 120), (120, 20)])
    before = [layer.name for layer in reused.viewer.layers]
    assert before.index("Locked areas") < before.index("Clicks")
    reused.panel.compare_panel.switch.setChecked(True)
    layers, grid = reused.viewer.layers, reused.viewer.canvas.grid
    cells = [[layers[i].name for i in inside] for _, inside in grid.iter_viewboxes(layers)]
    assert cells[0][:3] == ["scene", TITLES["disir"], "Clicks"]
    reused.panel.compare_panel.switch.setChecked(False)
    assert [layer.name for layer in reused.viewer.layers] == before
