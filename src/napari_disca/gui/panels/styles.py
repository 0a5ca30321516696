"""What several panels look like."""

from __future__ import annotations

#: Of lines that explain. No grey is easy to read on napari's dark and on its light theme, so they
#: have the theme's own colour.
EXPLAINS = "font-style: italic"
#: Of what was said to be right, to be wrong, and was only seen; they differ in brightness, too.
CHECKED, WRONG, SEEN = "#3ddc97", "#d1495b", "#7d8794"
