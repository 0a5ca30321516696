"""The table of settings, and what is made from it."""

from __future__ import annotations

from pathlib import Path

import yaml

from napari_disca.gui.toolkit.settings_table import (
    BY_SETTING,
    SECTIONS,
    SETTINGS,
    configurations,
    settings_page,
)

ROOT = Path(__file__).resolve().parents[3]


def test_the_manifest_and_the_document_are_made_from_the_table():
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))
    run = "run python docs/make_settings.py"
    assert manifest["contributions"]["configurations"] == configurations(), run
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page(), run


def test_the_table_is_sound():
    assert len(BY_SETTING) == len(SETTINGS)
    assert {setting.section for setting in SETTINGS} == set(SECTIONS)
    for setting in SETTINGS:
        assert setting.accepts(setting.default), setting.name
        assert not setting.accepts(None)
        assert not setting.accepts([])
    assert not BY_SETTING["opacity"].accepts(1.5)
    assert BY_SETTING["opacity"].accepts(1)
    assert not BY_SETTING["legend"].accepts(1)
    assert not BY_SETTING["device"].accepts("tpu")
