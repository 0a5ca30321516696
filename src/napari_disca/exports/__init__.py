"""Files that the user saves and loads: label maps, clicks, areas, strokes, reviews and classes.

To add a format, write one module here and add one line to `EXPORTS` in ``table.py``.
"""

from __future__ import annotations

from napari_disca.exports.clicks import (
    ClassColumns,
    LoadedClicks,
    class_columns,
    load_clicks,
    read_clicks,
    write_clicks,
)
from napari_disca.exports.geotiff import (
    check_output,
    read_made_with,
    read_map_classes,
    write_geotiff,
)
from napari_disca.exports.labels import GrowingLabels, Labels, in_memory, merged
from napari_disca.exports.locks import read_locks, write_locks
from napari_disca.exports.review import write_review
from napari_disca.exports.strokes import write_strokes
from napari_disca.exports.table import (
    EXPORTS,
    Content,
    Export,
    export_for,
    exports_of,
    has_format,
    made_with_of,
    write_map,
)
from napari_disca.exports.vectors.point_files import CLICK_SUFFIXES

__all__ = [
    "CLICK_SUFFIXES",
    "EXPORTS",
    "ClassColumns",
    "Content",
    "Export",
    "GrowingLabels",
    "Labels",
    "LoadedClicks",
    "check_output",
    "class_columns",
    "export_for",
    "exports_of",
    "has_format",
    "in_memory",
    "load_clicks",
    "made_with_of",
    "merged",
    "read_clicks",
    "read_locks",
    "read_made_with",
    "read_map_classes",
    "write_clicks",
    "write_geotiff",
    "write_locks",
    "write_map",
    "write_review",
    "write_strokes",
]
