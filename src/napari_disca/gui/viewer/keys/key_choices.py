"""Reads and writes the keys that the user has changed, as one text of the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping

from napari_disca.gui.viewer.keys.key_table import KeyConflictError, with_keys


def keys_of(text: str) -> dict[str, str]:
    """Return the changed keys by the verb's name.

    Returns none of a text that is damaged, or of another version with other verbs.
    """
    try:
        saved = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(saved, dict):
        return {}
    chosen = {name: key for name, key in saved.items() if isinstance(key, str)}
    try:
        with_keys(chosen)
    except KeyConflictError:
        return {}
    return chosen


def text_of_keys(chosen: Mapping[str, str]) -> str:
    """Return the text that `keys_of` reads; empty if no key was changed."""
    return json.dumps(dict(chosen), sort_keys=True, ensure_ascii=False) if chosen else ""
