"""The review of doubtful places, from the button to the camera."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt

from napari_disca.core.tiling import Window
from napari_disca.gui.viewer.canvas.camera import view_size
from napari_disca.gui.viewer.canvas.screen_grid import ScreenGrid
from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.inference.uncertainty import SURE
from windows import show


def with_two_places(opened):
    """Make two places doubtful, the larger one at the top left."""
    session = opened.control.session
    for map_ in session.uncertainty.values():
        map_[:] = SURE
        map_[1:4, 1:5] = 200
        map_[10:12, 10:12] = 200
    opened.places = Window(16, 16, 48, 64), Window(160, 160, 32, 32)
    return opened


@pytest.fixture
def doubtful(reused):
    return with_two_places(reused)


def status(opened):
    return opened.panel.refine_panel.status.text().splitlines()[0]


def look_at(opened, window):
    """Let the camera rest; what is on screen is set by hand, as the screen's size is unknown."""
    camera = opened.viewer.scene.camera
    camera.zoom = 6.0
    for _ in range(20):
        opened.viewer.layers["scene"].corner_pixels = np.array(
            [[window.top, window.left], [window.bottom - 1, window.right - 1]]
        )
        opened.control._follow_view()


def test_the_button_leads_from_place_to_place(doubtful):
    camera = doubtful.viewer.scene.camera
    button = doubtful.panel.refine_panel.buttons["doubtful"]
    assert button.isEnabled()
    for number, place in enumerate(doubtful.places, start=1):
        button.click()
        assert status(doubtful) == f"Doubtful place {number} of 2"
        scene = doubtful.viewer.layers["scene"]
        np.testing.assert_allclose(
            camera.center[-2:], scene.data_to_world(place.centre)[-2:], rtol=1e-6
        )
        shares = [
            side / doubtful.control.layers.screen_pixels(pixels)
            for side, pixels in zip(place.shape, view_size(doubtful.viewer), strict=True)
        ]
        assert max(shares) == pytest.approx(1 / 3, rel=0.01)
    button.click()
    assert status(doubtful) == "No doubtful place is left that you have not seen"


def test_the_key_works_on_every_layer_and_is_nobody_elses(doubtful, qtbot):
    for layer in doubtful.viewer.layers:
        assert "N" not in {str(key) for key in type(layer).class_keymap}, layer
    qtbot.keyClick(doubtful.panel.history_panel.list, Qt.Key.Key_N)
    assert status(doubtful) == "Doubtful place 1 of 2"


def test_what_was_looked_at_is_left_out(doubtful):
    large, small = doubtful.places
    doubtful.control._view_timer.stop()
    look_at(doubtful, large)
    doubtful.control.next_doubtful()
    assert status(doubtful) == "Doubtful place 1 of 1"
    centre = doubtful.viewer.layers["scene"].data_to_world(small.centre)
    np.testing.assert_allclose(doubtful.viewer.scene.camera.center[-2:], centre, rtol=1e-6)


@pytest.mark.parametrize("why", ["in passing", "from afar", "all at once"])
def test_what_was_hardly_seen_is_not(doubtful, why, monkeypatch):
    doubtful.control._view_timer.stop()
    layers, view = doubtful.control.layers, doubtful.places[0]
    monkeypatch.setattr(layers, "screen_pixels", lambda count: count / 6)
    if why == "from afar":
        monkeypatch.setattr(layers, "screen_pixels", lambda count: float(count))
    if why == "all at once":
        view = Window.whole(doubtful.control.session.raster.shape)
    monkeypatch.setattr(layers, "view", lambda: view)
    for _ in range(3 if why == "in passing" else 20):
        doubtful.control.review.follow()
    doubtful.control.next_doubtful()
    assert status(doubtful) == "Doubtful place 1 of 2"


def test_before_there_is_a_map(panel, opened):
    control = opened.control
    for map_ in control.session.uncertainty.values():
        map_[:] = 0
    control.next_doubtful()
    assert status(opened) == "There is no map yet: press Segment"
    control.close()
    control.next_doubtful()  # nothing to show, nothing happens
    assert not opened.panel.refine_panel.buttons["doubtful"].isEnabled()


def test_while_the_map_is_being_drawn(doubtful, monkeypatch):
    session = doubtful.control.session
    monkeypatch.setattr(type(session.map_state), "up_to_date", lambda *_: 0.5)
    for _ in range(3):
        doubtful.control.next_doubtful()
    assert status(doubtful) == "No doubtful place is left in the part that is computed so far"


