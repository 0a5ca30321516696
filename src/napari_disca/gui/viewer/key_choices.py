"""The keys that the user has changed, as the settings keep them: one text."""

from __future__ import annotations

import json
from collections.abc import Mapping

from napari_disca.gui.viewer.key_table import KeyConflictError, with_keys


def keys_of(text: str) -> dict[str, str]:
    """Keys that differ from the table's, by the verb's name.

    A text that is damaged, or of another version with other verbs, changes nothing.
    """
    try:
        kept = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(kept, dict):
        return {}
    chosen = {name: key for name, key in kept.items() if isinstance(key, str)}
    try:
        with_keys(chosen)
    except KeyConflictError:
        return {}
    return chosen


def text_of_keys(chosen: Mapping[str, str]) -> str:
    """The text that `keys_of` reads; empty where no key was changed."""
    return json.dumps(dict(chosen), sort_keys=True, ensure_ascii=False) if chosen else ""
