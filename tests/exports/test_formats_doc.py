"""What docs/formats.md says of images, clicks and of files that are written."""

from __future__ import annotations

from pathlib import Path

from napari_disca.exports import CLICK_SUFFIXES, EXPORTS

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
IMAGES = TEXT[TEXT.index("## Images") :].partition("\n## ")[0]
CLICKS = TEXT[TEXT.index("## Clicks") :].partition("\n## ")[0]
WRITTEN = TEXT[TEXT.index("## What is written") :].partition("\n## ")[0]


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
