"""The page that changes settings."""

from __future__ import annotations

import pytest
from napari.settings import get_plugin_settings
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QSpinBox

from napari_disca.gui.toolkit.settings_table import (
    SETTINGS,
)

# -------------------------------------------------------------------- in the window


def page(opened, qtbot):
    qtbot.mouseClick(opened.panel.view_buttons["settings"], Qt.MouseButton.LeftButton)
    dialog = opened.panel.settings.dialog
    qtbot.waitUntil(dialog.isVisible)
    return dialog


def test_every_setting_has_a_field_that_is_named(opened, qtbot):
    fields = page(opened, qtbot).fields
    assert list(fields) == [setting.name for setting in SETTINGS if not setting.own_page]
    for setting in SETTINGS:
        if setting.own_page:
            continue
        kind = {bool: QCheckBox, int: QSpinBox, float: QDoubleSpinBox, str: QComboBox}
        assert isinstance(fields[setting.name], kind[type(setting.default)])
        assert fields[setting.name].accessibleName() == setting.title
        assert setting.about in fields[setting.name].toolTip()
    opened.panel.settings.dialog.close()


def test_looks_change_while_they_are_typed(opened, qtbot):
    fields, layer = page(opened, qtbot).fields, opened.control.layers.maps["disir"]
    number = fields["opacity"]
    number.selectAll()
    qtbot.keyClicks(number, number.locale().toString(0.8))
    assert layer.opacity == 0.5, "half a number is none"
    qtbot.keyClick(number, Qt.Key.Key_Return)
    assert layer.opacity == pytest.approx(0.8)
    qtbot.keyClick(fields["style"], Qt.Key.Key_Down)
    assert layer.contour > 0
    before = layer.get_color(1)
    fields["colours"].setCurrentText("safer")
    assert not (layer.get_color(1) == before).all()
    legend = opened.panel.viewer_controls.legend
    qtbot.keyClick(fields["legend"], Qt.Key.Key_Space)
    assert not legend.visible
    # What the window changes is shown on the page, and kept.
    opened.panel.viewer_controls.do("legend")
    assert fields["legend"].isChecked()
    assert get_plugin_settings("napari-disca").look.opacity == pytest.approx(0.8)
    opened.panel.settings.dialog.close()


def test_the_machine_is_set_for_what_runs_and_for_what_comes(opened, qtbot):
    fields, session = page(opened, qtbot).fields, opened.control.session
    features = session._caches.features
    fields["memory"].setValue(100)
    fields["disk"].setValue(3)
    assert features.memory == 100 << 20
    assert session._caches.disk == 3 << 30
    assert opened.panel.refine_panel.disk.value() == 3
    opened.panel.refine_panel.disk.setValue(2)
    assert fields["disk"].value() == 2
    fields["precision"].setCurrentText("float32")
    assert opened.panel.refine_panel.precision.currentText() == "float32"
    fields["notice"].setValue(0)
    assert opened.panel.long_work.seconds == 0
    opened.idle()
    opened.panel.refine_panel.buttons["segment"].click()
    opened.idle()
    qtbot.waitUntil(lambda: opened.control.session is not session)
    assert str(opened.control.session.compute.dtype) == "torch.float32"
    assert opened.control.session._caches.features.memory == 100 << 20
    opened.panel.settings.dialog.close()


def test_a_device_that_is_not_there_is_said(opened, qtbot, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    page(opened, qtbot).fields["device"].setCurrentText("cuda")
    opened.idle()
    opened.panel.refine_panel.buttons["segment"].click()
    qtbot.waitUntil(lambda: bool(opened.said))
    assert opened.said == ["there is no cuda device on this machine; there is: cpu"]
    opened.panel.settings.dialog.close()


def test_defaults_take_all_back_but_keys(opened, qtbot):
    dialog = page(opened, qtbot)
    dialog.fields["memory"].setValue(100)
    dialog.fields["hints"].setChecked(False)
    opened.panel.viewer_controls.keys_chosen.emit({"hide": "M"})
    reset = next(b for b in dialog.findChildren(type(dialog.keys)) if b.text() == "Defaults")
    qtbot.mouseClick(reset, Qt.MouseButton.LeftButton)
    assert dialog.fields["memory"].value() == 512
    assert dialog.fields["hints"].isChecked()
    assert "M" in get_plugin_settings("napari-disca").work.keys
    qtbot.mouseClick(dialog.keys, Qt.MouseButton.LeftButton)
    assert opened.panel.viewer_controls._page.isVisible()
    opened.panel.viewer_controls._page.close()
    dialog.close()


def test_napari_shows_them_among_its_preferences(opened, qtbot):
    from napari._qt.dialogs.preferences_dialog import PreferencesDialog

    preferences = PreferencesDialog()
    qtbot.addWidget(preferences)
    names = [preferences._list.item(i).text() for i in range(preferences._list.count())]
    assert "Correct maps by clicking" in names
