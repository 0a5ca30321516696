"""The keys that the user has changed, kept for all windows and days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from napari_disca.core.errors import DiscaError
from napari_disca.gui.viewer.key_table import KeyConflictError, with_keys
from napari_disca.storage.atomic import replacing
from napari_disca.storage.jsonfile import JsonError, load_json


def read_keys() -> dict[str, str]:
    """Keys that differ from the table's, by the verb's name.

    A file that is damaged, or of another version with other verbs, changes nothing.
    """
    try:
        kept = load_json(_file(), most_bytes=1 << 16)
    except JsonError:
        return {}
    if not isinstance(kept, dict):
        return {}
    chosen = {name: key for name, key in kept.items() if isinstance(key, str)}
    try:
        with_keys(chosen)
    except KeyConflictError:
        return {}
    return chosen


def keep_keys(chosen: Mapping[str, str]) -> None:
    """Keep them; that the folder cannot be written is no reason to stop the work."""
    try:
        with replacing(_file()) as temporary:
            temporary.write_text(json.dumps(dict(chosen), indent=1), "utf-8")
    except (DiscaError, OSError):
        pass


def _file() -> Path:
    return Path(platformdirs.user_state_dir("napari-disca", appauthor=False)) / "keys.json"
