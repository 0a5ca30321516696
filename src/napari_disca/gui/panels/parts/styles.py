"""Styles and colours that several panels share."""

from __future__ import annotations

#: Style of explaining lines, in the theme's own colour: no grey is legible on both of napari's
#: themes.
EXPLAINS = "font-style: italic"
#: Colours of places judged right, judged wrong, and only seen; their brightness differs, too.
CHECKED, WRONG, SEEN = "#3ddc97", "#d1495b", "#7d8794"
