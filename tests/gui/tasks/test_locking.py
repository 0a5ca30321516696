"""Areas are locked in the window: drawn, by the view, from a file; and let go of again."""

from __future__ import annotations

import numpy as np

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.layers.map_titles import TITLES
from windows import click, labels_of, press


def draw(kept, corners):
    """As napari does at the end of a polygon."""
    kept.panel.locks_panel.buttons["draw"].click()
    layer = kept.viewer.layers["Locked areas"]
    assert kept.viewer.layers.selection.active is layer
    assert layer.mode == "add_polygon"
    layer.add_polygons([np.array(corners, dtype=float)])
    kept.idle()
    kept.idle()
    return layer


def test_a_drawn_area_is_locked_and_a_deleted_one_is_not(kept, qtbot):
    click(kept, 40, 50, 1)
    session = kept.control.session
    layer = draw(kept, [(20, 20), (20, 120), (120, 120), (120, 20)])
    (lock,) = session.locks
    assert lock.area.window == Window(20, 20, 101, 101)
    assert layer.nshapes == 1
    before = labels_of(session, "disir")[21:120, 21:120]
    click(kept, 60, 60, int(before[39, 39] + 1) % 3)
    press(kept, "adapt")
    for name in ("disir", "disca"):
        np.testing.assert_array_equal(labels_of(session, name)[21:120, 21:120], before)
    text = kept.panel.locks_panel.figure.text()
    assert text.startswith("1 area, 10,000 pixels; the last adaptation would have changed")
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.waitUntil(lambda: not session.locks, timeout=5000)
    kept.idle()
    assert session.map_state.up_to_date("disca") == 1.0
    press(kept, "undo")
    assert len(session.locks) == 1
    assert layer.nshapes == 1
    np.testing.assert_array_equal(labels_of(session, "disca")[21:120, 21:120], before)


def test_an_area_that_is_drawn_after_one_was_undone_is_locked(kept):
    draw(kept, [(20, 20), (20, 120), (120, 120), (120, 20)])
    press(kept, "undo")
    assert not kept.control.session.locks
    layer = draw(kept, [(150, 20), (150, 120), (250, 120), (250, 20)])
    (lock,) = kept.control.session.locks
    assert lock.area.window == Window(150, 20, 101, 101)
    assert layer.nshapes == 1


def test_a_locked_area_cannot_be_moved(kept, qtbot):
    layer = draw(kept, [(20, 20), (20, 120), (120, 120), (120, 20)])
    before = layer.data[0].copy()
    layer.data = [before + 30]
    qtbot.wait(20)
    np.testing.assert_allclose(layer.data[0], before)
    assert len(kept.control.session.locks) == 1
    assert len(kept.control.session.history) == 2


def test_the_view_is_locked_and_unlocked(kept):
    kept.viewer.layers["scene"].corner_pixels = np.array([[100, 50], [150, 120]])
    press(kept, "view", "locks_panel")
    (lock,) = kept.control.session.locks
    assert lock.area.window == Window(100, 50, 51, 71)
    press(kept, "unlock", "locks_panel")
    assert not kept.control.session.locks
    assert not kept.panel.locks_panel.buttons["unlock"].isEnabled()


def test_areas_travel_as_geojson(kept, tmp_path, monkeypatch):
    kept.viewer.layers["scene"].corner_pixels = np.array([[100, 50], [150, 120]])
    press(kept, "view", "locks_panel")
    file = tmp_path / "areas.geojson"
    for name in ("getSaveFileName", "getOpenFileName"):
        monkeypatch.setattr(
            f"napari_disca.gui.window.dialogs.QFileDialog.{name}", lambda *_: (str(file), "")
        )
    press(kept, "save", "locks_panel")
    digest = kept.control.session.locks[0].area.digest
    press(kept, "undo")
    press(kept, "load", "locks_panel")
    assert [lock.area.digest for lock in kept.control.session.locks] == [digest]
    file.write_text("nonsense")
    kept.panel.files.session_files.load_areas(file)
    assert len(kept.control.session.locks) == 1
    assert "areas.geojson" in kept.said[-1]


def test_what_is_not_drawn_yet_cannot_be_locked(kept):
    session = kept.control.session
    for tile in session.tiling:
        session._maps.versions.put("disir", tile.index, "")
    kept.control.locking.lock_view()
    assert not kept.control.session.locks
    assert "still being computed" in kept.said[-1]


def test_comparing_with_areas_keeps_the_cells(kept):
    draw(kept, [(20, 20), (20, 120), (120, 120), (120, 20)])
    before = [layer.name for layer in kept.viewer.layers]
    assert before.index("Locked areas") < before.index("Clicks")
    kept.panel.compare_panel.switch.setChecked(True)
    layers, grid = kept.viewer.layers, kept.viewer.canvas.grid
    cells = [[layers[i].name for i in inside] for _, inside in grid.iter_viewboxes(layers)]
    assert cells[0][:3] == ["scene", TITLES["disir"], "Clicks"]
    kept.panel.compare_panel.switch.setChecked(False)
    assert [layer.name for layer in kept.viewer.layers] == before
