"""Settings in napari's file of them."""

from __future__ import annotations

import pytest
import yaml
from napari.settings import _clear_plugin_settings_cache, get_plugin_settings

from napari_disca.gui.toolkit.saved_settings import SavedSettings


def test_settings_are_kept_where_napari_keeps_its_own():
    settings, changed = SavedSettings(), []
    settings.changed.connect(changed.append)
    settings.set("notice", 60)
    settings.set("device", "cpu")
    assert changed == ["notice", "device"]
    file = get_plugin_settings("napari-disca").config_path
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == {
        "work": {"notice": 60},
        "machine": {"device": "cpu"},
    }
    settings.end()
    _clear_plugin_settings_cache()
    again = SavedSettings()
    assert (again["notice"], again["device"], again["legend"]) == (60, "cpu", True)
    with pytest.raises(ValueError, match="Notice after = -1 is not allowed"):
        again.set("notice", -1)
    again.reset()
    assert again["notice"] == 20
    again.end()


@pytest.mark.parametrize(
    "text", ["look: {opacity: 7}", "look: [", "machine: {device: abacus}", "work: {keys: '{'}"]
)
def test_a_damaged_file_of_settings_changes_nothing(text):
    file = get_plugin_settings("napari-disca").config_path
    _clear_plugin_settings_cache()
    file.write_text(text, encoding="utf-8")
    settings = SavedSettings()
    assert settings["opacity"] == 0.5
    assert settings["device"] == "auto"
    settings.end()


def test_a_plugin_that_napari_does_not_know_has_settings_all_the_same(monkeypatch):
    def unknown(_name):
        raise KeyError

    monkeypatch.setattr("napari.settings.get_plugin_settings", unknown)
    monkeypatch.setattr("napari_disca.gui.toolkit.saved_settings._unsaved", {})
    settings, changed = SavedSettings(), []
    settings.changed.connect(changed.append)
    settings.set("hints", False)
    assert (settings["hints"], changed) == (False, ["hints"])
    settings.end()
