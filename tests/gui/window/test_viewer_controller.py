"""Keys, looks of the map and places in the window, through Qt's events."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import rasterio
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication, QLabel, QLineEdit, QTreeWidgetItem, QWidget

from napari_disca.gui.viewer.canvas.go_to import GoTo
from napari_disca.gui.viewer.keys.key_choices import keys_of
from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.gui.viewer.keys.keys_page import KeysPage
from napari_disca.gui.viewer.layers.helper_layers import is_helper, layer_list
from napari_disca.inference.predict import Predictor
from windows import background

ALT, CONTROL = Qt.KeyboardModifier.AltModifier, Qt.KeyboardModifier.ControlModifier
NONE = Qt.KeyboardModifier.NoModifier


def seen_whole(opened):
    opened.viewer.reset_view()
    opened.viewer_controls = opened.panel.viewer_controls
    opened.maps = opened.control.layers.maps
    return opened


@pytest.fixture
def shown(reused_on_screen):
    """The segmented scene in a window that is on screen, and seen as a whole."""
    return seen_whole(reused_on_screen)


@pytest.fixture
def shown_first(on_screen):
    """`shown` in a window of its own: nothing was asked for and no setting read before."""
    return seen_whole(on_screen)


def canvas(shown):
    """The widget that is drawn on; kept nowhere, since it would keep the window alive."""
    children = main_window(shown.panel).centralWidget().findChildren(QWidget)
    return next(child for child in children if type(child).__name__ == "CanvasBackendDesktop")


def widgets(shown):
    """Where the focus may be."""
    panel = shown.panel
    return {
        "canvas": canvas(shown),
        "history": panel.history_panel.list,
        "classes": panel.classes_panel.list,
        "layers": layer_list(main_window(shown.panel)),
        "button": panel.refine_panel.buttons["segment"],
        "choice": panel.image_panel.networks,
        "number": panel.refine_panel.disk,
        "window": main_window(shown.panel),
    }


def test_letters_work_wherever_the_focus_is(shown, qtbot):
    for name, widget in widgets(shown).items():
        for visible in (False, True):
            qtbot.keyClick(widget, Qt.Key.Key_H)
            assert shown.maps["disir"].visible is visible, name


def test_digits_choose_classes_wherever_the_focus_is(shown, qtbot):
    for name, widget in widgets(shown).items():
        if name != "number":
            qtbot.keyClick(widget, Qt.Key.Key_1)
            qtbot.keyClick(widget, Qt.Key.Key_3)
            assert shown.control.layers.label == 2, name
            assert shown.panel.classes_panel.list.currentRow() == 2
            assert shown.viewer.layers.selection.active is shown.viewer.layers["Clicks"]


def test_digits_go_to_a_number_until_enter(shown, qtbot):
    number = shown.panel.refine_panel.disk
    number.setFocus()
    number.selectAll()
    qtbot.keyClick(number, Qt.Key.Key_3)
    assert number.value() == 3
    assert shown.control.layers.label == 0
    qtbot.keyClick(number, Qt.Key.Key_Return)
    assert QApplication.focusWidget() is not number
    qtbot.keyClick(main_window(shown.panel), Qt.Key.Key_3)
    assert shown.control.layers.label == 2
    assert number.value() == 3


def test_text_belongs_to_text_fields(shown, qtbot):
    field = QLineEdit(shown.panel)
    field.show()
    for key in "hgnu3,.?":
        qtbot.keyClicks(field, key)
    assert field.text() == "hgnu3,.?"
    assert shown.maps["disir"].visible
    assert shown.control.layers.label == 0
    qtbot.keyClick(field, Qt.Key.Key_Z, CONTROL)
    assert len(field.text()) < 8
    qtbot.keyClick(field, Qt.Key.Key_2, ALT)  # no text
    assert shown.viewer_controls.see_through.isolated == 1


def test_undo_and_redo_work_from_the_history(shown, qtbot):
    shown.viewer.layers["Clicks"].add((40, 50))
    shown.idle()
    session = shown.control.session
    listed = shown.panel.history_panel.list
    qtbot.keyClick(listed, Qt.Key.Key_Z, CONTROL)
    shown.idle()
    assert not len(session.document.clicks)
    qtbot.keyClick(listed, Qt.Key.Key_Z, CONTROL | Qt.KeyboardModifier.ShiftModifier)
    shown.idle()
    assert len(session.document.clicks) == 1


def test_a_key_of_a_button_that_is_off_says_why(shown, qtbot):
    qtbot.keyClick(canvas(shown), Qt.Key.Key_Return, CONTROL)
    assert shown.viewer.status == "Adapt: there are no clicks"


def test_a_dialog_keeps_its_keys(shown, qtbot):
    qtbot.keyClicks(canvas(shown), "?")
    page = shown.panel.findChild(KeysPage) or shown.viewer_controls._page
    assert page.isVisible()
    qtbot.keyClick(page, Qt.Key.Key_H)
    assert shown.maps["disir"].visible
    page.close()


# -------------------------------------------------------------------- see through the map


def test_held_the_key_peeks(shown, qtbot):
    qtbot.keyPress(canvas(shown), Qt.Key.Key_H)
    assert not shown.maps["disir"].visible
    qtbot.wait(350)
    qtbot.keyRelease(canvas(shown), Qt.Key.Key_H)
    assert shown.maps["disir"].visible


def test_fill_outline_off(shown, qtbot):
    layer = shown.maps["disir"]
    assert (layer.contour, layer.visible) == (0, True)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_G)
    assert layer.contour > 0
    assert layer.visible
    qtbot.keyClick(canvas(shown), Qt.Key.Key_G)
    assert not layer.visible
    qtbot.keyClick(canvas(shown), Qt.Key.Key_G)
    assert (layer.contour, layer.visible) == (0, True)


def test_outlines_stay_as_thick_on_screen(shown, qtbot):
    qtbot.keyClick(canvas(shown), Qt.Key.Key_G)
    layer = shown.maps["disir"]
    for zoom in (0.25, 1, 8):
        shown.viewer.scene.camera.zoom = zoom / float(layer.scale[-1])
        shown.viewer_controls.see_through.follow()
        assert layer.contour == {0.25: 8, 1: 2, 8: 1}[zoom]


def test_opacity_goes_in_tenths_and_never_to_nothing(shown, qtbot):
    layer = shown.maps["disir"]
    qtbot.keyClicks(canvas(shown), ",")
    assert layer.opacity == pytest.approx(0.4)
    qtbot.keyClicks(canvas(shown), "," * 9)
    assert layer.opacity == pytest.approx(0.1)
    qtbot.keyClicks(canvas(shown), "." * 20)
    assert layer.opacity == pytest.approx(1)
    assert shown.viewer.status == "Map: 100% opaque"


def test_one_class_alone_and_all_again(shown, qtbot):
    layer = shown.maps["disir"]
    qtbot.keyClick(canvas(shown), Qt.Key.Key_2, ALT)
    alphas = [layer.get_color(i)[3] if layer.get_color(i) is not None else 0 for i in (1, 2, 3)]
    assert [alpha > 0 for alpha in alphas] == [False, True, False]
    lines = shown.viewer_controls.legend.lines
    assert [background(line)[3] < 1 for line in lines] == [True, False, True]
    qtbot.keyClick(canvas(shown), Qt.Key.Key_2, ALT)
    assert all(layer.get_color(i)[3] > 0 for i in (1, 2, 3))


def test_the_uncertainty_is_a_layer_that_is_no_image(shown, qtbot):
    before = shown.panel.image_panel.images.count()
    qtbot.keyClick(canvas(shown), Qt.Key.Key_U)
    layer = shown.viewer.layers["Uncertainty"]
    session = shown.control.session
    np.testing.assert_array_equal(layer.data, session.uncertainty[session.document.corrected])
    assert shown.panel.image_panel.images.count() == before
    assert shown.viewer.layers.selection.active is not layer
    # The middle of the image is the middle of the cells.
    image = shown.control.layers.image
    height, width = session.raster.shape
    corner = image.data_to_world((height - 0.5, width - 0.5))
    end = layer.extent.world[1]
    cell = np.abs(layer.scale)
    assert np.all(end + cell / 2 >= np.asarray(corner) - 1e-6)
    assert np.all(end - cell / 2 <= np.asarray(corner) + 1e-6)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_U)
    assert not layer.visible
    qtbot.keyClick(canvas(shown), Qt.Key.Key_U)
    assert layer.visible


def test_hiding_takes_all_that_covers_the_image(shown, qtbot):
    qtbot.keyClick(canvas(shown), Qt.Key.Key_U)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    layers = shown.control.layers
    seen = [layer.name for layer in shown.viewer.layers if layer.visible and layer.opacity]
    assert seen == ["scene", "Clicks"]
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert shown.viewer.layers["Uncertainty"].visible
    assert layers.stale.visible
    assert layers.stale.opacity == pytest.approx(0.25)
    # Whoever shows the map in the list of layers sees what is out of date, too.
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert layers.stale.opacity == 0
    shown.maps["disir"].visible = True
    qtbot.waitUntil(lambda: layers.stale.opacity == pytest.approx(0.25))


def test_side_by_side_both_maps_hide_and_stay_in_their_places(shown, qtbot):
    shown.panel.compare_panel.switch.setChecked(True)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    maps = [shown.maps[name] for name in ("disir", "disca")]
    assert [(layer.visible, layer.opacity) for layer in maps] == [(True, 0), (True, 0)]
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert [layer.opacity for layer in maps] == [0.5, 0.5]
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    shown.panel.compare_panel.switch.setChecked(False)
    shown.viewer_controls.see_through.follow()
    assert not any(layer.visible for layer in maps)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert shown.maps["disir"].visible
    assert shown.maps["disir"].opacity == pytest.approx(0.5)


def test_helpers_are_not_in_the_layer_list(shown, qtbot):
    qtbot.keyClick(canvas(shown), Qt.Key.Key_U)
    shown.panel.compare_panel.switch.setChecked(True)
    view = layer_list(main_window(shown.panel))

    def listed():
        model = view.model()
        rows = range(model.rowCount())
        return {model.index(row, 0).data() for row in rows if not view.isRowHidden(row)}

    helpers = {layer.name for layer in shown.viewer.layers if is_helper(layer)}
    assert {"Uncertainty", "Out of date", "Clicks (copy)", "scene (copy)"} <= helpers
    others = {layer.name for layer in shown.viewer.layers} - helpers
    qtbot.waitUntil(lambda: listed() == others)


def test_safer_colours_are_shown_everywhere_and_can_be_left(shown, qtbot):
    panel, session = shown.panel, shown.control.session
    classes = session.network.card.classes
    assert panel.classes_panel.warning.isHidden()
    shown.viewer.layers["Clicks"].add((40, 50))
    for safe in (True, False):
        shown.viewer_controls.do("colours")
        colours = [land.color for land in session.document.classes]
        assert session.document.step.kind == "classes", "it can be undone"
        assert (colours != [land.color for land in classes]) is safe
        rgb = [tuple(int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)) for c in colours]
        for i, wanted in enumerate(rgb):
            np.testing.assert_allclose(shown.maps["disir"].get_color(i + 1)[:3], wanted, atol=0.01)
            line = shown.viewer_controls.legend.lines[i]
            np.testing.assert_allclose(background(line)[:3], wanted, atol=0.01)
        face = shown.viewer.layers["Clicks"].face_color[0]
        np.testing.assert_allclose(face[:3], rgb[0], atol=0.01)
    shown.idle()


# -------------------------------------------------------------------- places


def pointer(shown, qtbot, row, col):
    """Move the pointer over a pixel of the image."""
    image = shown.control.layers.image
    camera = shown.viewer.scene.camera
    camera.center = tuple(image.data_to_world((row, col))[-2:])
    qtbot.wait(20)
    middle = canvas(shown).rect().center()
    qtbot.mouseMove(canvas(shown), middle + QPoint(2, 2))
    qtbot.mouseMove(canvas(shown), middle)
    qtbot.wait(80)


def test_what_is_under_the_pointer_is_told_whatever_layer_is_active(shown, qtbot):
    session = shown.control.session
    with rasterio.open(shown.scene) as file:
        x, y = file.xy(120, 80)
    for layer in (shown.viewer.layers["scene"], shown.viewer.layers["Clicks"]):
        shown.viewer.layers.selection.active = layer
        pointer(shown, qtbot, 120, 80)
        reading = shown.viewer_controls.cursor.reading
        assert reading.pixel is not None
        assert np.abs(np.subtract(reading.pixel, (120, 80))).max() <= 2
        value = int(session.maps["disir"].levels[0][reading.pixel])
        assert reading.label == session.document.classes[value - 1].name
        # How sure the network is; with the second class, once that is known.
        assert "sure" in reading.details or "%, then " in reading.details
        assert "network's map" in reading.details
        east, north = (float(part.replace(",", "")) for part in reading.on_map.split()[1::2])
        assert abs(east - x) < 5
        assert abs(north - y) < 5
        assert "°" in reading.on_globe
    assert shown.panel.classes_panel.place.text() == reading.short
    assert any(
        label.text() == reading.line
        for label in main_window(shown.panel).statusBar().findChildren(QLabel)
    )


def test_the_second_class_is_told_without_the_windows_thread(shown_first, qtbot, monkeypatch):
    shown = shown_first
    asked = []
    ask = Predictor.two_best

    def noted(self, pixels, clicks):
        asked.append(threading.current_thread() is threading.main_thread())
        return ask(self, pixels, clicks)

    monkeypatch.setattr(Predictor, "two_best", noted)
    session, cursor = shown.control.session, shown.viewer_controls.cursor
    for layer in (shown.viewer.layers["scene"], shown.viewer.layers["Clicks"]):
        shown.viewer.layers.selection.active = layer
        pointer(shown, qtbot, 120, 80)
        qtbot.waitUntil(lambda: ", then " in cursor.reading.details, timeout=20_000)
        first, second = cursor.reading.details.split(",")[:2]
        best, less = (float(part.split()[-2]) for part in (first, second))
        assert best >= less
        names = {land.name for land in session.document.classes} - {cursor.reading.label}
        assert second.split()[1] in names
    assert asked == [False], "a tile is asked for once"
    # A click changes what the network says: it is asked again.
    image = shown.control.layers.image
    here = cursor.reading.pixel
    shown.viewer.layers["Clicks"].add(here)
    shown.idle()
    qtbot.waitUntil(
        lambda: "your click" in cursor.read(image.data_to_world(here)).details, timeout=20_000
    )
    qtbot.waitUntil(
        lambda: (
            "%" in cursor.read(image.data_to_world(here)).details
            and "sure" not in cursor.read(image.data_to_world(here)).details
        ),
        timeout=20_000,
    )
    assert asked == [False, False]


def test_the_origin_of_a_class_is_told(shown, qtbot):
    session = shown.control.session
    shown.viewer.layers["Clicks"].add((120, 80))
    shown.idle()
    image = shown.control.layers.image
    reading = shown.viewer_controls.cursor.read(image.data_to_world((120, 80)))
    assert "your click" in reading.details
    assert reading.label == session.document.classes[0].name
    shown.control.locking.lock_view()
    shown.idle()
    assert "locked" in shown.viewer_controls.cursor.read(image.data_to_world((10, 10))).details


def test_go_to_moves_the_view(shown, qtbot):
    with rasterio.open(shown.scene) as file:
        x, y = file.xy(200, 30)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_J, CONTROL)
    dialog = shown.panel.findChild(GoTo)
    qtbot.keyClicks(dialog.text, "Banepa")
    qtbot.keyClick(dialog.text, Qt.Key.Key_Return)
    assert "is not a place" in dialog.said.text()
    dialog.text.clear()
    qtbot.keyClicks(dialog.text, f"{x}, {y}")
    qtbot.keyClick(dialog.text, Qt.Key.Key_Return)
    assert not dialog.isVisible()
    centre = shown.viewer.scene.camera.center[-2:]
    image = shown.control.layers.image
    np.testing.assert_allclose(image.world_to_data(centre), (200, 30), atol=1e-3)


def test_coordinates_are_copied_by_key_and_by_right_click(shown, qtbot):
    pointer(shown, qtbot, 120, 80)
    qtbot.keyClick(canvas(shown), Qt.Key.Key_C, CONTROL | ALT)
    copied = QApplication.clipboard().text()
    assert copied.startswith("E ")
    assert "N " in copied
    qtbot.mouseClick(canvas(shown), Qt.MouseButton.RightButton, NONE, canvas(shown).rect().center())
    menu = shown.viewer_controls.places.menu
    texts = [action.text() for action in menu.actions() if action.text()]
    assert texts[0].startswith("Copy  E ")
    assert texts[2].startswith("Copy  px ")
    assert texts[-1] == "Go to…"
    menu.actions()[2].trigger()
    assert QApplication.clipboard().text().startswith("px ")
    menu.close()


def test_layers_are_in_metres_and_a_scale_bar_shows_them(shown):
    image = shown.control.layers.image
    assert str(image.units[0]) == "meter"
    assert np.abs(image.scale) == pytest.approx((1, 1), rel=0.01)
    for layer in shown.viewer.layers:
        assert layer.units == image.units, layer
    assert shown.viewer.canvas.overlays.scale_bar.visible


# -------------------------------------------------------------------- page of keys


def test_keys_are_changed_on_their_page_and_kept(shown_first, qtbot):
    shown = shown_first
    qtbot.keyClicks(canvas(shown), "?")
    page = shown.viewer_controls._page
    page.choose("hide", "N")
    assert "N is the key of" in page.said.text()
    page.choose("hide", "M")
    page.close()
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert shown.maps["disir"].visible
    qtbot.keyClick(canvas(shown), Qt.Key.Key_M)
    assert not shown.maps["disir"].visible
    from napari.settings import get_plugin_settings

    saved = get_plugin_settings("napari-disca")
    assert keys_of(saved.work.keys) == {"hide": "M"}
    assert "hide" in saved.config_path.read_text(encoding="utf-8")
    # A verb whose key was changed says so, and the keys come back.
    assert "(M)" in shown.panel.view_buttons["hide"].toolTip()
    shown.viewer_controls.keys_chosen.emit({})
    qtbot.keyClick(canvas(shown), Qt.Key.Key_H)
    assert shown.maps["disir"].visible
    assert "(H)" in shown.panel.view_buttons["hide"].toolTip()


def test_the_page_lists_all_verbs(shown, qtbot):
    from napari_disca.gui.viewer.keys.verbs import VERBS

    qtbot.keyClicks(canvas(shown), "?")
    tree = shown.viewer_controls._page.tree

    def titles(item: QTreeWidgetItem) -> list[str]:
        return [item.child(i).text(1) for i in range(item.childCount())]

    found = [t for i in range(tree.topLevelItemCount()) for t in titles(tree.topLevelItem(i))]
    assert found == [verb.title for verb in sorted(VERBS, key=_place)]
    # What a verb does is readable as a whole, in as many lines as it takes.
    heights = {
        item.text(1): tree.visualItemRect(item).height()
        for i in range(tree.topLevelItemCount())
        for item in map(tree.topLevelItem(i).child, range(tree.topLevelItem(i).childCount()))
    }
    assert heights["Go to…"] >= 1.5 * heights["Fainter map"]
    shown.viewer_controls._page.close()


def _place(verb):
    from napari_disca.gui.viewer.keys.verb import GROUPS

    return GROUPS.index(verb.group)
