"""What docs/formats.md says of images, clicks and of files that are written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from napari_disca.exports import CLICK_SUFFIXES, EXPORTS

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
IMAGES = TEXT[TEXT.index("## Images") :].partition("\n## ")[0]
CLICKS = TEXT[TEXT.index("## Clicks") :].partition("\n## ")[0]
WRITTEN = TEXT[TEXT.index("## What is written") :].partition("\n## ")[0]


@pytest.mark.parametrize("section", [IMAGES, CLICKS], ids=["images", "clicks"])
def test_the_example_runs(tmp_path, section):
    (example,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_every_format_is_told():
    for export in EXPORTS.values():
        assert ", ".join(f"`{suffix}`" for suffix in export.suffixes) in WRITTEN
    names = {".gpkg": "GeoPackage", ".shp": "Shapefile", ".fgb": "FlatGeobuf", ".csv": "CSV"}
    for suffix in CLICK_SUFFIXES:
        assert names.get(suffix, "GeoJSON") in CLICKS


def test_every_scaling_is_told():
    for kind in ("auto", "dtype", "percentile"):
        assert kind in IMAGES
    assert "LOW:HIGH" in IMAGES