def test_verdicts_are_one_key_each_and_one_step(doubtful, qtbot):
    session, panel = doubtful.control.session, doubtful.panel
    listed, bar = panel.history_panel.list, panel.panels.review
    large, small = doubtful.places
    assert not panel.reviewing.has_place
    qtbot.keyClick(listed, Qt.Key.Key_0)  # means nothing where no place is outlined
    assert not session.document.marks
    qtbot.keyClick(listed, Qt.Key.Key_N)
    assert doubtful.control.review.place == large
    assert panel.drawing.tool._place == large
    qtbot.keyClick(listed, Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    (click,) = session.document.clicks.items
    assert click.label == 1
    assert click.pixel in large
    doubtful.idle()
    session.document.undo()
    assert not session.document.clicks.items
    assert not session.document.marks
    session.document.redo()
    doubtful.idle()
    for map_ in session.uncertainty.values():
        map_[:] = SURE
        map_[10:12, 10:12] = 200
    qtbot.keyClick(listed, Qt.Key.Key_N)
    assert [mark.verdict for mark in session.document.marks] == ["wrong"]
    assert doubtful.control.review.place == small
    qtbot.keyClick(listed, Qt.Key.Key_Return)
    doubtful.idle()
    assert session.document.marks[-1].verdict == "right"
    assert session.document.locked_at(*(int(at) for at in small.centre))
    assert not panel.reviewing.has_place  # there is nothing left to go on to
    seen, checked = session.review.shares()
    assert 0 < checked <= seen < 1
    assert bar.words.text().startswith(f"{int(100 * seen)} % seen")


def test_the_digit_alone_says_what_a_doubtful_place_is(doubtful, qtbot):
    session, panel = doubtful.control.session, doubtful.panel
    panel.drawing.tool.watch()
    canvas = panel.drawing.tool._canvas
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    middle = doubtful.control.review.middle
    # Whoever means another class presses its key, wherever the focus is.
    for widget, key, label in (
        (canvas, Qt.Key.Key_3, 2),
        (panel.history_panel.list, Qt.Key.Key_1, 0),
        (panel.classes_panel.list, Qt.Key.Key_2, 1),
    ):
        qtbot.keyClick(widget, key)
        assert [(click.pixel, click.label) for click in session.document.clicks.items] == [
            (middle, label)
        ]
        assert doubtful.control.layers.label == label  # what else is wrong is clicked by mouse
        assert {mark.verdict for mark in session.document.marks} == {"wrong"}
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    qtbot.keyClick(canvas, Qt.Key.Key_3)
    assert [click.label for click in session.document.clicks.items] == [1]
    doubtful.idle()


def test_digits_choose_a_class_for_tools_and_tiles(doubtful, qtbot):
    session, panel = doubtful.control.session, doubtful.panel
    listed = panel.history_panel.list
    qtbot.keyClick(listed, Qt.Key.Key_N)
    panel.drawing.tool.choose("brush")
    qtbot.keyClick(listed, Qt.Key.Key_2)
    panel.drawing.tool.choose("click")
    qtbot.keyClick(listed, Qt.Key.Key_T)
    qtbot.keyClick(listed, Qt.Key.Key_3)
    assert doubtful.control.layers.label == 2
    assert not session.document.clicks.items
    assert "Ctrl+1…3 wrong" in panel.panels.review.how.text()
    qtbot.keyClick(listed, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    assert [click.label for click in session.document.clicks.items] == [2]


def test_tile_by_tile(doubtful, qtbot, monkeypatch, tmp_path):
    session, panel = doubtful.control.session, doubtful.panel
    panel.panels.review.buttons["next_tile"].click()
    first = doubtful.control.review.place
    assert (first.top, first.left) == (0, 0)
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_0)
    assert [mark.verdict for mark in session.document.marks] == ["unsure"]
    assert doubtful.control.review.place not in (None, first)
    monkeypatch.setattr(
        "napari_disca.gui.tasks.review.review_controller.QInputDialog.getText",
        lambda *_arguments: ("ask the owner", True),
    )
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_K)
    assert session.document.marks[-1].note == "ask the owner"
    assert "1 note" in panel.panels.review.words.text()
    path = tmp_path / "review.geojson"
    doubtful.panel.files.session_files.save_review(path)
    assert "ask the owner" in path.read_text()
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_Escape)
    assert not panel.reviewing.has_place


# -------------------------------------------------------------------- the list and the minimap


def with_list(doubtful, qtbot):
    """Show the list of places, with the two doubtful ones."""
    show(qtbot, doubtful.panel, 1280, 800)
    places, listed = doubtful.panel.review_places, doubtful.panel.panels.queue
    qtbot.waitUntil(lambda: places._looked and len(listed.places) == 2, timeout=10_000)
    return doubtful


