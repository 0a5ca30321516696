"""What several panels look like."""

from __future__ import annotations

#: Of lines that explain; to be read on napari's dark and light themes.
GREY = "color: #8a93a0"
