"""One line in each section that says what can be done, until it is done or closed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_disca.gui.viewer.keys.key_filter import main_window
from napari_disca.gui.viewer.keys.verbs import BY_NAME
from napari_disca.gui.window.hints import HINTS


def shown(panel):
    return {name for name, line in panel.hints.lines.items() if not line.isHidden()}


@pytest.fixture
def settings(panel):
    return panel.hints._settings


def test_each_step_has_its_hint_until_it_is_done(panel, opened, qtbot):
    session = opened.control.session
    assert shown(panel) == {"Correct", "Review", "Deliver"}
    texts = {name: line.text.text() for name, line in panel.hints.lines.items()}
    assert not any("{" in text for text in texts.values())
    assert BY_NAME["doubtful"].key in texts["Review"]
    opened.viewer.layers["Clicks"].add((40, 50))
    opened.idle()
    panel.refine_panel.buttons["adapt"].click()
    opened.idle()
    assert session.document.adapted is not None
    assert shown(panel) == {"Review", "Deliver"}
    opened.control.close()
    assert shown(panel) == {"Image", "Map"}


def test_segment_is_not_asked_for_while_the_first_map_is_drawn(panel, scene, qtbot):
    from napari_disca.gui.plugin.reader import get_reader

    control, seen = panel.control, []
    control.changed.connect(lambda: seen.append(shown(panel)))
    ((data, keywords, _),) = get_reader(str(scene))(str(scene))
    panel.viewer.add_image(data, **keywords)
    panel.refine_panel.buttons["segment"].click()
    qtbot.waitUntil(lambda: {"Correct"} in seen, timeout=60_000)
    qtbot.waitUntil(lambda: not control.busy, timeout=60_000)
    assert shown(panel) == {"Correct", "Review", "Deliver"}


def test_what_was_closed_stays_closed_until_the_setting_brings_it_back(panel, settings, qtbot):
    window = main_window(panel)
    window.show()
    assert shown(panel) == {"Image", "Map"}
    line = panel.hints.lines["Map"]
    qtbot.mouseClick(line.close_button, Qt.MouseButton.LeftButton)
    assert shown(panel) == {"Image"}
    # Another window, or a later session, does not say it again.
    from napari_disca.gui.window import hints

    assert hints._read() == {"Map"}
    panel.settings.show()
    box = panel.settings.dialog.fields["hints"]
    box.click()
    assert shown(panel) == set()
    box.click()
    assert shown(panel) == {"Image", "Map"}
    panel.settings.dialog.close()


def test_with_the_last_one_the_setting_goes_off(panel, settings):
    for name in HINTS:
        panel.hints.lines[name].close_button.click()
    assert settings["hints"] is False
    settings.set("hints", True)
    assert shown(panel) == {"Image", "Map"}


def test_a_damaged_file_says_all_of_them(panel, tmp_path):
    from napari_disca.gui.window import hints

    for text in ("", "{", '{"a": 1}', '["Nothing", 3]'):
        hints._FILE.path.parent.mkdir(parents=True, exist_ok=True)
        hints._FILE.path.write_text(text)
        assert hints._read() == set()
