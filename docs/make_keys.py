"""Write docs/keys.md from the table of verbs."""

from __future__ import annotations

from pathlib import Path

from napari_disca.gui.viewer.keys.key_table import keys_page

if __name__ == "__main__":
    Path(__file__).with_name("keys.md").write_text(keys_page(), encoding="utf-8")