@pytest.fixture
def queue(doubtful, qtbot):
    return with_list(doubtful, qtbot)


def lines(queue):
    listed = queue.panel.panels.queue.list
    return [listed.item(row).text() for row in range(listed.count())]


def test_all_places_are_in_one_list_with_what_was_said_of_them(queue, qtbot, monkeypatch):
    session, panels = queue.control.session, queue.panel.panels
    listed = panels.queue.list
    assert [line[0] for line in lines(queue)] == ["○", "○"]
    assert lines(queue)[0].endswith("? 48 × 64 m")
    assert panels.queue.title.text() == "2 doubtful places left"
    # A click on a row goes there, and its keys judge it wherever the focus is.
    row = listed.visualItemRect(listed.item(1)).center()
    qtbot.mouseClick(listed.viewport(), Qt.MouseButton.LeftButton, pos=row)
    assert queue.control.review.place == queue.places[1]
    image = queue.viewer.layers["scene"]
    centre = image.data_to_world(queue.places[1].centre)[-2:]
    np.testing.assert_allclose(queue.viewer.scene.camera.center[-2:], centre, rtol=1e-6)
    monkeypatch.setattr(
        "napari_disca.gui.tasks.review.review_controller.QInputDialog.getText",
        lambda *_arguments: ("ask the owner", True),
    )
    qtbot.keyClick(listed, Qt.Key.Key_K)
    qtbot.keyClick(listed, Qt.Key.Key_0)
    assert [mark.verdict for mark in session.document.marks] == ["note", "unsure"]
    # What was judged stands above what is to come, and the first of that is outlined.
    qtbot.waitUntil(lambda: lines(queue)[0] == "?✎ not sure, ask the owner", timeout=10_000)
    assert queue.control.review.place == queue.places[0]
    assert listed.currentRow() == 1
    qtbot.keyClick(listed, Qt.Key.Key_Up)  # back to the first one
    assert queue.control.review.place == queue.places[1]
    assert [mark.verdict for mark in session.document.marks] == ["note", "unsure", "seen"]


def test_arrows_go_back_and_forth_in_the_list(opened, qtbot):
    queue = with_list(with_two_places(opened), qtbot)
    panel, control = queue.panel, queue.control
    panel.drawing.tool.watch()
    canvas = panel.drawing.tool._canvas
    qtbot.keyClick(canvas, Qt.Key.Key_N)
    assert control.review.place == queue.places[0]
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert control.review.place == queue.places[1]
    qtbot.keyClick(panel.refine_panel.buttons["undo"], Qt.Key.Key_Left)
    assert control.review.place == queue.places[0]
    qtbot.keyClick(canvas, Qt.Key.Key_Left)  # there is nothing before it
    assert control.review.place == queue.places[0]
    # What arrows move keeps them.
    for widget in (panel.classes_panel.list, panel.panels.queue.minimap):
        qtbot.keyClick(widget, Qt.Key.Key_Right)
        assert control.review.place == queue.places[0]


def test_arrows_go_back_also_while_steps_can_be_redone(opened, qtbot):
    # Then a place that is passed is not noted as seen, and stays among those to come.
    queue = with_list(with_two_places(opened), qtbot)
    panel, control = queue.panel, queue.control
    listed, widget = panel.panels.queue, panel.refine_panel.buttons["undo"]
    control.session.document.click(0, 0, 0)
    control.undo()
    assert control.session.document.can_redo
    qtbot.keyClick(widget, Qt.Key.Key_N)
    first, second = (place.window for place in listed.places)
    for key, there in ((Qt.Key.Key_Right, second), (Qt.Key.Key_Left, first)):
        qtbot.keyClick(widget, key)
        panel.review_places._list()
        assert control.review.place == there
        assert [place.window for place in listed.places] == [first, second]


def test_a_session_can_be_closed_while_the_picture_is_made(queue, qtbot, monkeypatch):
    places = queue.panel.review_places
    qtbot.waitUntil(lambda: not places._background.running, timeout=10_000)
    places._draw_picture(queue.control.layers.image)
    assert places._background.running
    shown = []
    monkeypatch.setattr(places._panel.minimap, "show_image", lambda *image: shown.append(image))
    places._attach(None)
    assert not places._background.running
    qtbot.wait(300)
    assert not shown, "the picture of the session that was closed"


