"""Write docs/settings.md, and what napari.yaml declares of the settings, from their table."""

from __future__ import annotations

from pathlib import Path

import yaml

from napari_disca.gui.toolkit.settings_table import configurations, settings_page

_MANIFEST = Path(__file__).parents[1] / "src" / "napari_disca" / "napari.yaml"
_HEADING = "  configurations:\n"


def main() -> None:
    """Write both."""
    Path(__file__).with_name("settings.md").write_text(settings_page(), encoding="utf-8")
    manifest = _MANIFEST.read_text(encoding="utf-8").partition(_HEADING)[0]
    text = yaml.safe_dump(configurations(), sort_keys=False, allow_unicode=True, width=96)
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    _MANIFEST.write_text(manifest + _HEADING + indented, encoding="utf-8")


if __name__ == "__main__":
    main()
