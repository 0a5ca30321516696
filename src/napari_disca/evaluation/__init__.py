"""Measures recipes: a simulated annotator clicks, recipes correct maps, and maps are scored.

The protocol is that of Lenczner et al. (2020): the annotator knows the reference map, clicks in
the middle of the largest error, looks at the new map, and clicks again.
"""

from __future__ import annotations

from napari_disca.evaluation.class_map import ClassMap
from napari_disca.evaluation.protocol import evaluate_image
from napari_disca.evaluation.records import (
    Record,
    clicks_to_target,
    gestures_to_target,
    summary,
    summary_rows,
    write_json,
)
from napari_disca.evaluation.settings import Settings
from napari_disca.evaluation.study import evaluate

__all__ = [
    "ClassMap",
    "Record",
    "Settings",
    "clicks_to_target",
    "evaluate",
    "evaluate_image",
    "gestures_to_target",
    "summary",
    "summary_rows",
    "write_json",
]
