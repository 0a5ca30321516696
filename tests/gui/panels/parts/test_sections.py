"""The panel's sections, and what it offers before there is an image."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton

from napari_disca.gui.panels.image.start_panel import recent, remember


def test_a_heading_folds_its_section(panel, qtbot):
    section = panel.sections["Review"]
    qtbot.mouseClick(section.heading, Qt.MouseButton.LeftButton)
    assert section.content.isHidden()
    qtbot.keyClick(section.heading, Qt.Key.Key_Space)
    assert not section.content.isHidden()


def test_sections_are_the_parts_of_the_work_and_hold_every_button(panel):
    assert list(panel.sections) == ["Image", "Map", "Correct", "Review", "Deliver"]
    for buttons in (panel.refine_panel.buttons, panel.locks_panel.buttons):
        for name, button in buttons.items():
            holders = [s for s in panel.sections.values() if s.content.isAncestorOf(button)]
            assert len(holders) == 1, name


def test_every_button_has_a_name_to_be_heard(panel):
    for section in panel.sections.values():
        for button in section.findChildren(QAbstractButton):
            if button.objectName().startswith("qt_"):
                continue  # parts of Qt's own
            assert button.accessibleName() or button.text(), button


def test_the_panel_fits_a_screen_of_800_pixels(opened):
    """The window leaves its panel some 745 of them."""
    opened.panel.sections["Image"].fold(True)
    assert opened.panel.widget().sizeHint().height() <= 745
    assert opened.panel.minimumWidth() <= 400


def test_what_an_adaptation_asks_for_fits_a_screen_of_800_pixels(opened):
    panel, session = opened.panel, opened.control.session
    for pixel in ((40, 50), (90, 100), (150, 60)):
        session.document.click(*pixel, 1)
    opened.idle()
    panel.refine_panel.buttons["adapt"].click()
    opened.idle()
    assert not panel.ripple_panel.isHidden()
    for name in ("Image", "Review", "Deliver"):
        panel.sections[name].fold(True)
    for below in (panel.refine_panel, panel.history_panel):
        below.setVisible(False)
    # A line of a text that is wrapped in the panel and not in the hint; three headings below.
    lines = 2 * panel.fontMetrics().lineSpacing()
    assert panel.widget().sizeHint().height() + lines <= 745


def test_without_an_image_there_are_three_ways_to_one(panel, scene, qtbot):
    start = panel.start_panel
    assert not start.isHidden()
    assert all(section.isHidden() for section in panel.sections.values())
    assert panel.refine_panel.bar.isHidden()
    assert not start.recent.isEnabled()
    start.open_files([str(scene)])
    assert [layer.name for layer in panel.viewer.layers] == ["scene"]
    assert start.isHidden()
    assert not any(section.isHidden() for section in panel.sections.values())
    assert recent() == [str(scene)]
    panel.verticalScrollBar().setValue(panel.verticalScrollBar().maximum())
    panel.viewer.layers.clear()
    assert not start.isHidden()
    assert all(section.isHidden() for section in panel.sections.values())
    assert panel.verticalScrollBar().value() == 0
    qtbot.waitUntil(start.recent.isEnabled, timeout=10_000)
    start._recent.actions()[0].trigger()
    assert [layer.name for layer in panel.viewer.layers] == ["scene"]


def test_buttons_of_the_view_say_why_they_are_off(panel, scene, qtbot):
    buttons = panel.view_buttons
    assert not buttons["go_to"].isEnabled()
    panel.start_panel.open_files([str(scene)])
    qtbot.waitUntil(buttons["go_to"].isEnabled, timeout=10_000)
    for name in ("hide", "style", "uncertainty"):
        assert not buttons[name].isEnabled()
        assert "press Segment" in buttons[name].toolTip()
    panel.refine_panel.buttons["segment"].click()
    qtbot.waitUntil(buttons["hide"].isEnabled, timeout=30_000)
    assert buttons["uncertainty"].isEnabled()
    qtbot.waitUntil(lambda: not panel.control.busy, timeout=30_000)


def test_a_file_that_is_no_image_is_one_line(panel, tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("napari_disca.gui.toolkit.error_messages.show_error", said.append)
    (tmp_path / "no.tif").write_text("no image")
    panel.start_panel.open_files([str(tmp_path / "no.tif")])
    assert len(said) == 1
    assert "no.tif" in said[0]
    assert "Something went wrong" not in said[0]


def test_recent_images_are_the_latest_that_are_still_there(tmp_path):
    files = [tmp_path / f"{i}.tif" for i in range(12)]
    for file in files:
        file.touch()
        remember(str(file))
    remember(str(files[3]))
    files[11].unlink()
    assert recent() == [str(files[i]) for i in (3, 10, 9, 8, 7, 6, 5, 4, 2)]
