"""One table of verbs, and all that is made from it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from napari_disca.gui.viewer.keys.key_table import KeyConflictError, keys_page, with_keys
from napari_disca.gui.viewer.keys.verb import GROUPS
from napari_disca.gui.viewer.keys.verbs import BY_NAME, VERBS

ROOT = Path(__file__).resolve().parents[4]


def test_names_and_keys_are_each_of_one_verb():
    assert len(BY_NAME) == len(VERBS)
    keys = [key for verb in VERBS for key in verb.keys]
    assert len(set(keys)) == len(keys)
    assert {verb.group for verb in VERBS} <= set(GROUPS)


def test_the_document_of_keys_is_made_from_the_table():
    written = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
    assert written == keys_page(), "run python docs/make_keys.py"


def test_the_palette_and_the_menus_offer_what_the_table_says():
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))
    contributed = manifest["contributions"]
    commands = {
        command["id"].removeprefix("napari-disca.do_"): command
        for command in contributed["commands"]
        if command["id"].startswith("napari-disca.do_")
    }
    assert set(commands) == {verb.name for verb in VERBS if verb.command}
    for name, command in commands.items():
        assert command["title"] == BY_NAME[name].title
        assert command["python_name"] == f"napari_disca.gui.plugin.commands:{name}"
    offered = {
        (menu, item["command"].removeprefix("napari-disca.do_"))
        for menu, items in contributed["menus"].items()
        for item in items
        if item["command"].startswith("napari-disca.do_")
    }
    assert offered == {(menu, verb.name) for verb in VERBS for menu in verb.menus}


def test_every_command_can_be_called():
    from napari_disca.gui.plugin import commands

    for verb in VERBS:
        if verb.command:
            assert getattr(commands, verb.name).__name__ == verb.name
    with pytest.raises(AttributeError):
        _ = commands.isolate


def test_a_key_can_be_changed_taken_away_and_not_be_had_twice():
    changed = {verb.name: verb for verb in with_keys({"hide": "M", "style": ""})}
    assert changed["hide"].keys == ("M",)
    assert changed["style"].keys == ()
    assert "(M)" in changed["hide"].tooltip
    with pytest.raises(KeyConflictError, match="N is the key of 'Next doubtful place'"):
        with_keys({"hide": "N"})
    with pytest.raises(KeyConflictError, match="'class' is not an action whose key can be changed"):
        with_keys({"class": "X"})