def test_no_place_is_missed_before_the_first_look_has_ended(queue, qtbot):
    places, title = queue.panel.review_places, queue.panel.panels.queue.title
    places._looked, places._stops, places._count = False, [], 0
    places._list()
    assert title.text() == "Finding doubtful places…"
    places._state_searched = None
    qtbot.waitUntil(lambda: title.text() == "2 doubtful places left", timeout=10_000)


def test_the_list_follows_tiles_and_undo(queue, qtbot):
    session, panels = queue.control.session, queue.panel.panels
    qtbot.keyClick(queue.panel.classes_panel.list, Qt.Key.Key_T)
    tiles = len(session.tiling)
    qtbot.waitUntil(lambda: panels.queue.title.text() == f"{tiles} tiles left", timeout=10_000)
    qtbot.keyClick(panels.queue.minimap, Qt.Key.Key_Return)
    queue.idle()
    qtbot.waitUntil(lambda: lines(queue)[0][0] == "✓", timeout=10_000)
    assert panels.queue.title.text() == f"{tiles - 1} tiles left"
    qtbot.keyClick(panels.queue.minimap, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    queue.idle()
    qtbot.waitUntil(lambda: lines(queue)[0][0] == "○", timeout=10_000)


def test_while_a_place_is_outlined_the_window_tells_how_to_judge_it(opened, qtbot):
    queue = with_list(with_two_places(opened), qtbot)
    panel, viewer = queue.panel, queue.viewer
    viewer.layers.selection.active = viewer.layers["Clicks"]
    usual = "1…3 class · Q draw · H hide the map · ? all keys"
    assert viewer.help == usual  # napari's digits change the mode of a layer
    viewer.layers["Clicks"].mode = "pan_zoom"
    assert viewer.help == usual
    assert not panel.guide.line
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_N)
    how = "Enter right · 1…3 wrong, it is that class · 0 not sure · K note · N next · Esc end"
    assert panel.guide.line == panel.panels.review.how.text() == how
    assert not viewer.help  # napari would tell how to click
    viewer.layers["Clicks"].mode = "select"
    assert not viewer.help
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_T)
    assert "T next" in panel.guide.line
    qtbot.keyClick(panel.history_panel.list, Qt.Key.Key_Escape)
    assert not panel.guide.line
    assert panel.panels.review.how.isHidden()
    assert viewer.help == usual
    queue.control.close()
    assert viewer.help != usual


def test_the_minimap_shows_and_moves_the_view(queue, qtbot):
    minimap, control = queue.panel.panels.queue.minimap, queue.control
    qtbot.waitUntil(lambda: minimap._picture is not None, timeout=10_000)
    image = queue.viewer.layers["scene"]
    control.layers.go_to(queue.places[0])

    def middle():
        return np.asarray(image.world_to_data(queue.viewer.scene.camera.center[-2:]))

    area = minimap._area()
    height, width = control.session.raster.shape
    target = QPointF(area.left() + 0.75 * area.width(), area.top() + 0.25 * area.height())
    qtbot.mouseClick(minimap, Qt.MouseButton.LeftButton, pos=target.toPoint())
    np.testing.assert_allclose(middle(), (0.25 * height, 0.75 * width), atol=3)
    qtbot.waitUntil(lambda: minimap.view is not None, timeout=10_000)
    before, view = middle(), minimap.view
    qtbot.keyClick(minimap, Qt.Key.Key_Down)
    assert middle()[0] == pytest.approx(before[0] + view.height / 2, abs=view.height / 4)
    # What was judged is marked in its colour.
    qtbot.keyClick(minimap, Qt.Key.Key_N)
    place = control.review.place
    qtbot.keyClick(minimap, Qt.Key.Key_Return)
    queue.idle()
    qtbot.keyClick(minimap, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: (place, "right") in minimap._marks, timeout=10_000)


def test_the_outline_follows_the_size_of_the_window(queue, qtbot):
    qtbot.keyClick(queue.panel.history_panel.list, Qt.Key.Key_N)
    place, tool = queue.control.review.place, queue.panel.drawing.tool

    def is_right():
        grid = ScreenGrid(queue.viewer, queue.control.layers.image)
        row, col = queue.control.review.middle
        corner, middle = grid.to_screen([(place.top, place.left), (row + 0.5, col + 0.5)])
        sketch = tool._overlay.sketch
        return sketch.place[0] == pytest.approx(tuple(corner), abs=0.5) and (
            sketch.middle == pytest.approx(tuple(middle), abs=0.5)
        )

    assert is_right()
    before = tool._overlay.sketch.place[0]
    main_window(queue.panel).resize(1400, 950)
    qtbot.waitUntil(lambda: tool._overlay.sketch.place[0] != before)
    qtbot.waitUntil(is_right)
